"""A run under way, step by step: the records and the care that every run has, whether a schedule drives it or a test by hand.

The steps are blocks: whatever happens inside, what was injected is healed, what was started is ended, and the record has an end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from typing import Self

from chaoskit import __version__
from chaoskit.engine import early, opening
from chaoskit.engine.blast import Blast
from chaoskit.engine.conductor import Conductor
from chaoskit.engine.crew import Crew
from chaoskit.engine.guard import StopFlag, check_capabilities, not_steady, reason_to_abort
from chaoskit.engine.judge import early_findings, judge
from chaoskit.engine.recorder import JsonLines, LiveHistory
from chaoskit.engine.schedule import Entry, load_plan
from chaoskit.engine.settle import settle
from chaoskit.engine.store import RunFolder
from chaoskit.engine.undo import UndoLedger
from chaoskit.model.errors import CannotHeal, CannotRecord, ChaoskitError, LoadFailed, Stopped, UsageError
from chaoskit.model.experiment import Experiment
from chaoskit.model.history import Event, History
from chaoskit.model.policy import Permission, Terms, is_loopback
from chaoskit.model.protocols import Environment, Load, LoadPlan, Probe, Progress, Stage
from chaoskit.model.secrets import without_url_passwords
from chaoskit.model.undo import Holder
from chaoskit.model.verdict import Result, Verdict

TICK_S = 0.5
"""How often the live history is looked at: abort rules act within a second."""
DRAIN_S = 6.0
"""Three attempts of two seconds each, the longest that the bank's journeys wait for one answer."""
LOAD_READY_S = 20.0
"""Starting one Python process takes a fraction of a second; on a starved machine some."""

LOG_BYTES = 64 << 10
"""Of each service of an environment that stays up: some hundred lines. The whole is where that environment keeps it."""

INTERRUPTED = "stopped: interrupted"
"""The problem of a run that a KeyboardInterrupt ended."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Everybody who takes part in a run, handed in by a door."""

    environment: Environment
    load: Load
    probes: tuple[Probe, ...]
    progress: Progress
    stop: StopFlag
    terms: Terms = dataclasses.field(default_factory=Terms)
    is_up: bool = False
    """Whether the environment is up already: then it is neither started nor taken down."""
    observe: Callable[[Event], None] = lambda _event: None
    """Told of everything that the runner records, from whichever of its threads; what it raises is an ERROR of the run."""


class EndedEarly(ChaoskitError):
    """The load ends now, for what `result` says, but the books are still read: such a run must show what it found."""

    result = Result.ABORTED


class NotSteady(EndedEarly):
    """There was no steady state, so nothing was injected."""

    result = Result.INCONCLUSIVE


class Convicted(EndedEarly):
    """The money was wrong already, so nothing was injected."""

    result = Result.FAILED


class Aborted(EndedEarly):
    """An abort rule said that the run must end."""


