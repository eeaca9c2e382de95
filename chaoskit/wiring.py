"""Puts an experiment's parts together and runs it: what every door does, in one place.

Nothing that an environment or a load needs is imported before an experiment really runs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import random
import re
import shlex
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar, cast

from chaoskit.engine.guard import StopFlag, check_capabilities
from chaoskit.engine.judge import judge
from chaoskit.engine.live import Cast
from chaoskit.engine.runner import run
from chaoskit.engine.schedule import Act, load_plan, plan
from chaoskit.engine.store import RunFolder
from chaoskit.machine import Machine
from chaoskit.model.errors import ChaoskitError, MissingPart, NotExercised, Unsupported, UsageError
from chaoskit.model.experiment import Experiment
from chaoskit.model.history import Event
from chaoskit.model.journey import Habit
from chaoskit.model.policy import Permission
from chaoskit.model.protocols import Environment, Fault, Load, Probe, Progress
from chaoskit.model.secrets import MARK
from chaoskit.model.verdict import Result, Verdict
from chaoskit.registry import Registry

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a door was asked to run. `seed` None draws one, which is printed and stored."""

    path: Path
    seed: int | None = None
    runs: Path = Path("runs")
    on: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    entry: str = ""
    """The one entry of the document's matrix that is meant; "" for a document without one, or for all of them."""
    allow: tuple[str, ...] = ()
    """What is allowed by name, such as `production`."""
    lock: str = ""
    """Which copy of the environment this is, where there are several that share nothing; "" for the one that all share."""
    turn_within_s: float = 0.0
    """How long another run on the same copy is waited for; 0 refuses at once."""

    def with_seed(self) -> int:
        return random.randrange(1, 1_000_000) if self.seed is None else self.seed

    def reproduce(self, seed: int, *, entry: str = "") -> str:
        """The command that runs the same again."""
        words = ["chaoskit", "run", str(self.path), "--seed", str(seed)]
        words += ["--entry", entry] if entry else []
        words += ["--on", self.on] if self.on else []
        words += [word for name, value in self.options.items() for word in ("--option", f"{name}={value}")]
        words += [word for name, value in self.variables.items() for word in ("--var", f"{name}={value}")]
        words += [word for one in self.allow for word in ("--allow", one)]
        return shlex.join(words)


def read(request: Request, registry: Registry) -> Experiment:
    """The experiment of a request. Raises `InvalidDocument` with every mistake."""
    from chaoskit import documents

    return documents.read(
        request.path,
        registry=registry,
        variables=request.variables,
        options=request.options,
        on=request.on,
        entry=request.entry,
    )


def read_all(request: Request, registry: Registry) -> tuple[Experiment, ...]:
    """The experiment of a request, or every one of a document with a matrix that the request names no entry of."""
    from chaoskit import documents

    if request.entry:
        return (read(request, registry),)
    return documents.expand(request.path, registry=registry, variables=request.variables, options=request.options, on=request.on)


def hold_back_unbound(experiment: Experiment) -> None:
    """Refuse an experiment whose environment only pytest can give: nobody has checked its names. Raises `UsageError`."""
    choice = experiment.environment
    if choice.fixture and not choice.use:
        raise UsageError(
            f"{experiment.source or experiment.title}: environment.fixture: {choice.fixture!r} is a fixture of pytest, "
            f"which alone can give this environment; run it by pytest: pytest {shlex.quote(experiment.source)}"
        )


def _without_secrets_in_errors(
    call: Callable[Concatenate[Request, Experiment, P], T],
) -> Callable[Concatenate[Request, Experiment, P], T]:
    @functools.wraps(call)
    def called(request: Request, experiment: Experiment, /, *args: P.args, **more: P.kwargs) -> T:
        try:
            return call(request, experiment, *args, **more)
        except BaseException as error:
            experiment.secrets.scrub(error)  # whoever catches it will print it
            raise

    return called


@_without_secrets_in_errors
def carry_out(
    request: Request,
    experiment: Experiment,
    registry: Registry,
    *,
    seed: int,
    progress: Progress,
    stop: StopFlag,
    machine: Machine | None = None,
    given: Given | None = None,
) -> tuple[Verdict, RunFolder]:
    """Run *experiment*. Raises `UsageError` and `Unsupported` before anything is started; from then on the verdict says it.

    *machine* None is this one. *given* is what the door brings along instead of having it made.
    """
    from chaoskit.environments import owner

    with staged(
        request, experiment, registry, seed=seed, progress=progress, stop=stop, machine=machine, given=given or Given()
    ) as (cast_of_run, folder):
        reproduce = (given.reproduce if given else "") or request.reproduce(seed, entry=experiment.entry)
        verdict = run(experiment, cast_of_run, folder=folder, seed=seed, reproduce=reproduce, owner=owner.new_run())
        report(verdict, folder)
    return verdict, folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a door brings along to a run: an environment that is up already, a load of its own, somebody who watches."""

    environment: Environment | None = None
    load: Load | None = None
    observe: Callable[[Event], None] = lambda _event: None
    reproduce: str = ""
    """The command that does the same again, where it is not the command line's; "" where it is."""


