"""The command line. What a command needs is imported when that command runs: `--version` and `--help` cost almost nothing.

Exit codes: 0 passed, 1 failed, 2 usage or invalid document, 3 inconclusive, 4 aborted (healed), 5 error.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from chaoskit.engine.guard import StopFlag
    from chaoskit.machine import Machine
    from chaoskit.model.verdict import Verdict
    from chaoskit.registry import Registry

FAILED = 1
USAGE = 2
ABORTED = 4
ERROR = 5
KINDS = ("experiments", "faults", "checks", "environments", "profiles", "probes", "defects")


def main(arguments: Sequence[str] | None = None, *, machine: Machine | None = None) -> int:
    """Run one command and return its exit code. Errors go to standard error, one line each where one line is enough.

    *machine* None is this one.
    """
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words == ["--version"]:
        from chaoskit import __version__

        print(f"chaoskit {__version__}")
        return 0
    from chaoskit.model.errors import CannotHeal, CannotRecord, ChaoskitError

    try:
        parsed = _parser(words).parse_args(words)
        parsed.machine = machine
        command: object = parsed.command
        assert callable(command)
        code = command(parsed)
        assert isinstance(code, int)
        return code
    except (CannotHeal, CannotRecord) as error:  # a run raises only the second one after it has begun
        print(error, file=sys.stderr)
        return ERROR
    except ChaoskitError as error:
        print(error, file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print("stopped before anything was started", file=sys.stderr)
        return ABORTED
    except BrokenPipeError:
        # The reader of our output has left (`chaoskit list | head`); keep the interpreter from complaining at exit.
        sys.stdout = None
        return 0


def _run(given: argparse.Namespace) -> int:
    from chaoskit import wiring
    from chaoskit.machine import permissions
    from chaoskit.registry import Registry

    registry = Registry()
    request = wiring.Request(
        path=given.file, seed=given.seed, runs=given.runs, on=given.on, options=_pairs(given.option, "--option"),
        variables=_pairs(given.var, "--var"), entry=given.entry, allow=permissions(given.allow), lock=given.lock,
    )  # fmt: skip
    experiments = wiring.read_all(request, registry)
    for experiment in experiments:
        wiring.hold_back_unbound(experiment)
    seed = request.with_seed()
    if given.dry_run:
        shown = []
        for experiment in experiments:
            text = wiring.schedule_text(experiment, registry, seed=seed)
            against = wiring.against(request, experiment, registry, seed=seed, machine=_machine(given))
            shown.append("\n  ".join([f"{text}\nthis machine would refuse it now:", *against]) if against else text)
        print("\n\n".join(shown))
        return 0
    from chaoskit.engine.guard import StopFlag
    from chaoskit.model.verdict import merge
    from chaoskit.reports.progress import progress_for
    from chaoskit.reports.text import text_report

    stop = StopFlag()
    _stop_on_signals(stop)
    results = []
    for number, experiment in enumerate(experiments, start=1):
        progress = progress_for(sys.stderr)
        of_all = f", {number} of {len(experiments)}" if len(experiments) > 1 else ""
        progress.say(f"{experiment.title} (seed {seed}{of_all})")
        verdict, folder = wiring.carry_out(
            request, experiment, registry, seed=seed, progress=progress, stop=stop, machine=_machine(given)
        )
        progress.close()
        if given.json:
            print(folder.verdict.read_text(encoding="utf-8"), end="", flush=True)
        else:
            print(text_report(verdict, folder=str(folder.path)), end="", flush=True)
        results.append(verdict.result)
        if stop.is_set():
            break
    return merge(results).exit_code


def _validate(given: argparse.Namespace) -> int:
    from chaoskit import wiring
    from chaoskit.model.errors import InvalidDocument
    from chaoskit.registry import Registry

    registry, code = Registry(), 0
    for path in given.file:
        request = wiring.Request(
            path=path, on=given.on, options=_pairs(given.option, "--option"), variables=_pairs(given.var, "--var")
        )
        try:
            experiments = wiring.read_all(request, registry)
        except InvalidDocument as error:
            print(error, file=sys.stderr)
            code = USAGE
        else:
            for experiment in experiments:
                fixture = experiment.environment.fixture
                later = f" (its names are checked when pytest's fixture {fixture!r} has given the environment)" if fixture else ""
                print(f"{path}: valid: {experiment.title}{later}")
    return code


def _list(given: argparse.Namespace) -> int:
    from chaoskit.registry import Registry

    registry = Registry()
    for kind in (given.kind,) if given.kind else KINDS:
        rows = _rows(kind, registry)
        if not given.kind:
            print(f"{kind}:")
        width = max((len(name) for name, _ in rows), default=0)
        for name, says in rows:
            print(f"  {name:{width}}  {says}")
    return 0


def _rows(kind: str, registry: Registry) -> Sequence[tuple[str, str]]:
    from chaoskit import registry as module

    if kind == "defects":
        defects = module.defects().items()
        return tuple(
            (name, f"{d.title}. {d.breaks} Convicted by {d.convicted_by} in {d.experiment}. Like: {d.incident}")
            for name, d in defects
        )
    if kind == "experiments":
        from chaoskit import documents

        return tuple(
            (name, experiment.title)
            for name, path in module.experiments().items()
            for experiment in documents.expand(path, registry=registry)
        )
    return registry.described(kind)


def _check(given: argparse.Namespace) -> int:
    from chaoskit import wiring
    from chaoskit.engine.store import verdict_json
    from chaoskit.registry import Registry

    verdict = wiring.judge_again(given.run, Registry())
    _print_verdict(verdict, given.run, as_json=given.json, to_json=verdict_json)
    return verdict.result.exit_code


def _report(given: argparse.Namespace) -> int:
    from chaoskit.model.errors import UsageError
    from chaoskit.reports import markdown

    lines, code = [], 0
    for folder in given.run:
        try:
            lines.append(markdown.line(folder))
        except UsageError as error:
            print(error, file=sys.stderr)
            lines.append(markdown.unreadable(folder, error))
            code = USAGE
    print(markdown.markdown(lines, link=given.link), end="")
    return code


def _print_verdict(verdict: Verdict, folder: Path, *, as_json: bool, to_json: object) -> None:
    import json

    from chaoskit.reports.text import text_report

    assert callable(to_json)
    if as_json:
        print(json.dumps(to_json(verdict), indent=2, ensure_ascii=False))
    else:
        print(text_report(verdict, folder=str(folder)), end="")


def _schema(given: argparse.Namespace) -> int:
    import json
    from importlib import resources

    if given.of == "verdict":
        print(resources.files("chaoskit.engine").joinpath("verdict.schema.json").read_text(encoding="utf-8"), end="")
        return 0
    from chaoskit import documents

    print(json.dumps(documents.schema(), indent=2))
    return 0


def _load(given: argparse.Namespace) -> int:
    from chaoskit.loads import tool

    if given.allow:
        _machine(given).allowed(given.allow)
    return tool.run(given)


def _gc(given: argparse.Namespace) -> int:
    from chaoskit.environments import leftovers
    from chaoskit.environments.owner import Life
    from chaoskit.model.errors import CannotHeal

    engine = leftovers.engine_here()
    if engine is None:
        print("There is no container engine here; only processes were looked for.")
    try:
        found = leftovers.find(engine, run=given.run)
    except CannotHeal as error:
        print(error, file=sys.stderr)
        return ERROR
    code = FAILED if given.dry_run and found else 0
    for leftover in found:
        print(f"run {leftover.run}: {leftover.life.value}")
        if given.run is None and leftover.life is Life.ELSEWHERE:
            lines = [*leftover.lines, f"left alone; if it is dead: chaoskit gc --run {leftover.run}"]
        elif given.dry_run:
            lines = [f"would be removed: {line}" for line in leftover.lines]
        else:
            swept = leftovers.remove(leftover, engine)
            lines = swept.done or ["nothing was left to undo"]
            for problem in swept.problems:
                print(f"could not undo: {problem}", file=sys.stderr)
                code = ERROR
        print("".join(f"  {line}\n" for line in lines), end="")
    if not found:
        print("Nothing of a dead run is here." if given.run is None else f"Nothing of run {given.run} is here.")
    return code


def _heal(given: argparse.Namespace) -> int:
    from chaoskit import janitor
    from chaoskit.engine.store import RunFolder
    from chaoskit.model.errors import ChaoskitError, UsageError

    if (given.run is None) != given.all:
        raise UsageError("heal: name a run folder, such as one below runs/, or give --all for every one below --runs; not both")
    code, found = 0, 0
    for folder in janitor.runs_below(given.runs) if given.all else (RunFolder(given.run),):
        try:
            healed = janitor.heal(folder, by="chaoskit heal")
        except UsageError as error:
            if not given.all:
                raise
            print(f"{error}: left alone")
            continue
        except ChaoskitError as error:
            print(error, file=sys.stderr)
            code = ERROR
            continue
        if given.all and not (healed.done or healed.problems or healed.verdict):
            continue
        found += 1
        print(f"{folder.path}: {healed.how}")
        for line in healed.done or ["nothing was left to undo"]:
            print(f"  {line}")
        if healed.verdict:
            print(f"  its verdict is now {healed.verdict}, in {folder.verdict.name}")
        for problem in healed.problems:
            print(f"could not undo: {problem}", file=sys.stderr)
            code = ERROR
    if given.all and not found and code == 0:
        print(f"Nothing is left of the runs below {given.runs}.")
    return code


def _stop(given: argparse.Namespace) -> int:
    from chaoskit import janitor
    from chaoskit.engine.store import RunFolder

    folder = RunFolder(given.run)
    print(f"{folder.path}: asked to stop; it heals first")
    verdict = janitor.stop(folder, reason=given.reason, within_s=given.within)
    print(f"{folder.path}: ended, verdict {verdict}")
    return 0


def _freeze(given: argparse.Namespace) -> int:
    import os

    from chaoskit.engine import freeze
    from chaoskit.model.errors import UsageError
    from chaoskit.model.policy import moment

    machine = _machine(given)
    path = machine.freeze_of_mine(is_root=os.geteuid() == 0)
    try:
        until = moment(given.until) if given.until else None
    except ValueError as error:
        raise UsageError(
            f"--until {given.until!r}: {error}; expected a time with its offset, such as 2026-11-25T08:00:00Z"
        ) from error
    now = machine.now()
    if until is not None and until <= now:
        raise UsageError(f"--until {given.until!r}: that time is over ({now.isoformat(timespec='seconds')}); nothing is frozen")
    made = freeze.freeze(path, reason=given.reason, until=until, now=now)
    whom = "all users of this machine" if path == machine.freezes[0] else "this user (as root: for all users)"
    print(f"Runs are frozen for {whom} {made}.")
    print("Runs that are under way go on; chaoskit stop RUN ends one. New ones are refused until: chaoskit unfreeze")
    return 0


def _unfreeze(given: argparse.Namespace) -> int:
    import os

    from chaoskit.engine import freeze

    machine = _machine(given)
    paths = machine.freezes if os.geteuid() == 0 else machine.freezes[1:]
    lifted = [path for path in paths if freeze.unfreeze(path)]
    left = machine.freezes_now()
    for line in left:
        print(line, file=sys.stderr)
    if not left:
        print("Runs are allowed again." if lifted else "Nothing was frozen.")
    return FAILED if left else 0


def _machine(given: argparse.Namespace) -> Machine:
    from chaoskit.machine import Machine

    machine = given.machine or Machine.here()
    assert isinstance(machine, Machine)
    return machine


def _doctor(given: argparse.Namespace) -> int:
    from chaoskit.environments.doctor import examine

    found = examine()
    width = max(len(line.what) for line in found)
    for line in found:
        print(f"{'ok     ' if line.is_there else 'MISSING'}  {line.what:{width}}  {line.says}")
    missing = [line for line in found if line.is_needed and not line.is_there]
    print()
    for says in _machine(given).freezes_now():
        print(f"{says[0].upper()}{says[1:]}.")
    if missing:
        print(f"The process environment cannot run the bank here: {', '.join(line.what for line in missing)} missing.")
        return 1
    print("The process environment can run the bank here.")
    return 0


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    import argparse
    from pathlib import Path

    parser = argparse.ArgumentParser(
        prog="chaoskit",
        description="Breaks a banking service on purpose and says whether the backup took over and the money is right.",
        epilog="exit codes: 0 passed, 1 failed, 2 usage or invalid document, 3 inconclusive, 4 aborted and healed, 5 error",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit (alone on the line)")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, command: object, says: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=says, description=says[0].upper() + says[1:] + ".")
        made.set_defaults(command=command)
        return made

    run = add("run", _run, "run one experiment and print the verdict")
    run.add_argument("file", type=Path, help="an experiment document, such as experiments/database_failover.chaos.yaml")
    run.add_argument(
        "--entry", default="", metavar="ID", help="one entry of the document's matrix (default: all, one after another)"
    )
    run.add_argument("--seed", type=int, help="the seed of every random choice (drawn and printed if not given)")
    run.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where run folders go (default: runs)")
    run.add_argument("--json", action="store_true", help="print verdict.json instead of text")
    run.add_argument("--dry-run", action="store_true", help="print the schedule and what speaks against it here; start nothing")
    validate = add("validate", _validate, "read documents and report every mistake; starts nothing")
    validate.add_argument("file", type=Path, nargs="+")
    run.add_argument(
        "--allow", action="append", default=[], metavar="WHAT", help="remote-engine, remote-target or production; repeatable"
    )
    run.add_argument(
        "--lock", default="", metavar="NAME", help="which copy of the environment this is, where several share nothing"
    )
    for command in (run, validate):
        command.add_argument("--on", metavar="PLACE", help="where to run the environment (default: process)")
        command.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="an option of the environment")
        command.add_argument("--var", action="append", default=[], metavar="NAME=VALUE", help="a value for ${NAME} in the document")
    listing = add("list", _list, "list what there is: experiments, faults, checks, environments, profiles, probes, defects")
    listing.add_argument("kind", nargs="?", choices=KINDS)
    check = add("check", _check, "judge a stored run again; starts nothing")
    check.add_argument("run", type=Path, metavar="RUN", help="a run folder, such as one below runs/")
    check.add_argument("--json", action="store_true", help="print the verdict as JSON instead of text")
    report = add("report", _report, "sum stored runs up, one line for each, for the page of a CI system")
    report.epilog = "exit codes: 0 whatever the verdicts are, 2 a run has no verdict that can be read; it has a line all the same"
    report.add_argument("run", type=Path, nargs="+", metavar="RUN", help="a run folder, such as one below runs/")
    report.add_argument("--format", choices=("markdown",), default="markdown", help="what to print (default: markdown)")
    report.add_argument(
        "--link", default="{run}", metavar="URL", help="where a run is seen; {run} stands for its folder's name (default: its path)"
    )
    load = add("load", _load, "send requests to one URL at a fixed rate and record each of them")
    if words[:1] == ["load"]:  # its arguments stand beside the engine, which the other commands need not import
        from chaoskit.loads.tool import add_arguments

        add_arguments(load)
    schema = add("schema", _schema, "print the JSON Schema of experiment documents, for editors, or of verdict.json")
    schema.add_argument("of", nargs="?", choices=("experiment", "verdict"), default="experiment")
    gc = add("gc", _gc, "remove what dead runs have left: containers, networks, volumes, rules, processes and folders")
    gc.epilog = (
        "Only what carries the id of a run is touched, and only when the process that owned the run is gone. "
        "exit codes: 0 nothing is left, 1 a dry run has found something, 5 something could not be removed"
    )
    gc.add_argument("--run", metavar="RUN", help="this run only, also when its owner cannot be seen from here")
    gc.add_argument("--dry-run", action="store_true", help="say what would be removed and remove nothing")
    heal = add("heal", _heal, "undo what a dead run has left, and give it the verdict that it lacks")
    heal.epilog = "exit codes: 0 nothing is left, 2 not a run's folder or the run is alive, 5 something could not be undone"
    heal.add_argument("run", type=Path, nargs="?", metavar="RUN", help="a run folder, such as one below runs/")
    heal.add_argument("--all", action="store_true", help="every run below --runs that has died")
    heal.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR", help="where run folders are (default: runs)")
    stop = add("stop", _stop, "ask a run of another terminal to heal and end, and wait for it")
    stop.epilog = "exit codes: 0 the run has ended, 2 it is not a run's folder or has ended before, 5 it did not end in time"
    stop.add_argument("run", type=Path, metavar="RUN", help="its folder, such as one below runs/")
    stop.add_argument(
        "--reason", default="chaoskit stop", metavar="TEXT", help="what its verdict will say (default: chaoskit stop)"
    )
    stop.add_argument("--within", type=float, default=120.0, metavar="S", help="how long to wait for its end (default: 120)")
    freeze = add("freeze", _freeze, "forbid new runs on this machine: as root for all users, otherwise for this user")
    freeze.epilog = "exit codes: 0 runs are frozen, 2 they could not be. Runs that are under way go on."
    freeze.add_argument("--reason", default="", metavar="TEXT", help="what those who are refused are told")
    freeze.add_argument("--until", default="", metavar="TIME", help="when it ends by itself, such as 2026-11-25T08:00:00Z")
    unfreeze = add("unfreeze", _unfreeze, "allow runs again that chaoskit freeze has forbidden")
    unfreeze.epilog = "exit codes: 0 nothing is frozen any more, 1 a freeze is left that only root may lift"
    add("doctor", _doctor, "say what this machine can do and what is missing")
    return parser


def _pairs(given: Sequence[str], option: str) -> Mapping[str, str]:
    from chaoskit.model.errors import UsageError
    from chaoskit.model.secrets import without_url_passwords

    pairs: dict[str, str] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise UsageError(f"{option} {without_url_passwords(pair)!r}: expected NAME=VALUE")
        if name in pairs:
            raise UsageError(f"{option} {name}=…: {name!r} was given before; give it once")
        pairs[name] = value
    return pairs


def _stop_on_signals(stop: StopFlag) -> None:
    """Ctrl-C and SIGTERM ask the run to stop; it heals and exits 4. The handler only sets a flag, so it may come at any moment.

    A second one lists what is still injected.
    """
    import os
    import signal

    from chaoskit.janitor import still_injected

    def ask(number: int, frame: object) -> None:  # noqa: ARG001 - the shape is signal's
        if stop.is_set():
            # Not by print: it may have been interrupted in the middle of itself.
            os.write(2, ("\n".join(still_injected(stop)) + "\n").encode())
        stop.request("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)


if __name__ == "__main__":
    sys.exit(main())