class LiveRun:
    """One run under way. Leave its blocks in order: the run itself, then `system`, then `customers`."""

    def __init__(
        self, experiment: Experiment, cast: Cast, folder: RunFolder, *, seed: int, reproduce: str, owner: str = ""
    ) -> None:
        self._experiment = experiment
        self._environment, self._load, self._stop = cast.environment, cast.load, cast.stop
        self._probes, self._progress = cast.probes, cast.progress
        self._folder, self._seed = folder, seed
        self._reproduce, self._owner = reproduce, owner
        self._terms, self._is_up = cast.terms, cast.is_up
        self._recorder = JsonLines(folder.history, secrets=experiment.secrets, observe=cast.observe)
        self._undo = UndoLedger(folder.undo, secrets=experiment.secrets)
        self._live = LiveHistory(folder.history)
        blast = Blast((experiment.limits, *cast.terms.limits), self._environment.topology)
        self._conductor = Conductor(Stage(self._environment, self._load), self._recorder, self._undo, blast=blast)
        self._record_failed: CannotRecord | None = None
        self._looked_ns = 0

    def __enter__(self) -> Self:
        self._record_start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """The last line of the history, and the end of its files."""
        try:
            for problem in self._recorder.observer_errors:
                self.problem(Result.ERROR, f"whoever watched the run broke: {type(problem).__name__}: {problem}")
            self._recorder.append({"event": "finished", "at_ns": time.monotonic_ns()}, sync=True)
        finally:
            self._recorder.close()
            self._undo.close()

    @contextlib.contextmanager
    def system(self) -> Iterator[None]:
        """The environment is up inside, and what is left of it afterwards is a problem of the run."""
        self._undo.opened(
            Holder(
                run=self._folder.path.name,
                owner=self._owner,
                leftovers="" if self._is_up else self._environment.run,
                engine=self._environment.engine_address,
            )
        )
        check_capabilities(self._experiment, self._environment)
        try:
            if not self._is_up:
                started = time.monotonic()
                self._environment.up(is_stopping=self._stop.is_set, say=self._progress.say)
                self._progress.say(f"the {self._environment.topology.name} is up after {time.monotonic() - started:.1f} s")
            self._append({"event": "facts", "facts": dict(self._environment.facts())})
            if self._environment.topology.opening is None and (ledger := self._environment.ledger()) is not None:
                self._append(opening.found(ledger))
            yield
        finally:
            self._down()

    @contextlib.contextmanager
    def customers(self) -> Iterator[int]:
        """Customers arrive inside; gives the monotonic time in ns that the load's 0 s means. At the end all is healed.

        Then the books are read, also when the block ended by an `EndedEarly`, which is kept as a problem of the run.
        """
        with contextlib.ExitStack() as stack:
            stack.callback(self._load.close)
            self._load.start(self._load_plan(), timeout_s=LOAD_READY_S)
            crew = Crew()
            stack.callback(self._take_errors, crew)
            stack.enter_context(crew)
            for probe in self._probes:
                crew.every(probe.every_s, lambda probe=probe: self._look(probe), name=f"probe-{probe.name}")  # type: ignore[misc]
            zero_ns = self._load.begin()
            self._append({"event": "phase", "phase": "load", "at_ns": zero_ns})
            self._progress.say(
                f"customers arrive, {self._experiment.load.arrivals_per_s:g} a second for {self._experiment.load.duration_s:g} s"
            )
            try:
                yield zero_ns
            except EndedEarly as ended:
                self.problem(ended.result, str(ended))
            finally:
                # Nobody is due any more from here on: healing what is left is no longer part of the load.
                self._append({"event": "phase", "phase": "drain", "at_ns": time.monotonic_ns()})
                if self._conductor.injected:
                    self._progress.say(f"healing {', '.join(self._conductor.injected)}")
                self._conductor.heal_all()
                for error in self._conductor.errors:
                    self.problem(Result.ERROR, f"{type(error).__name__}: {error}")
            self._load.finish(drain_s=DRAIN_S)
            self._settle()

    def planned(self, entry: Entry, *, due_ns: int) -> None:
        """A fault will come: from here on it is missed if it does not."""
        self._append(
            {
                "event": "planned",
                "fault": entry.fault,
                "kind": entry.injection.fault.kind,
                "targets": [],
                "due_ns": due_ns,
            }
        )

    def inject(self, entry: Entry) -> None:
        """Inject a planned fault. Raises `CannotInject`, and what `look_around` raises while it blocks."""
        self._conductor.inject(entry, meanwhile=self.look_around)

    def heal(self, fault: str) -> None:
        """Begin to heal a fault; what goes wrong is a problem of the run."""
        self._conductor.heal(fault)

    def wait_seen(self, fault: str) -> None:
        """Wait until it is known whether a fault has an effect; the history says it then. Bounded."""
        self._conductor.wait_seen(fault)

    def wait_healed(self, fault: str) -> None:
        """Wait until a fault that is being healed is seen to be gone, or is known not to be. Bounded."""
        self._conductor.wait_healed(fault)

    def look_early(self, due_ns: int) -> None:
        """Look at the books shortly before *due_ns*, the first injection, if customers have habits that need no fault.

        Raises `Convicted` when the money is wrong already.
        """
        ledger = self._environment.ledger() if early.checks(self._experiment) else None
        if ledger is None:
            return
        self.wait_until(due_ns - int(early.BEFORE_S * 1e9))
        early.look(ledger, self._live.read(), self._recorder)
        if wrong := early_findings(self._experiment, self._live.read()):
            told = "; ".join(f"{finding.checker}: {finding.summary}" for finding in wrong)
            raise Convicted(f"no fault was needed, so nothing was injected: {told}")

    def gate(self) -> None:
        """Raises `NotSteady` when the steady state does not hold now."""
        against = not_steady(self._experiment.steady_state, self._live.read())
        if against:
            raise NotSteady("there was no steady state, so nothing was injected: " + "; ".join(f.summary for f in against))

    def wait_until(self, due_ns: int) -> None:
        """Wait until *due_ns*, looking at the live history on the way. Raises `Stopped` or `Aborted`."""
        while (left_s := (due_ns - time.monotonic_ns()) / 1e9) > 0:
            # Judging takes some milliseconds: not shortly before something is due.
            if left_s > TICK_S:
                self.look_around()
            self._stop.wait(min(TICK_S, (due_ns - time.monotonic_ns()) / 1e9))
        if self._stop.is_set():
            raise Stopped(self._stop.reason)

    def look_around(self) -> None:
        """Look whether the run may go on, twice a second at most. Raises `Stopped`, `Aborted` and what has broken."""
        if self._stop.is_set():
            raise Stopped(self._stop.reason)
        if time.monotonic_ns() - self._looked_ns < TICK_S * 0.9e9:
            return
        self._looked_ns = time.monotonic_ns()
        history = self._live.read()
        self._progress.tick(history)
        if reason := reason_to_abort(self._experiment.abort_if, history):
            raise Aborted(reason)
        if self._record_failed:
            raise self._record_failed
        if not self._load.is_running():
            self._load.finish(drain_s=0.0)  # raises with the reason, where there is one
            raise LoadFailed("the load ended before its time and gave no reason")

    def history(self) -> History:
        """What is recorded up to now."""
        return self._live.read()

    def fail(self, error: BaseException) -> None:
        """Keep an exception as the problem of the run that it is."""
        match error:
            case Stopped():
                self.problem(Result.ABORTED, f"stopped: {error}")
            case ChaoskitError():
                self.problem(Result.ERROR, f"{type(error).__name__}: {error}")
            case KeyboardInterrupt():
                self.problem(Result.ABORTED, INTERRUPTED)
            case Exception():
                trace = self._experiment.secrets.redact("".join(traceback.format_exception(error)))
                (self._folder.logs / "chaoskit.log").write_text(trace, encoding="utf-8")
                what = f"{type(error).__name__}: {error}"
                self.problem(Result.ERROR, f"chaoskit itself broke: {what} (logs/chaoskit.log has the place)")
            case _:
                what = f"{type(error).__name__}: {error}".partition("\n")[0]
                self.problem(Result.ABORTED, f"stopped: {what}")

    def problem(self, result: Result, text: str) -> None:
        """Something went wrong with the run itself, which makes its verdict *result* or worse."""
        self._progress.say(f"{result.value}: {text}")
        # When the disk is full the verdict says so by the missing end of the history; a second failure adds nothing.
        with contextlib.suppress(CannotRecord):
            self._recorder.append({"event": "problem", "result": result.value, "text": text}, sync=True)

    def _settle(self) -> None:
        ledger = self._environment.ledger()
        if ledger is None or self._conductor.injected:
            return
        self._progress.say("reading the books, twice")
        self._append({"event": "phase", "phase": "settle", "at_ns": time.monotonic_ns()})
        settle(ledger, self._live.read(), self._recorder, self._stop)

    def _look(self, probe: Probe) -> None:
        at_ns = time.monotonic_ns()
        samples: list[Event] = [
            {"event": "sample", "probe": probe.name, "subject": subject, "at_ns": at_ns, "values": dict(values)}
            for subject, values in probe.look(self._environment)
        ]
        try:
            self._recorder.append(*samples)
        except CannotRecord as error:
            self._record_failed = error

    def _take_errors(self, crew: Crew) -> None:
        for error in crew.errors:
            self.problem(Result.ERROR, f"a probe broke: {type(error).__name__}: {error}")

    def _down(self) -> None:
        if self._is_up:
            self._keep_logs()
            if self._conductor.errors:
                return  # what may still be there outlives the run, so its ledger stays open
        else:
            self._progress.say("taking everything down")
            try:
                self._environment.down()
            except CannotHeal as error:
                self.problem(Result.ERROR, f"CannotHeal: {error}")
                return
        with contextlib.suppress(CannotRecord):  # whoever reads the ledger finds nothing left, which is as good
            self._undo.closed()

    def _keep_logs(self) -> None:
        """Keep the ends of what the services of an environment that stays up have printed, where it can tell."""
        tail: Callable[..., str] | None = getattr(self._environment, "log_tail", None)
        if tail is None:
            return
        for name in self._environment.topology.service_names:
            try:
                text = tail(name, most_bytes=LOG_BYTES)
            except Exception as error:  # somebody else's code; that a log is missing says nothing of the system
                text = f"its log cannot be had: {type(error).__name__}: {error}"
            if len(text.encode()) >= LOG_BYTES:
                text = text.partition("\n")[2]  # the first line was cut, and it may have been cut in the middle of a secret
            if not text:
                continue
            kept = without_url_passwords(self._experiment.secrets.redact(text))
            try:
                (self._folder.logs / f"{name}.log").write_text(kept, encoding="utf-8")
            except OSError as error:
                self.problem(Result.ERROR, f"logs/{name}.log could not be written ({error.strerror})")

    def _append(self, event: Event) -> None:
        self._recorder.append(event)

    def _load_plan(self) -> LoadPlan:
        topology = self._environment.topology
        host, port = self._environment.address(*topology.entry)
        if not is_loopback(host) and Permission.REMOTE_TARGET not in self._terms.allowed:
            raise UsageError(
                f"customers of the {topology.name} would go to {host}:{port}, which is not on loopback; "
                f"allow it with --allow {Permission.REMOTE_TARGET}"
            )
        return load_plan(
            self._experiment, topology, seed=self._seed, url=f"http://{host}:{port}", history=str(self._folder.history)
        )

    def _record_start(self) -> None:
        topology, choice = self._environment.topology, self._experiment.environment
        self._append(
            {
                "event": "run",
                "format": 1,
                "run": self._folder.path.name,
                "title": self._experiment.title,
                "seed": self._seed,
                "reproduce": self._reproduce,
                "environment": choice.use,
                "fixture": choice.fixture,
                "on": self._environment.name,
                "options": dict(choice.options),
                "allowed": [permission.value for permission in self._terms.allowed],
                "at_ns": time.monotonic_ns(),
                "wall": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                "machine": _machine(),
                **({"currency": dataclasses.asdict(topology.currency)} if topology.currency else {}),
            }
        )
        if topology.opening is not None:
            balances = topology.opening(self._seed, choice.options)
            self._append({"event": "opening", "balances": dict(balances)})


def conclude(experiment: Experiment, folder: RunFolder, *, seed: int, reproduce: str) -> Verdict:
    """Judge what is in the folder, and put the verdict there. Raises `CannotRecord`."""
    folder.redact_logs(experiment.secrets)
    verdict = judge(experiment, folder.read_history(), seed=seed, reproduce=reproduce)
    folder.write_verdict(verdict)
    folder.seal()
    return verdict


def _machine() -> Mapping[str, str]:
    return {
        "chaoskit": __version__,
        "python": sys.version.split()[0],
        "system": f"{platform.system()} {platform.release()}",
        "processors": str(os.cpu_count()),
        "load_1m": f"{os.getloadavg()[0]:.2f}",
    }