@contextlib.contextmanager
def staged(
    request: Request,
    experiment: Experiment,
    registry: Registry,
    *,
    seed: int,
    progress: Progress,
    stop: StopFlag,
    machine: Machine | None,
    given: Given,
) -> Iterator[tuple[Cast, RunFolder]]:
    """All that a run needs, once this machine has let it go: its cast, its folder, and a janitor beside it until this is left."""
    from chaoskit.janitor import Janitor
    from chaoskit.loads.process import OpenLoop
    from chaoskit.reports.progress import Discreet

    hold_back_unbound(experiment)
    build = None
    asked = given.environment
    if asked is None:
        build = _build(experiment, registry, seed=seed)
        # A place is asked what it can do before there is a folder: what cannot be run leaves nothing behind.
        asked = build(logs=request.runs)
    with (machine or Machine.here()).admitted(
        experiment,
        plan(experiment, seed=seed),
        asked.topology,
        place=asked.name,
        engine_address=asked.engine_address,
        allow=request.allow,
        lock_name=request.lock,
        turn_within_s=request.turn_within_s,
    ) as (terms, lock):
        check_capabilities(experiment, asked)
        folder = RunFolder.create(request.runs, experiment, seed=seed)
        lock.name(str(folder.path.resolve()))
        if build is not None:
            # Only places that use an engine know the word.
            remote = {"allow_remote": True} if asked.engine_address and Permission.REMOTE_ENGINE in terms.allowed else {}
            asked = build(logs=folder.logs, **remote)
        stop.asked = folder.stop
        with Janitor.start(folder, held=lock):
            yield (
                Cast(
                    environment=asked,
                    load=given.load or OpenLoop(),
                    probes=tuple(cast("Callable[[], Probe]", part.load())() for part in registry.parts("probes")),
                    progress=Discreet(progress, experiment.secrets),
                    stop=stop,
                    terms=terms,
                    is_up=build is None,
                    observe=given.observe,
                ),
                folder,
            )


def _build(experiment: Experiment, registry: Registry, *, seed: int) -> Callable[..., Environment]:
    """Makes the environment of *experiment*, not up yet, for whoever says where logs go."""
    choice = experiment.environment
    place = cast("Callable[..., Environment]", registry.place(choice.on))
    return functools.partial(place, registry.topology(choice.use), seed=seed, options=choice.options)


def against(request: Request, experiment: Experiment, registry: Registry, *, seed: int, machine: Machine) -> list[str]:
    """What would speak against a run of *experiment* now, in words, for `--dry-run`: nothing is started, and no lock is taken.

    Raises `InvalidDocument` for a policy that cannot be read, and `UsageError` for an unknown permission.
    """
    reasons, engine_address = [], ""
    try:
        asked = _build(experiment, registry, seed=seed)(logs=request.runs)
        engine_address = asked.engine_address
        check_capabilities(experiment, asked)
    except (MissingPart, Unsupported) as error:
        reasons.append(str(error))
    schedule, topology = plan(experiment, seed=seed), registry.topology(experiment.environment.use)
    refused = machine.against(experiment, schedule, topology, engine_address=engine_address, allow=request.allow)
    return [experiment.secrets.redact(reason) for reason in (*refused, *reasons)]


def report(verdict: Verdict, folder: RunFolder) -> None:
    """Write what stands beside `verdict.json`: the report for CI, and what a verdict on money rests on. Raises `CannotRecord`."""
    from chaoskit.reports.junit import junit_xml

    folder.write_junit(junit_xml(verdict, slug=folder.slug, folder=str(folder.path)))
    safe = {finding.checker: finding.outcome for finding in verdict.findings if finding.safety}
    violation = next((one for one in verdict.findings if one.safety and one.outcome is Result.FAILED and one.evidence), None)
    if violation is not None:
        from chaoskit.checkers.money.witness import witness

        folder.write_evidence("witness.json", witness(folder.read_history(), violation))
    elif set(safe.values()) == {Result.PASSED} and _is_all_of_money(safe):
        from chaoskit.checkers.money.certificate import certificate

        with contextlib.suppress(NotExercised):  # a ledger may be right, and lack what an order is told by
            folder.write_evidence("certificate.json", certificate(folder.read_history()))


