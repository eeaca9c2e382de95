"""What a part must be able to do. Parts are found by shape: no one has to inherit from anything.

Every call blocks and is bounded by a limit that is stated or passed. Undo is plain data, so that another process can do it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

from chaoskit.model.history import History, LoadCounts
from chaoskit.model.topology import Ledger, Topology
from chaoskit.model.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """One act that heals: *verb* on *target*. Doing it twice does no harm; it is complete without any object in memory.

    Services take `start` and `resume`, with the service's `handle` as details; links (`client -> service`) take `restore`, with the
    link's `handle` where it has one; the load takes `surge`. What only containers
    suffer (`chaoskit.model.containers`) is undone by `attach`, `resize`, `free-disk`, `unfilter` and `unthrottle`: there `details`
    names the container, so that a process which knows only the engine can do it.
    """

    verb: str
    target: str
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What a fault will hit, roles resolved, and how that is undone. Made before anything is touched."""

    targets: tuple[str, ...]
    undo: tuple[Undo, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """What was observed of a fault: whether its effect is there now, and by which sign."""

    present: bool
    evidence: str


class Service(Protocol):
    """One running service. Kill, pause and their undo act on all of its processes."""

    @property
    def name(self) -> str: ...
    @property
    def handle(self) -> Mapping[str, str]:
        """What another process needs to find it: `{"container": id}`; {} for a service that ends with its environment."""

    def kill(self) -> None:
        """End it at once, without a chance to clean up (SIGKILL). Returns when no process of it is left. Raises `CannotInject`."""

    def start(self) -> None:
        """Start it again with its address and data. Returns when it answers. Does nothing if it runs. Raises `CannotHeal`."""

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing is answered. Raises `CannotInject`."""

    def resume(self) -> None:
        """Undo `pause`. Does nothing if it is not paused. Raises `CannotHeal`."""

    def is_running(self) -> bool:
        """Whether any process of it is there and not frozen."""


class Link(Protocol):
    """The way from a client to a service, through a proxy of the environment's own.

    A link that outlives the process which hurts it has an attribute `handle` besides, as services have: it belongs into the details
    of an undo `restore`, so that another process finds it.
    """

    @property
    def name(self) -> str:
        """`client -> service`."""

    def cut(self, *, direction: str) -> None:
        """Swallow everything in *direction* (`both`, `requests`, `answers`): connections stay open, nothing arrives.

        Raises `CannotInject`.
        """

    def slow(self, *, latency_s: float, jitter_s: float, direction: str) -> None:
        """Delay everything in *direction*. Raises `CannotInject`."""

    def refuse(self) -> None:
        """End every connection and refuse new ones at once, as if no process listened. Raises `CannotInject`."""

    def reset(self) -> None:
        """End every connection, and reset each new one at its first byte. Raises `CannotInject`."""

    def stall(self, *, direction: str) -> None:
        """Hold back everything in *direction*. On `restore` it goes on where it was: no connection ends. Raises `CannotInject`."""

    def throttle(self, *, bytes_per_s: int, direction: str) -> None:
        """Let at most so much through, for each connection by itself; whole KB, at least one. Raises `CannotInject`."""

    def restore(self) -> None:
        """Undo all of the above. Does nothing if there is nothing to undo. Raises `CannotHeal`."""

    def answer_s(self, *, timeout_s: float) -> float | None:
        """Seconds until the service answers a hello through this link; None if it does not within *timeout_s*."""

    def look(self, *, timeout_s: float) -> str:
        """How a hello through this link ended: `answered`, `refused`, `reset`, `closed` (an orderly end) or `silent`."""


class Environment(Protocol):
    """The running system. `up` and `down` are for one thread. The rest may be called from several at once, for different targets:
    probes look and other faults are undone while one is injected.

    An environment may have a method `log_tail(service, *, most_bytes)` besides: the end of what a service has printed, as text, ""
    for nothing. A run on an environment that stays up keeps it in its folder: such a one writes its own logs later, and elsewhere.
    """

    @property
    def topology(self) -> Topology:
        """What it consists of: services, links, and who uses them."""

    @property
    def name(self) -> str:
        """Where it runs: `process`, `docker`."""

    @property
    def capabilities(self) -> frozenset[str]:
        """The verbs it can do: `kill`, `pause`, `cut`, `slow`, `refuse`, `reset`, `stall`, `throttle`, and what containers can do.

        (`crash`, `detach`, `squeeze-cpu`, `squeeze-memory`, `fill-disk`, `packets`, `packet-loss`, `bandwidth`.) An environment may
        have an attribute `lacks` besides, which says in words what is missing for those it cannot do here.
        """

    @property
    def run(self) -> str:
        """The id that everything carries which it makes, known before `up`, so that another process can find and remove it."""

    @property
    def engine_address(self) -> str:
        """The container engine that it uses; "" without one."""

    def permit(self, targets: tuple[str, ...]) -> None:
        """Look once more, at the moment of injection, whether these may be hurt. Raises `CannotInject` for one that may not."""

    def up(self, *, is_stopping: Callable[[], bool], say: Callable[[str], None]) -> None:
        """Start everything; ready means that data was exchanged. On failure everything is taken down again.

        Raises `MissingPart`, `NotReady`, or `Stopped` when *is_stopping* turns true.
        """

    def down(self) -> None:
        """End everything it started. May be called at any time and twice. Raises `CannotHeal` if something is left."""

    def service(self, name: str) -> Service:
        """A service by name or by role, resolved now. Raises `Unsupported` for a role that nobody has."""

    def links(self, one: str, other: str) -> tuple[Link, ...]:
        """Every link between two services (names or roles, resolved now), whichever of them calls; () if there is none."""

    def resolve(self, name: str) -> str:
        """The service that a name or role (`ledger-db.primary`) means now. Raises `Unsupported` if nobody has the role."""

    def undo(self, undo: Undo) -> None:
        """Do one recorded undo. Raises `CannotHeal`."""

    def address(self, service: str, port: str) -> tuple[str, int]:
        """Where a client outside reaches a service. Stays the same across kill and start."""

    def ledger(self) -> Ledger | None:
        """The reader of the money; None when the topology has none."""

    def facts(self) -> Mapping[str, str]:
        """Versions and settings of what runs, for the report."""


@runtime_checkable
class Joinable(Protocol):
    """What an environment can do besides that several processes use at once: one brings it up, the others join it.

    Each has an object of its own, declared alike. What one breaks is broken for all, and any of them can undo it.
    """

    def shared(self) -> Mapping[str, object]:
        """How another process finds what is up, as plain data that JSON can hold."""

    def join(self, description: Mapping[str, object]) -> None:
        """Instead of `up`: use what *description*, of another object's `shared`, finds. From then on `down` only lets go of it.

        It makes nothing itself, so its `run` is "". Raises `UsageError` when that was declared otherwise, and `NotReady` when it is
        not there any more.
        """


class LoadControl(Protocol):
    """The running load, as a fault may see it."""

    def surge(self, times: float) -> None:
        """Multiply the arrival rate by *times* from now on; 1 is normal. Raises `LoadFailed`."""

    def sent_per_s(self, *, over_s: float) -> float:
        """Operations begun per second over the last *over_s* seconds."""

    def planned_per_s(self) -> float:
        """The rate that the profile asks for now, without any surge."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """All that the load process needs to know. Plain data: it is sent to the process as JSON.

    `url` is the entry's address; `journeys` a `module:function` reference; `history` the file that records are appended to.
    The n-th arrival always has the same journey, customer and gap before it, whatever happens: they come from `seed` alone.
    """

    url: str
    journeys: str
    options: Mapping[str, str]
    seed: int
    arrivals_per_s: float
    duration_s: float
    mix: Mapping[str, float]
    steps: tuple[tuple[float, float], ...]
    """(at_s, times) pairs."""
    history: str
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """What must not get into the records."""
    habits: Mapping[str, float] = field(default_factory=dict)
    """Which share of the arrivals has which habit; the n-th arrival always has the same one."""
    warned: str = "ok"
    """The outcome of an answer that says "done" with a warning: `ok` or `info`."""
    unanswered: str = "tombstone"
    """What is done at the end about operations without a clear answer: `tombstone` or `re-send`."""


class Load(LoadControl, Protocol):
    """Drives journeys from a process of its own. Calls come from the runner's threads, `surge` and the rates from any thread."""

    def start(self, plan: LoadPlan, *, timeout_s: float) -> None:
        """Start the process and wait until its journeys are loaded and ready to go. Raises `LoadFailed`."""

    def begin(self) -> int:
        """Let customers in. Returns the monotonic time in ns that the profile's 0 s means, at most 0.2 s ahead."""

    def is_running(self) -> bool:
        """Whether arrivals are still to come or operations still open."""

    def finish(self, *, drain_s: float) -> LoadCounts:
        """No more arrivals; wait up to *drain_s* for open operations, write the trailer, end the process. May be called once.

        Before the trailer, what had no clear answer is sent again if the plan asks for it.
        Raises `LoadFailed` if the process died before or did not answer; it is gone in any case.
        """

    def close(self) -> None:
        """End the process if it is still there, without waiting for anything. May be called at any time and twice."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What faults act on: the running system and its load."""

    environment: Environment
    load: LoadControl


class Fault(Protocol):
    """One kind of trouble: a frozen dataclass whose annotated fields are its parameters in a document.

    The engine calls `aim`, writes the undo record, calls `inject`, then `observe` until the sign is present; to heal it does
    the undo and calls `observe` until the sign is gone.
    """

    kind: ClassVar[str]
    """Its name in documents."""

    @property
    def needs(self) -> frozenset[str]:
        """Capabilities that the environment must have. It may depend on the parameters.

        Usually a class attribute without an annotation: pyright takes no ClassVar for a property.
        """

    def aim(self, stage: Stage) -> Aim:
        """Resolve targets and say how the fault will be undone. Touches nothing."""

    def inject(self, stage: Stage, aim: Aim) -> None:
        """Do it. Raises `CannotInject`."""

    def observe(self, stage: Stage, aim: Aim) -> Sign:
        """Look whether the effect is there now. Bounded to about a second."""


class Checker(Protocol):
    """Pure judgement: a history in, findings out. A frozen dataclass whose annotated fields are its parameters.

    A check of money may have an attribute `is_sound_early` that is True: then it can also judge a ledger that was read while
    payments were under way, where it knows of no answer that came later. What it finds wrong there can never become right.
    """

    name: ClassVar[str]

    def check(self, history: History) -> tuple[Finding, ...]:
        """Judge. Never raises for a strange history: what cannot be judged is INCONCLUSIVE, with the reason."""


class Probe(Protocol):
    """Looks at the live system at a fixed interval and puts samples into the history."""

    name: ClassVar[str]
    every_s: float

    def look(self, environment: Environment) -> tuple[tuple[str, Mapping[str, str | float | bool | None]], ...]:
        """One look: (subject, values) pairs. Bounded to about a second. Errors of the system are values, not exceptions."""


class Progress(Protocol):
    """Where a door shows what is going on. Called from the runner's thread only."""

    def say(self, line: str) -> None:
        """Show one line of plain words."""

    def tick(self, history: History) -> None:
        """Called about twice a second while the load runs."""
