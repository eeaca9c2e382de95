"""Runs one experiment from an empty folder to a verdict. Blocks for as long as the experiment takes.

Whatever happens, what was injected is healed, what was started is ended, and the folder holds a verdict.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
import sys
import time
import traceback
from collections.abc import Mapping

from chaoskit import __version__
from chaoskit.engine.blast import Blast
from chaoskit.engine.conductor import Conductor
from chaoskit.engine.crew import Crew
from chaoskit.engine.guard import StopFlag, check_capabilities, not_steady, reason_to_abort
from chaoskit.engine.judge import judge
from chaoskit.engine.recorder import JsonLines, LiveHistory
from chaoskit.engine.schedule import Act, load_plan, plan
from chaoskit.engine.settle import settle
from chaoskit.engine.store import RunFolder
from chaoskit.engine.undo import UndoLedger
from chaoskit.model.errors import CannotHeal, CannotRecord, ChaoskitError, LoadFailed, Stopped, UsageError
from chaoskit.model.experiment import Experiment
from chaoskit.model.history import Event
from chaoskit.model.policy import Permission, Terms, is_loopback
from chaoskit.model.protocols import Environment, Load, LoadPlan, Probe, Progress, Stage
from chaoskit.model.undo import Holder
from chaoskit.model.verdict import Result, Verdict

TICK_S = 0.5
"""How often the live history is looked at: abort rules act within a second."""
DRAIN_S = 6.0
"""Three attempts of two seconds each, the longest that the bank's journeys wait for one answer."""
GATE_BEFORE_S = 0.2
"""The steady state is judged this long before the first injection, so that the injection is not late."""
LOAD_READY_S = 20.0
"""Starting one Python process takes a fraction of a second; on a starved machine some."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Everybody who takes part in a run, handed in by a door."""

    environment: Environment
    load: Load
    probes: tuple[Probe, ...]
    progress: Progress
    stop: StopFlag
    terms: Terms = dataclasses.field(default_factory=Terms)


class _NotSteady(ChaoskitError):
    """There was no steady state, so nothing was injected."""


class _Aborted(ChaoskitError):
    """An abort rule said that the run must end."""


def run(experiment: Experiment, cast: Cast, *, folder: RunFolder, seed: int, reproduce: str, owner: str = "") -> Verdict:
    """Run *experiment* and judge it. The verdict is also in the folder; raises `CannotRecord` when it could not be put there.

    *owner* is the id of this process, by which another one can see whether it is still alive.
    """
    with contextlib.ExitStack() as files:
        recorder = files.enter_context(JsonLines(folder.history, secrets=experiment.secrets))
        undo = UndoLedger(folder.undo, secrets=experiment.secrets)
        files.callback(undo.close)
        _Run(experiment, cast, folder, recorder, undo, owner=owner, seed=seed, reproduce=reproduce).go()
    history = folder.read_history()
    verdict = judge(experiment, history, seed=seed, reproduce=reproduce)
    folder.write_verdict(verdict)
    return verdict