def _is_all_of_money(checked: Container[str]) -> bool:
    """Whether every check of `money` was asked. A certificate speaks of all of them: single ones can pass on wrong books."""
    from chaoskit.checkers.money import MONEY

    return all(check.name in checked for check in MONEY if not getattr(check, "if_any", False))


def without_secrets_in_logs(folder: RunFolder, registry: Registry) -> str:
    """Replace in the logs of a dead run what its document names as secret. Returns what may still be there, "" when nothing is.

    Its own process does so at its end; this one can only where it knows the same variables.
    """
    from chaoskit import documents

    text = folder.experiment.read_text(encoding="utf-8")
    if not re.search(rf"{documents.SECRET} |^secrets:|:{re.escape(MARK)}@", text, re.MULTILINE):
        return ""
    try:
        folder.redact_logs(documents.read(folder.experiment, registry=registry).secrets)
    except (ChaoskitError, OSError) as error:
        return f"logs/ may hold secrets, do not pass it on: {error}"
    if f":{MARK}@" in text:
        return "logs/ may hold passwords of URLs, which nobody knows any more: do not pass it on"
    return ""


def judge_again(path: Path, registry: Registry) -> Verdict:
    """Judge a stored run by the checkers of today. Starts nothing and changes nothing in the folder.

    Raises `NoHistory`, `InvalidDocument` when the stored experiment can no longer be read, and `UsageError` for a run that a test
    drove by hand: only the test knows what was expected of it.
    """
    from chaoskit import documents

    folder = RunFolder(path)
    history = folder.read_history()
    stored, on = history.run.get("options"), history.run.get("on")
    options = {str(k): str(v) for k, v in stored.items()} if isinstance(stored, dict) else {}
    seed, reproduce = history.run.get("seed"), history.run.get("reproduce")
    if folder.is_by_hand():
        raise UsageError(f"{path}: a test drove this run by hand and knows what was expected of it; run that again: {reproduce}")
    if history.run.get("fixture"):  # its environment was up already: nothing about it could be chosen
        options, on = {}, None
    # The record has *** where secrets were, and so has what it is judged by.
    experiment = documents.read(folder.experiment, registry=registry, options=options, on=str(on) if on else None, environ=None)
    return judge(
        experiment,
        history,
        seed=seed if isinstance(seed, int) else 0,
        reproduce=str(reproduce) if reproduce else f"chaoskit check {shlex.quote(str(path))}",
    )


def schedule_text(experiment: Experiment, registry: Registry, *, seed: int) -> str:
    """What would be done and when, for `--dry-run`. Pure: starts nothing, and the same seed gives the same text."""
    from collections import Counter

    from chaoskit.loads.schedule import arrivals

    hold_back_unbound(experiment)
    topology = registry.topology(experiment.environment.use)
    schedule = plan(experiment, seed=seed)
    load = experiment.load
    came = Counter(a.journey for a in arrivals(load_plan(experiment, topology, seed=seed, url="", history="")))
    lines = [
        f"{experiment.title} (seed {seed})",
        f"environment {topology.name}: {', '.join(topology.service_names)}",
        f"load: {load.arrivals_per_s:g} customers a second for {load.duration_s:g} s",
        *(f"  {step.at_s:7.2f} s  {step.times:g} times the normal rate" for step in load.steps),
        f"  {came.total():,} customers come, and more if a fault brings them: "
        + ", ".join(f"{journey} {count:,}" for journey, count in sorted(came.items())),
        *_habits(load.habits),
        "timeline:",
    ]
    for entry in schedule.entries:
        what = _fields(entry.injection.fault) if entry.act is Act.INJECT else ""
        lines.append(f"  {entry.at_s:7.2f} s  {entry.act.value:6}  {entry.fault}  {what}".rstrip())
    lines.append(f"  {schedule.ends_s:7.2f} s  the load ends; whatever is still injected is healed, the last first")
    lines.append(f"judged by: {', '.join(check.name for check in experiment.expect)}")
    return experiment.secrets.redact("\n".join(lines))


def _habits(habits: Mapping[Habit, float]) -> Iterator[str]:
    if habits:
        yield f"  of those who pay, {', '.join(f'{share * 100:g} % have the habit {habit}' for habit, share in habits.items())}"


def _fields(fault: Fault) -> str:
    values = {field.name: getattr(fault, field.name) for field in dataclasses.fields(cast("DataclassInstance", fault))}
    return ", ".join(f"{name} {' and '.join(v) if isinstance(v, tuple) else v}" for name, v in values.items() if v != "")
