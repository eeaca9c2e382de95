"""Fakes for tests of the engine and of other teams' parts: a system in memory that obeys, or refuses in a chosen way.

A fake stands only where a contract test holds the real part to the same behaviour.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from chaoskit.model.errors import CannotHeal, CannotInject, LoadFailed, Unsupported, UsageError
from chaoskit.model.history import Event, History, LoadCounts, Outcome
from chaoskit.model.protocols import Aim, LoadPlan, Sign, Stage, Undo
from chaoskit.model.topology import Command, Ledger, LedgerState, LinkSpec, Place, Port, ServiceSpec, Topology
from chaoskit.model.verdict import Finding, Result


def fake_topology(*, services: tuple[str, ...] = ("front", "back"), ledger: Ledger | None = None) -> Topology:
    """A topology that starts nothing: services in a row, each calling the next."""
    return Topology(
        name="fake",
        services=tuple(ServiceSpec(name=name, ports=(Port("http", b"?"),), command=_no_command) for name in services),
        links=tuple(LinkSpec(client=client, service=service, ports=("http",)) for client, service in itertools.pairwise(services)),
        entry=(services[0], "http"),
        journeys="chaoskit.testing:no_journeys",
        journey_names=("visit",),
        ledger=None if ledger is None else lambda _address: ledger,
        opening=None if ledger is None else lambda _seed, _options: {"A": 100, "B": 0},
    )


def _no_command(place: Place) -> Command:
    raise AssertionError(f"{place.service} is a fake and is never started")


def no_journeys(options: Mapping[str, str], seed: int) -> Mapping[str, object]:  # noqa: ARG001 - the shape is the protocol's
    """No journeys: the fake load does not load any."""
    return {}


@dataclass(slots=True)
class FakeService:
    """A service that is `running`, `paused` or `killed`. `refuses` names verbs that raise."""

    name: str
    state: str = "running"
    refuses: frozenset[str] = frozenset()
    calls: list[str] = field(default_factory=list)
    handle: Mapping[str, str] = field(default_factory=dict)

    def kill(self) -> None:
        self._do("kill", {"running": "killed", "paused": "killed"}, CannotInject)

    def start(self) -> None:
        self._do("start", {"running": "running", "killed": "running"}, CannotHeal)

    def pause(self) -> None:
        self._do("pause", {"running": "paused", "paused": "paused"}, CannotInject)

    def resume(self) -> None:
        self._do("resume", {"running": "running", "paused": "running", "killed": "killed"}, CannotHeal)

    def is_running(self) -> bool:
        return self.state == "running"

    def _do(self, verb: str, states: Mapping[str, str], error: type[Exception]) -> None:
        self.calls.append(verb)
        if verb in self.refuses:
            raise error(f"{self.name}: {verb} was refused, as the test asked")
        if self.state not in states:
            raise error(f"{self.name}: {verb} was asked for and it is {self.state}")
        self.state = states[self.state]


@dataclass(slots=True)
class FakeLink:
    """A link that is open or cut. `is_deaf` makes every cut do nothing, as a misspelt toxic would."""

    name: str
    is_cut: bool = False
    is_deaf: bool = False
    delay_s: float = 0.0
    word: str = "answered"
    """How a hello ends unless it is cut or late."""
    leads_to: FakeService | None = None
    """Who answers; None for somebody who always does."""

    def cut(self, *, direction: str) -> None:
        assert direction in {"both", "requests", "answers"}
        self.is_cut = not self.is_deaf

    def slow(self, *, latency_s: float, jitter_s: float, direction: str) -> None:
        assert direction in {"both", "requests", "answers"}
        assert jitter_s >= 0
        self.delay_s = 0.0 if self.is_deaf else latency_s

    def refuse(self) -> None:
        self._turn("refused")

    def reset(self) -> None:
        self._turn("reset")

    def stall(self, *, direction: str) -> None:
        assert direction in {"both", "requests", "answers"}
        self._turn("silent")

    def throttle(self, *, bytes_per_s: int, direction: str) -> None:
        assert direction in {"both", "requests", "answers"}
        self.delay_s = 0.0 if self.is_deaf else 100 / bytes_per_s

    def restore(self) -> None:
        self.is_cut, self.delay_s, self.word = False, 0.0, "answered"

    def answer_s(self, *, timeout_s: float) -> float | None:
        return 0.001 + self.delay_s if self.look(timeout_s=timeout_s) == "answered" else None

    def look(self, *, timeout_s: float) -> str:
        if self.is_cut or self.delay_s > timeout_s or (self.leads_to is not None and self.leads_to.state == "paused"):
            return "silent"
        return "refused" if self.leads_to is not None and self.leads_to.state == "killed" else self.word

    def _turn(self, word: str) -> None:
        self.word = self.word if self.is_deaf else word


STANDING: weakref.WeakValueDictionary[str, FakeEnvironment] = weakref.WeakValueDictionary()
"""Those that others may join, by the name that they gave."""


class FakeEnvironment:
    """A system in memory. `services` and `links_by_name` are there for the test to look at and to break.

    The n-th member of a group has the group's n-th role as long as it runs.
    """

    name = "fake"
    run = ""
    engine_address = ""

    def __init__(self, topology: Topology | None = None, *, ledger: Ledger | None = None) -> None:
        self.topology: Topology = topology or fake_topology(ledger=ledger)
        self.capabilities: frozenset[str] = frozenset({"kill", "pause", "cut", "slow", "refuse", "reset", "stall", "throttle"})
        self.services: dict[str, FakeService] = {name: FakeService(name) for name in self.topology.service_names}
        links = [FakeLink(f"{one.client} -> {one.service}", leads_to=self.services[one.service]) for one in self.topology.links]
        self.links_by_name: dict[str, FakeLink] = {link.name: link for link in links}
        self.is_up: bool = False
        self.undone: list[Undo] = []
        self.forbidden: frozenset[str] = frozenset()
        """Targets that may not be hurt."""
        self.up_error: Exception | None = None
        self.down_error: Exception | None = None
        self.printed: dict[str, str] = {}
        """What each service is said to have printed."""
        self._ledger = ledger

    def up(self, *, is_stopping: Callable[[], bool], say: Callable[[str], None]) -> None:
        assert not is_stopping()
        say("fake services are up")
        if self.up_error:
            raise self.up_error
        self.is_up = True

    def down(self) -> None:
        self.is_up = False
        if self.down_error:
            raise self.down_error

    def shared(self) -> Mapping[str, object]:
        name = f"{os.getpid()}-{id(self)}"
        STANDING[name] = self
        return {"name": name, "services": sorted(self.services)}

    def join(self, description: Mapping[str, object]) -> None:
        """Within one process the two are one system; memory of another process is not seen, so there it is one of its own."""
        if description["services"] != sorted(self.services):
            raise UsageError(f"the fake environment has other services than the one that is up ({description['services']})")
        if (other := STANDING.get(str(description["name"]))) is not None:
            self.services, self.links_by_name = other.services, other.links_by_name
        self.is_up = True

    def log_tail(self, service: str, *, most_bytes: int) -> str:
        return self.printed.get(service, "").encode()[-most_bytes:].decode(errors="replace")

    def permit(self, targets: tuple[str, ...]) -> None:
        if self.forbidden & set(targets):
            raise CannotInject(f"{', '.join(sorted(self.forbidden & set(targets)))} may not be hurt, as the test asked")

    def service(self, name: str) -> FakeService:
        return self.services[self.resolve(name)]

    def links(self, one: str, other: str) -> tuple[FakeLink, ...]:
        outside = {link.client for link in self.topology.links} - set(self.services)
        ends = [name if name in outside else self.resolve(name) for name in (one, other)]
        names = (" -> ".join(ends), " -> ".join(reversed(ends)))
        return tuple(self.links_by_name[name] for name in names if name in self.links_by_name)

    def resolve(self, name: str) -> str:
        if name in self.services:
            return name
        group = self.topology.group_of(name.partition(".")[0])
        roles = dict(zip(group.roles, group.members, strict=False)) if group is not None else {}
        holder = roles.get(name.partition(".")[2])
        if holder is None or not self.services[holder].is_running():
            raise Unsupported(f"{name!r} is no service of the fake environment, or a role that nobody has now")
        return holder

    def undo(self, undo: Undo) -> None:
        self.undone.append(undo)
        if undo.verb == "restore" and undo.target in self.links_by_name:
            self.links_by_name[undo.target].restore()
        elif undo.verb in {"start", "resume"} and undo.target in self.services:
            getattr(self.services[undo.target], undo.verb)()
        else:
            raise CannotHeal(f"undo {undo.verb!r} of {undo.target!r}: the fake environment has no such thing")

    def address(self, service: str, port: str) -> tuple[str, int]:
        ports = {(spec.name, one.name) for spec in self.topology.services for one in spec.ports}
        if (service, port) not in ports:
            raise Unsupported(f"{service}:{port} is not an address of the fake environment")
        return ("127.0.0.1", 9)

    def ledger(self) -> Ledger | None:
        return self._ledger

    def facts(self) -> Mapping[str, str]:
        return {"environment": self.name}


class FakeLoad:
    """Writes an operation into the history every 10 ms; `answer` says how each ended, from the state of the system."""

    def __init__(self, answer: Callable[[], Outcome] = lambda: Outcome.OK) -> None:
        self.answer = answer
        self.times: float = 1.0
        self.dies_after: int | None = None
        self.deaf = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._plan: LoadPlan | None = None
        self._sent = 0

    def start(self, plan: LoadPlan, *, timeout_s: float) -> None:
        assert timeout_s > 0
        self._plan = plan

    def begin(self) -> int:
        zero_ns = time.monotonic_ns()
        self._thread = threading.Thread(target=self._write, args=(zero_ns,), name="fake-load")
        self._thread.start()
        return zero_ns

    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def surge(self, times: float) -> None:
        if self._thread is not None and not self._thread.is_alive():
            raise LoadFailed("the fake load is dead")
        if not self.deaf:
            self.times = times

    def sent_per_s(self, *, over_s: float) -> float:
        assert over_s > 0
        return 100.0 * self.times if self._thread is None or self._thread.is_alive() else 0.0

    def planned_per_s(self) -> float:
        return 100.0

    def finish(self, *, drain_s: float) -> LoadCounts:
        assert drain_s >= 0
        assert self._plan is not None
        died = not self.is_running()
        self.close()
        if died:
            raise LoadFailed("the fake load died, as the test asked")
        _append(Path(self._plan.history), {"event": "load", "scheduled": self._sent, "sent": self._sent, "finished": self._sent,
                                           "drained": True})  # fmt: skip
        return LoadCounts(scheduled=self._sent, sent=self._sent, finished=self._sent, drained=True)

    def close(self) -> None:
        self._stop.set()
        if self._thread:
            self._thread.join(5)

    def _write(self, zero_ns: int) -> None:
        assert self._plan is not None
        path = Path(self._plan.history)
        while not self._stop.wait(max(0.0, (zero_ns + self._sent * 10_000_000 - time.monotonic_ns()) / 1e9)):
            if self._sent == self.dies_after:
                return
            number, now = self._sent, time.monotonic_ns()
            self._sent += 1
            outcome = self.answer()
            status = 200 if outcome is Outcome.OK else 0
            _append(
                path,
                {"event": "invoked", "operation": number, "journey": "visit", "attempt": 1, "due_ns": now, "start_ns": now},
                {"event": "completed", "operation": number, "attempt": 1, "end_ns": now + 1, "outcome": outcome.value,
                 "status": status},
            )  # fmt: skip


def _append(path: Path, *events: Event) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write("".join(json.dumps(event) + "\n" for event in events))


class FakeLedger:
    """A ledger that always reads the same, unless `states` says otherwise, one state a read."""

    def __init__(self, *states: LedgerState) -> None:
        self.states: list[LedgerState] = list(states)
        self.open = 0
        self.settled: list[str] = []

    def settle(self, keys: tuple[str, ...], *, timeout_s: float) -> Mapping[str, str]:
        assert timeout_s > 0
        self.settled.extend(keys)
        applied = self.states[0].applied_keys
        return {key: "applied" if key in applied else "tombstone" for key in keys}

    def open_transactions(self, *, timeout_s: float) -> int:
        assert timeout_s > 0
        return self.open

    def read(self, keys: tuple[str, ...] = (), *, timeout_s: float) -> LedgerState:
        assert timeout_s > 0
        del keys
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    def digests(self, *, timeout_s: float) -> Mapping[str, str]:
        assert timeout_s > 0
        return {"one": "d", "other": "d"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NoFault:
    """A fault that does nothing at all and says so when it is looked at: no run that has it may pass."""

    kind: ClassVar[str] = "no-fault"
    needs = frozenset[str]()

    def aim(self, stage: Stage) -> Aim:
        assert stage
        return Aim(targets=("nothing",), undo=())

    def inject(self, stage: Stage, aim: Aim) -> None:
        assert stage
        assert aim

    def observe(self, stage: Stage, aim: Aim) -> Sign:
        assert stage
        assert aim
        return Sign(present=False, evidence="nothing was done")


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedChecker:
    """A checker that always says the same."""

    name: ClassVar[str] = "fixed"
    outcome: Result = Result.PASSED

    def check(self, history: History) -> tuple[Finding, ...]:
        assert history
        return (Finding(checker=self.name, outcome=self.outcome, summary=f"always {self.outcome.value}"),)


@dataclass(slots=True)
class SilentProgress:
    """Keeps what was said."""

    lines: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        self.lines.append(line)

    def tick(self, history: History) -> None:
        assert history
