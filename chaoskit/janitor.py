"""Cleans up after a run whose process has died, and writes into its folder what became of it.

A detached janitor waits beside every run and begins within a second of its death; `chaoskit heal` does the same by hand. What
the run had made is removed by its supervisor or reaper at the same moment: whoever comes second finds nothing left.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from chaoskit.engine import lock
from chaoskit.engine.store import RunFolder
from chaoskit.environments.detached import Detached
from chaoskit.model.errors import CannotHeal, ChaoskitError, UsageError

if TYPE_CHECKING:
    from chaoskit.engine.guard import StopFlag

START_S = 20.0  # an interpreter starts in 30 ms; a starved machine may need hundreds of times that
LOOK_EVERY_S = 0.1  # a verdict is a file; healing takes seconds


class Janitor:
    """Watches over one run from a process of its own, which outlives this one. Ended by `close` when the run ended by itself."""

    def __init__(self, process: Detached) -> None:
        self._process = process

    @classmethod
    def start(cls, folder: RunFolder, *, held: lock.EnvironmentLock | None = None) -> Self:
        """Start it and wait until it watches. Raises `MissingPart` when it does not: a run that nobody would heal is not begun.

        It keeps the lock *held* until it has healed, should the run die.
        """
        files = () if held is None else (held.file,)
        words = ["-m", "chaoskit.janitor", str(folder.path.resolve()), str(os.getpid()), *map(str, files)]
        return cls(Detached.start("the run's janitor", words, within_s=START_S, inherits=files))

    @property
    def pid(self) -> int:
        return self._process.pid

    def close(self) -> None:
        """The run has ended by itself: the janitor has nothing to do. May be called twice."""
        self._process.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(slots=True)
class Healed:
    """What was found and done for one run. `problems` empty means that nothing is left."""

    run: str
    how: str
    """How the run stands, in words."""
    done: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    verdict: str = ""
    """The verdict that was written for it; "" when it had one."""


def heal(
    folder: RunFolder, *, by: str, say: Callable[[str], None] = lambda _line: None, let_go: Callable[[], None] = lambda: None
) -> Healed:
    """Undo and remove whatever a dead run has left, and give its folder the end that it lacks. May be done twice.

    *let_go* is called when all is undone that can be: others may have the environment from then on.

    Blocks a few seconds, with containers up to half a minute. Raises `UsageError` for a run that is alive and for a folder that is
    none of a run, and `CannotHeal` or `CannotRecord` when what is left cannot even be read or written down.
    """
    from chaoskit.environments import replay as other
    from chaoskit.environments.owner import Life, life_of, pid_of

    if not folder.experiment.exists():
        raise UsageError(f"{folder.path}: not the folder of a run, it has no {folder.experiment.name}; name one below runs/")
    records = other.read_ledger(folder.undo)
    holder = records.holder
    life = life_of(holder.owner) if holder is not None and holder.owner else Life.ELSEWHERE
    if life is Life.ALIVE and holder is not None:
        raise UsageError(
            f"{folder.path}: the run goes on in process {pid_of(holder.owner)}; end it with: chaoskit stop {folder.path}"
        )
    has_verdict = folder.verdict.exists()
    healed = Healed(run=folder.path.name, how="the run ended by itself" if has_verdict else f"the run died: {life.value}")

    def did(line: str) -> None:
        healed.done.append(line)
        say(line)

    if holder is not None and not records.is_closed:
        _remove_leftovers(holder.leftovers, holder.engine, healed, did)
    replayed = other.replay(records, engine_address=holder.engine if holder else "", say=say)
    healed.done += replayed.done
    healed.problems += replayed.problems
    if replayed.healed or (holder is not None and not records.is_closed):
        _tell_ledger(folder, replayed.healed, by=by, is_closed=not healed.problems)
    let_go()
    if not has_verdict:
        lock.sweep(str(folder.path.resolve()))
        from chaoskit import wiring
        from chaoskit.registry import Registry

        if unclean := wiring.without_secrets_in_logs(folder, Registry()):
            did(unclean)
        healed.verdict = _end_history(folder, healed, replayed.healed, by=by)
    return healed


def stop(folder: RunFolder, *, reason: str, within_s: float) -> str:
    """Ask a living run of another process to heal and end, and wait for its verdict, which is returned.

    Raises `UsageError` when there is no such run, and `CannotHeal` when it has not ended after *within_s*.
    """
    from chaoskit.environments import replay as other
    from chaoskit.environments.owner import Life, life_of, pid_of

    holder = other.read_ledger(folder.undo).holder
    if not folder.experiment.exists() or holder is None:
        raise UsageError(f"{folder.path}: not the folder of a run that has begun; name one below runs/")
    if folder.verdict.exists():
        raise UsageError(f"{folder.path}: the run has ended before, with verdict {_verdict_of(folder)}")
    if life_of(holder.owner) is not Life.ALIVE:
        raise UsageError(f"{folder.path}: the run died without an end; look what it has left with: chaoskit heal {folder.path}")
    folder.stop.write_text(reason + "\n", encoding="utf-8")
    deadline = time.monotonic() + within_s
    while not folder.verdict.exists():
        if time.monotonic() > deadline:
            raise CannotHeal(
                f"{folder.path}: process {pid_of(holder.owner)} was asked to stop and has not ended after {within_s:g} s; wait, or "
                "kill it with SIGKILL: its janitor heals then"
            )
        time.sleep(LOOK_EVERY_S)
    return _verdict_of(folder)


def still_injected(stop: StopFlag) -> list[str]:
    """What is still injected in the run that is being stopped, and how to heal it, for somebody who has no patience any more."""
    from chaoskit.environments import replay as other

    if stop.asked is None:
        return ["nothing was injected yet; what was started is being ended"]
    folder = RunFolder(stop.asked.parent)
    try:
        open_faults = other.read_ledger(folder.undo).open
    except CannotHeal as error:
        return [str(error)]
    if not open_faults:
        return ["nothing is injected any more; what was started is being ended"]
    return [
        "still injected, and being healed:",
        *(f"  {one.fault}: {', '.join(f'{undo.verb} {undo.target}' for undo in reversed(one.undo))}" for one in open_faults),
        f"if this process has to be killed, a janitor heals within seconds; by hand: chaoskit heal {folder.path}",
    ]


def runs_below(runs: Path) -> tuple[RunFolder, ...]:
    """Every run folder directly below *runs*, the oldest first. Raises `UsageError` when there is no such folder."""
    if not runs.is_dir():
        raise UsageError(f"--runs {str(runs)!r}: there is no such folder; name the one that run folders went to")
    folders = (RunFolder(path) for path in sorted(runs.iterdir()) if path.is_dir())
    return tuple(folder for folder in folders if folder.experiment.exists())


def _remove_leftovers(run: str, engine_address: str, healed: Healed, did: Callable[[str], None]) -> None:
    """Remove what the run's environment had made, by the id that it put on everything."""
    from chaoskit.environments import leftovers, sweep

    if not run:
        return
    try:
        engine = sweep.Engine(engine_address) if engine_address else None
        for leftover in leftovers.find(engine, run=run):
            swept = leftovers.remove(leftover, engine)
            for line in swept.done:
                did(line)
            healed.problems += swept.problems
    except (ChaoskitError, sweep.EngineError) as error:
        healed.problems.append(str(error))


