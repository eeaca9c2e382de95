"""Runs experiments and breaks things by hand, from anybody's own tests: `Chaos`. Works with pytest and without.

What is done by hand gets the same record, the same care and the same verdict as an experiment from a document.
"""

from __future__ import annotations

import contextlib
import os
import random
import shlex
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from chaoskit import wiring
from chaoskit.engine.guard import StopFlag
from chaoskit.engine.live import INTERRUPTED, Cast, LiveRun, conclude
from chaoskit.engine.schedule import Act, Entry
from chaoskit.engine.store import BY_HAND, RunFolder
from chaoskit.machine import Machine
from chaoskit.model.errors import CannotInject, ChaoskitError, UsageError
from chaoskit.model.experiment import EnvironmentChoice, Experiment, Injection, LoadShape, Unanswered
from chaoskit.model.history import Event, History
from chaoskit.model.journey import Habit
from chaoskit.model.protocols import Checker, Environment, Fault, Load, LoadControl, Progress, Sign
from chaoskit.model.topology import Topology
from chaoskit.model.verdict import Result, Verdict
from chaoskit.registry import Registry
from chaoskit.wiring import Given, Request

BOOKS_READ: weakref.WeakSet[Environment] = weakref.WeakSet()
"""Environments whose books a run has moved: the opening balances that the next one would be judged by hold no more."""


class NotPassed(AssertionError):
    """A verdict that is not PASSED: FAILED, INCONCLUSIVE or ABORTED. The text has the findings and the command to reproduce."""

    def __init__(self, verdict: Verdict, folder: Path) -> None:
        from chaoskit.reports.text import text_report

        self.verdict = verdict
        self.folder = folder
        super().__init__(text_report(verdict, folder=str(folder)))


class HarnessFailed(ChaoskitError):
    """The verdict is ERROR: chaoskit could not inject, heal or record, so nothing is known of the system."""

    def __init__(self, verdict: Verdict, folder: Path) -> None:
        from chaoskit.reports.text import text_report

        self.verdict = verdict
        self.folder = folder
        super().__init__(text_report(verdict, folder=str(folder)))