class _Run:
    """One run under way."""

    def __init__(
        self,
        experiment: Experiment,
        cast: Cast,
        folder: RunFolder,
        recorder: JsonLines,
        undo: UndoLedger,
        *,
        owner: str,
        seed: int,
        reproduce: str,
    ) -> None:
        self._experiment = experiment
        self._owner, self._reproduce = owner, reproduce
        self._environment, self._load, self._stop = cast.environment, cast.load, cast.stop
        self._probes, self._progress = cast.probes, cast.progress
        self._folder, self._seed = folder, seed
        self._recorder, self._undo = recorder, undo
        self._live = LiveHistory(folder.history)
        self._schedule = plan(experiment, seed=seed)
        self._terms = cast.terms
        blast = Blast((experiment.limits, *cast.terms.limits), self._environment.topology)
        self._conductor = Conductor(Stage(self._environment, self._load), recorder, undo, blast=blast)
        self._record_failed: CannotRecord | None = None
        self._looked_ns = 0

    def go(self) -> None:
        """Everything between the empty folder and the last line of the history. Errors become problems in the history."""
        self._record_start()
        try:
            self._undo.opened(
                Holder(
                    run=self._folder.path.name,
                    owner=self._owner,
                    leftovers=self._environment.run,
                    engine=self._environment.engine_address,
                )
            )
            check_capabilities(self._experiment, self._environment)
            self._run_system()
        except Stopped as stopped:
            self._problem(Result.ABORTED, f"stopped: {stopped}")
        except ChaoskitError as error:
            self._problem(Result.ERROR, f"{type(error).__name__}: {error}")
        except KeyboardInterrupt:
            self._problem(Result.ABORTED, "stopped: interrupted")
        except Exception as error:
            trace = self._experiment.secrets.redact(traceback.format_exc())
            (self._folder.logs / "chaoskit.log").write_text(trace, encoding="utf-8")
            self._problem(Result.ERROR, f"chaoskit itself broke: {type(error).__name__}: {error} (logs/chaoskit.log has the place)")
        self._recorder.append({"event": "finished", "at_ns": time.monotonic_ns()}, sync=True)

    def _run_system(self) -> None:
        with contextlib.ExitStack() as system:
            system.callback(self._down)
            started = time.monotonic()
            self._environment.up(is_stopping=self._stop.is_set, say=self._progress.say)
            self._progress.say(f"the {self._environment.topology.name} is up after {time.monotonic() - started:.1f} s")
            self._append({"event": "facts", "facts": dict(self._environment.facts())})
            system.callback(self._load.close)
            self._load.start(self._load_plan(), timeout_s=LOAD_READY_S)
            crew = Crew()
            system.callback(self._take_errors, crew)
            system.enter_context(crew)
            for probe in self._probes:
                crew.every(probe.every_s, lambda probe=probe: self._look(probe), name=f"probe-{probe.name}")  # type: ignore[misc]
            self._drive()
            self._settle()

    def _drive(self) -> None:
        """Let customers in, break things, heal them, see the customers out."""
        zero_ns = self._load.begin()
        self._append({"event": "phase", "phase": "load", "at_ns": zero_ns})
        for entry in self._schedule.entries:
            if entry.act is Act.INJECT:
                self._append(
                    {
                        "event": "planned",
                        "fault": entry.fault,
                        "kind": entry.injection.fault.kind,
                        "targets": [],
                        "due_ns": zero_ns + int(entry.at_s * 1e9),
                    }
                )
        self._progress.say(
            f"customers arrive, {self._experiment.load.arrivals_per_s:g} a second for {self._experiment.load.duration_s:g} s"
        )
        try:
            self._conduct(zero_ns)
        except (_NotSteady, _Aborted) as ended:
            # The load ends, but the books are still read: a run that ended early must show what it found.
            self._problem(Result.INCONCLUSIVE if isinstance(ended, _NotSteady) else Result.ABORTED, str(ended))
        finally:
            # Nobody is due any more from here on: healing what is left is no longer part of the load.
            self._append({"event": "phase", "phase": "drain", "at_ns": time.monotonic_ns()})
            if self._conductor.injected:
                self._progress.say(f"healing {', '.join(self._conductor.injected)}")
            self._conductor.heal_all()
            for error in self._conductor.errors:
                self._problem(Result.ERROR, f"{type(error).__name__}: {error}")
        self._load.finish(drain_s=DRAIN_S)

    def _conduct(self, zero_ns: int) -> None:
        gate_open = False
        for entry in self._schedule.entries:
            due_ns = zero_ns + int(entry.at_s * 1e9)
            if entry.act is Act.INJECT and not gate_open:
                self._wait_until(due_ns - int(GATE_BEFORE_S * 1e9))
                self._gate()
                gate_open = True
            self._wait_until(due_ns)
            if entry.act is Act.INJECT:
                self._conductor.inject(entry, meanwhile=self._look_around)
                self._progress.say(f"{entry.at_s:5.1f} s  injected {entry.fault}")
            else:
                self._conductor.heal(entry.fault)
                self._progress.say(f"{entry.at_s:5.1f} s  healing {entry.fault}")
        self._wait_until(zero_ns + int(self._schedule.ends_s * 1e9))

    def _gate(self) -> None:
        against = not_steady(self._experiment.steady_state, self._live.read())
        if against:
            raise _NotSteady("there was no steady state, so nothing was injected: " + "; ".join(f.summary for f in against))

    def _wait_until(self, due_ns: int) -> None:
        """Wait until *due_ns*, looking at the live history on the way. Raises `Stopped` or `_Aborted`."""
        while (left_s := (due_ns - time.monotonic_ns()) / 1e9) > 0:
            # Judging takes some milliseconds: not shortly before something is due.
            if left_s > TICK_S:
                self._look_around()
            self._stop.wait(min(TICK_S, (due_ns - time.monotonic_ns()) / 1e9))
        if self._stop.is_set():
            raise Stopped(self._stop.reason)

    def _look_around(self) -> None:
        """Look whether the run may go on, twice a second at most. Raises `Stopped`, `_Aborted` and what has broken."""
        if self._stop.is_set():
            raise Stopped(self._stop.reason)
        if time.monotonic_ns() - self._looked_ns < TICK_S * 0.9e9:
            return
        self._looked_ns = time.monotonic_ns()
        history = self._live.read()
        self._progress.tick(history)
        if reason := reason_to_abort(self._experiment.abort_if, history):
            raise _Aborted(reason)
        if self._record_failed:
            raise self._record_failed
        if not self._load.is_running():
            self._load.finish(drain_s=0.0)  # raises with the reason, where there is one
            raise LoadFailed("the load ended before its time and gave no reason")

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
            self._problem(Result.ERROR, f"a probe broke: {type(error).__name__}: {error}")

    def _down(self) -> None:
        self._progress.say("taking everything down")
        try:
            self._environment.down()
        except CannotHeal as error:
            self._problem(Result.ERROR, f"CannotHeal: {error}")
        else:
            with contextlib.suppress(CannotRecord):  # whoever reads the ledger finds nothing left, which is as good
                self._undo.closed()

    def _problem(self, result: Result, text: str) -> None:
        self._progress.say(f"{result.value}: {text}")
        # When the disk is full the verdict says so by the missing end of the history; a second failure adds nothing.
        with contextlib.suppress(CannotRecord):
            self._recorder.append({"event": "problem", "result": result.value, "text": text}, sync=True)

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


def _machine() -> Mapping[str, str]:
    return {
        "chaoskit": __version__,
        "python": sys.version.split()[0],
        "system": f"{platform.system()} {platform.release()}",
        "processors": str(os.cpu_count()),
        "load_1m": f"{os.getloadavg()[0]:.2f}",
    }