def _tell_ledger(folder: RunFolder, faults: list[str], *, by: str, is_closed: bool) -> None:
    from chaoskit.engine.undo import UndoLedger

    _end_line(folder.undo)
    ledger = UndoLedger(folder.undo)
    try:
        for fault in faults:
            ledger.healed(fault, by=by)
        if is_closed:
            ledger.closed(by=by)
    finally:
        ledger.close()


def _end_history(folder: RunFolder, healed: Healed, faults: list[str], *, by: str) -> str:
    """Write what became of the run as the end of its history, and the verdict on that."""
    from chaoskit import wiring
    from chaoskit.engine.recorder import JsonLines
    from chaoskit.model.verdict import Result, Verdict
    from chaoskit.registry import Registry

    result = Result.ERROR if healed.problems else Result.ABORTED
    what = "; ".join(healed.problems) if healed.problems else "; ".join(healed.done) or "nothing was left"
    text = f"{healed.how}; {by} {'could not undo everything' if healed.problems else 'cleaned up'}: {what}"
    _end_line(folder.history)
    with JsonLines(folder.history) as history:
        now = time.monotonic_ns()
        for fault in faults:
            history.append({"event": "healed", "fault": fault, "at_ns": now, "evidence": f"undone by {by}"})
        history.append({"event": "problem", "result": result.value, "text": text}, sync=True)
        history.append({"event": "finished", "at_ns": now}, sync=True)
    try:
        verdict = wiring.judge_again(folder.path, Registry())
    except ChaoskitError as error:  # it died before its first record, or its parts cannot be found from here
        verdict = Verdict(result=result, findings=(), problems=(text, f"the run could not be judged: {error}"))
    folder.write_verdict(verdict)
    folder.seal()
    wiring.report(verdict, folder)
    return verdict.result.value


def _verdict_of(folder: RunFolder) -> str:
    import json

    return str(json.loads(folder.verdict.read_text(encoding="utf-8"))["verdict"])


def _end_line(path: Path) -> None:
    """End a line that was torn by the death of its writer, so that the next one stands by itself."""
    with path.open("ab+") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")


def main(path: str, parent: str, held: str = "") -> None:
    """Wait for the end of the run; clean up if it did not come by itself. *held* is the number of its lock's open file."""
    from chaoskit.environments.sweep import wait_ended

    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # whoever ends the whole run ends its input, and then there is work to do here
    os.write(1, b"ready\n")
    if wait_ended(int(parent)):
        return
    folder = RunFolder(Path(path))

    def say(line: str) -> None:
        with contextlib.suppress(OSError), (folder.logs / "janitor.log").open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {line}\n")

    say("the run's process is gone")
    try:
        healed = heal(folder, by="the janitor", say=say, let_go=lambda: os.close(int(held)) if held else None)
    except BaseException as error:
        say(f"could not clean up: {type(error).__name__}: {error}; try: chaoskit heal {path}")
        raise
    for problem in healed.problems:
        say(f"could not undo: {problem}; try: chaoskit heal {path}")
    say(f"done; verdict: {healed.verdict or 'was written by the run'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