class Chaos:
    """Runs experiments, and breaks things by hand. For one thread; leave it by `close`, or as a context manager.

    *environment* is one that is up already, and stays up. *runs* is where run folders go, *title* what runs by hand are called,
    *reproduce* the command that does the same again, *lock* a name for a copy of the environment that nobody else uses.
    *observe* is told of every record of a run (`{"event": "injected", …}`), from whichever thread wrote it.
    """

    def __init__(
        self,
        environment: Environment | None = None,
        *,
        runs: Path = Path("runs"),
        title: str = "",
        reproduce: str = "",
        seed: int | None = None,
        registry: Registry | None = None,
        allow: tuple[str, ...] = (),
        lock: str = "",
        observe: Callable[[Event], None] = lambda _event: None,
        progress: Progress | None = None,
        machine: Machine | None = None,
        new_load: Callable[[], Load] | None = None,
    ) -> None:
        self._environment = environment
        self._runs, self._title, self._reproduce = runs, title, reproduce
        self._seed, self._allow, self._lock = seed, allow, lock
        self._registry = registry or Registry()
        self._observe, self._machine, self._new_load = observe, machine, new_load
        self._progress: Progress = progress or _Silent()
        self._verdicts: list[tuple[Verdict, Path]] = []
        self._by_hand: _ByHand | None = None

    @property
    def environment(self) -> Environment | None:
        """The environment that was given, which is up."""
        return self._environment

    @property
    def verdicts(self) -> tuple[tuple[Verdict, Path], ...]:
        """Every verdict so far, with its run folder, the oldest first."""
        return tuple(self._verdicts)

    def run(
        self,
        experiment: Experiment | str | os.PathLike[str],
        environment: Environment | None = None,
        *,
        on: str | None = None,
        options: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        seed: int | None = None,
        entry: str = "",
    ) -> Verdict:
        """Run an experiment, or the document at a path, to its verdict, whatever that is; `check` raises unless it passed.

        On *environment*, or the one that was given to `Chaos`: it is up, and stays up. Without either, the experiment's own is
        started and taken down. *entry* is the id of one entry of the document's matrix; `entries` gives them all.
        Blocks for as long as the experiment takes. Raises `InvalidDocument`, `UsageError`, `Unsupported` and `MissingPart` before
        anything is started, and KeyboardInterrupt after all is healed.
        """
        used = environment or self._environment
        for word, is_given in {"on": on is not None, "options": bool(options), "entry": bool(entry)}.items():
            if is_given and isinstance(experiment, Experiment):
                raise UsageError(
                    f"chaos.run: {word}=… chooses in a document, and an Experiment says itself what it is; leave it out"
                )
            if is_given and used is not None and word != "entry":
                raise UsageError(f"chaos.run: {word}=… chooses what is started, and {_is_up(used)}; leave it out")
        request = Request(
            path=Path(experiment.source or self._title) if isinstance(experiment, Experiment) else Path(experiment),
            seed=self._seed if seed is None else seed,
            runs=self._runs,
            on=on,
            options=options or {},
            variables=variables or {},
            entry=entry,
            allow=self._allow,
        )
        read = experiment if isinstance(experiment, Experiment) else wiring.read(request, self._registry)
        if not read.expect:
            raise UsageError(
                f"{read.source or 'chaos.run'}: {read.title!r} expects nothing, and no expectation is no pass; name a check"
            )
        if environment is None and (own := self._environment_of(read)) is not None:
            used = own
        if used is not None:
            read = self._held_together(read, used, variables)
        self._take(used)
        # One that was built in Python has no command of its own.
        reproduce = self._reproduce or ("" if read.source else f"run {self._title or read.title!r} again")
        name, turn_within_s = self._lock_of(used)
        verdict, folder = wiring.carry_out(
            replace(request, lock=name, turn_within_s=turn_within_s),
            read,
            self._registry,
            seed=request.with_seed(),
            progress=self._progress,
            stop=StopFlag(),
            machine=self._machine,
            given=Given(environment=used, load=self._load(), observe=self._observe, reproduce=reproduce),
        )
        self._verdicts.append((verdict, folder.path))
        if INTERRUPTED in verdict.problems:
            raise KeyboardInterrupt  # everything is healed; whoever pressed it wants more than this run to end
        return verdict

    def entries(self, path: str | os.PathLike[str], *, variables: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """The id of every entry of the matrix of the document at *path*, in its order, each of them for `run`.

        That is ("",) for a document without a matrix, which `run` takes, too. Raises `InvalidDocument`.
        """
        from chaoskit import documents

        experiments = documents.expand(Path(path), registry=self._registry, variables=variables)
        return tuple(experiment.entry for experiment in experiments)

    def check(self, verdict: Verdict) -> Verdict:
        """Returns a verdict of this object that is PASSED. Raises `NotPassed` for any other one, `HarnessFailed` for ERROR."""
        folder = next((path for one, path in self._verdicts if one is verdict), Path())
        if verdict.result is Result.ERROR:
            raise HarnessFailed(verdict, folder)
        if verdict.result is not Result.PASSED:
            raise NotPassed(verdict, folder)
        return verdict

    @contextlib.contextmanager
    def load(
        self,
        *,
        arrivals_per_s: float,
        mix: Mapping[str, float],
        at_most_s: float = 600.0,
        seed: int | None = None,
        habits: Mapping[Habit, float] | None = None,
        unanswered: Unanswered = Unanswered.TOMBSTONE,
    ) -> Iterator[LoadControl]:
        """Let customers in for the length of the block: the first part of a run by hand, which `verify` judges.

        *mix* weighs the journeys of the environment, *habits* say which share of the customers has which one, at most one each. At
        the end of the block, or after *at_most_s*, no more customers come; those who are there may finish, what is injected is
        healed, what had no clear answer is dealt with as *unanswered* says, and the books are read. An error of the block ends
        the run as ABORTED, and is raised.
        """
        environment = self._needed()
        if self._by_hand is not None:
            raise UsageError("chaos.load: the load before was not judged yet; call chaos.verify(...) after its block")
        if unknown := sorted(set(mix) - set(environment.topology.journey_names)):
            known = ", ".join(environment.topology.journey_names) or "none: declare them where the environment is declared"
            raise UsageError(f"chaos.load: {', '.join(unknown)} is not a journey of the {environment.topology.name} ({known})")
        _check_habits(habits or {}, environment.topology)
        self._take(environment)
        experiment = Experiment(
            title=self._title or "a run by hand",
            environment=EnvironmentChoice(use=environment.topology.name, on=environment.name),
            load=LoadShape(
                arrivals_per_s=arrivals_per_s, duration_s=at_most_s, mix=mix, habits=habits or {}, unanswered=unanswered
            ),
            document=f"{BY_HAND}; the same again: {self._reproduce or self._title}\n",
        )
        name, turn_within_s = self._lock_of(environment)
        request = Request(
            path=Path(self._title or "a run by hand"),
            seed=self._seed if seed is None else seed,
            runs=self._runs,
            allow=self._allow,
            lock=name,
            turn_within_s=turn_within_s,
        )
        number = random.randrange(1, 1_000_000) if request.seed is None else request.seed
        by_hand = _ByHand(experiment, seed=number, reproduce=self._reproduce or f"run {shlex.quote(self._title)} again")
        given = Given(environment=environment, load=self._load(), observe=self._observe)
        with contextlib.ExitStack() as stack:
            cast, folder = stack.enter_context(
                wiring.staged(
                    request,
                    experiment,
                    self._registry,
                    seed=number,
                    progress=self._progress,
                    stop=StopFlag(),
                    machine=self._machine,
                    given=given,
                )
            )
            self._by_hand = by_hand
            with by_hand.going_on(cast, folder):
                yield cast.load

    @contextlib.contextmanager
    def fault(self, fault: Fault) -> Iterator[Sign]:
        """Inject *fault* for the length of a block inside a `load` block, and give the sign by which its effect was seen.

        At the end of the block it is healed, and seen to be. Raises `CannotInject`, without the block, when its effect is not seen.
        """
        by_hand = self._by_hand
        if by_hand is None or by_hand.live is None:
            raise UsageError(
                "chaos.fault: there is no load, so nobody would see what the fault does; use it inside `with chaos.load(...)`, "
                "or chaoskit.testing.injected for a test that drives the system itself"
            )
        with by_hand.injected(fault) as sign:
            yield sign

    def history(self) -> History:
        """What the run by hand has recorded up to now. Raises `UsageError` outside of a `load` block."""
        if self._by_hand is None or self._by_hand.live is None:
            raise UsageError("chaos.history: there is no load; use it inside `with chaos.load(...)`")
        return self._by_hand.live.history()

    def verify(self, *checks: Checker) -> Verdict:
        """Judge the run by hand, after its `load` block. Returns a verdict that is PASSED, raises as `check` does otherwise."""
        by_hand = self._by_hand
        if by_hand is None or by_hand.folder is None:
            raise UsageError("chaos.verify: there is nothing to judge; let customers in first: with chaos.load(...)")
        if by_hand.live is not None:
            raise UsageError("chaos.verify: the load still goes on; call it after the block of chaos.load(...)")
        if not checks:
            raise UsageError("chaos.verify: no check was given, and no expectation is no pass; name at least one")
        self._by_hand = None
        return self.check(self._judged(by_hand, checks))

    def close(self) -> None:
        """The end. A load that nobody has judged is an error: a test that asserts nothing must not pass. Raises `HarnessFailed`."""
        by_hand, self._by_hand = self._by_hand, None
        if by_hand is None or by_hand.folder is None:
            return
        verdict = self._judged(by_hand, ())
        if not by_hand.was_cut_off:
            problem = "the load was never judged: call chaos.verify(...) with what must hold"
            verdict = replace(verdict, result=Result.ERROR, problems=(problem, *verdict.problems))
            by_hand.folder.write_verdict(verdict)
            wiring.report(verdict, by_hand.folder)
            self._verdicts[-1] = (verdict, by_hand.folder.path)
            raise HarnessFailed(verdict, by_hand.folder.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.close()
        except HarnessFailed:
            if error is None:  # a block that has failed by itself need not have come to its verdict
                raise

    def _held_together(self, read: Experiment, used: Environment, variables: Mapping[str, str] | None) -> Experiment:
        """The experiment, which is about *used*: that is up, so nothing of it can be chosen any more. Raises `UsageError`."""
        choice = read.environment
        if choice.fixture and not choice.use:
            from chaoskit import documents

            return documents.bind(read, used.topology, registry=self._registry, variables=variables)
        if not read.source:
            return read
        name, wanted = used.topology.name, self._registry.topology(choice.use).name
        if wanted != name:
            raise UsageError(
                f"{read.source}: environment: the document is about {wanted!r}, and the environment that it would run on "
                f"is {name!r}; give it the right one"
            )
        if choice.on not in (None, used.name):
            raise UsageError(f"{read.source}: environment.on: {choice.on!r} is asked for, and {_is_up(used)}; leave it out")
        if choice.options:
            raise UsageError(
                f"{read.source}: environment.options: {', '.join(choice.options)} is asked for, and {_is_up(used)}; leave it out"
            )
        return read

    def _judged(self, by_hand: _ByHand, checks: tuple[Checker, ...]) -> Verdict:
        assert by_hand.folder is not None
        experiment = replace(by_hand.experiment, expect=checks, faults=tuple(by_hand.injections))
        verdict = conclude(experiment, by_hand.folder, seed=by_hand.seed, reproduce=by_hand.reproduce)
        wiring.report(verdict, by_hand.folder)
        self._verdicts.append((verdict, by_hand.folder.path))
        return verdict

    def _needed(self) -> Environment:
        if self._environment is None:
            raise UsageError("chaos: no environment was given; give one that is up: Chaos(environment)")
        return self._environment

    def _take(self, environment: Environment | None) -> None:
        """An environment with opening balances takes one run: the next one would be judged by balances that hold no more.

        Where none were declared, each run reads them at its beginning.
        """
        if environment is None or environment.topology.ledger is None or environment.topology.opening is None:
            return
        if environment in BOOKS_READ:
            raise UsageError(
                f"environment {environment.topology.name}: an earlier run has moved its money, so its opening balances are not "
                "known any more; give each run an environment of its own (a fixture of scope `function`)"
            )
        BOOKS_READ.add(environment)

    def _environment_of(self, read: Experiment) -> Environment | None:  # noqa: ARG002 - for whoever can get fixtures
        """The environment that the document of *read* itself names, where it names what is up; None where nobody can give that."""
        return None

    def _lock_of(self, environment: Environment | None) -> tuple[str, float]:  # noqa: ARG002 - for whoever knows whose it is
        """The name of the copy that this is, and how many seconds another run on it is waited for."""
        return self._lock, 0.0

    def _load(self) -> Load | None:
        return None if self._new_load is None else self._new_load()


def _is_up(environment: Environment) -> str:
    return f"environment {environment.topology.name!r} is up already (on {environment.name})"


class _ByHand:
    """A run that a test drives: what was injected, and where its record is."""

    def __init__(self, experiment: Experiment, *, seed: int, reproduce: str) -> None:
        self.experiment = experiment
        self.seed, self.reproduce = seed, reproduce
        self.injections: list[Injection] = []
        self.live: LiveRun | None = None
        """None before and after the load."""
        self.folder: RunFolder | None = None
        self.was_cut_off = False
        """Whether the block was left by an error, which the test tells by itself."""
        self._zero_ns = 0

    @contextlib.contextmanager
    def going_on(self, cast: Cast, folder: RunFolder) -> Iterator[None]:
        from chaoskit.environments import owner

        self.folder = folder
        live = LiveRun(self.experiment, cast, folder, seed=self.seed, reproduce=self.reproduce, owner=owner.new_run())
        with live:
            try:
                with live.system(), live.customers() as zero_ns:
                    self.live, self._zero_ns = live, zero_ns
                    try:
                        yield
                    except ChaoskitError:
                        raise
                    except BaseException as error:
                        what = f"{type(error).__name__}: {error}".partition("\n")[0]
                        live.problem(Result.ABORTED, f"the test left the load by {what}")
                        raise
                    finally:
                        self.live = None
            except ChaoskitError as error:
                self.was_cut_off = True
                live.fail(error)
                raise
            except BaseException:
                self.was_cut_off = True
                raise

    @contextlib.contextmanager
    def injected(self, fault: Fault) -> Iterator[Sign]:
        assert self.live is not None
        live, due_ns = self.live, time.monotonic_ns()
        injection = Injection(fault=fault, at_s=max(0.0, (due_ns - self._zero_ns) / 1e9))
        name = f"faults[{len(self.injections)}] {fault.kind}"
        entry = Entry(at_s=injection.at_s, act=Act.INJECT, fault=name, injection=injection)
        self.injections.append(injection)
        live.planned(entry, due_ns=due_ns)
        live.inject(entry)
        try:
            live.wait_seen(name)
            seen = next(one for one in live.history().faults if one.fault == name)
            if not seen.effect_seen:
                raise CannotInject(f"{name} was applied and had no effect: {seen.evidence or 'there was no sign of it'}")
            yield Sign(present=True, evidence=seen.evidence)
        finally:
            live.heal(name)
            live.wait_healed(name)


def _check_habits(habits: Mapping[Habit, float], topology: Topology) -> None:
    """Raises `UsageError` for habits that nobody would have, or that more customers would have than come."""
    if unknown := sorted(set(habits) - set(topology.habit_names)):
        known = ", ".join(topology.habit_names) or "none: declare them where the environment is declared"
        raise UsageError(f"chaos.load: {', '.join(unknown)} is not a habit that journeys of the {topology.name} heed ({known})")
    if wrong := [f"{name} {share!r}" for name, share in habits.items() if not 0 < share <= 1]:
        raise UsageError(f"chaos.load: {', '.join(wrong)}; expected shares above 0 and up to 1")
    if sum(habits.values()) > 1 + 1e-9:
        raise UsageError(f"chaos.load: the shares of habits come to {sum(habits.values()):g}; expected at most 1, one habit each")


class _Silent:
    """Progress for nobody."""

    def say(self, line: str) -> None: ...
    def tick(self, history: History) -> None: ...
