"""What dead runs have left on this machine, found by what they wrote on everything they made. For `chaoskit gc`.

A run is dead when the process that its id names is gone. What carries no id of a run is nobody's here and is never touched.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from chaoskit.environments import docker_engine, owner, reaper
from chaoskit.environments.owner import Life
from chaoskit.environments.supervisor import is_inside, processes, working_folder
from chaoskit.environments.sweep import LABEL, RUN_LABEL, Engine, EngineError, Swept, labels_of, name_of, open_faults, sweep
from chaoskit.model.errors import CannotHeal, Unsupported, UsageError

SWEEP_S = 5.0  # killed processes end in milliseconds
LOOK_EVERY_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """What there is of one run. `things` are the engine's, `folders` those of services that ran as processes."""

    run: str
    life: Life
    things: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()
    records: Path | None = None
    """The file with undos that nobody has done; None when there is none."""

    @property
    def lines(self) -> tuple[str, ...]:
        """Each thing in words."""
        undos = [f"undo of {fault}" for fault in open_faults(self.records)] if self.records else []
        return (*undos, *self.things, *(f"folder {folder}" for folder in self.folders))


def engine_here() -> Engine | None:
    """The engine of this machine; None when there is no socket, and so no engine that could hold anything. Raises `Unsupported`."""
    address = docker_engine.engine_address()
    if not docker_engine.is_local(address):
        raise Unsupported(f"the container engine at {address} is not on this machine; unset DOCKER_HOST or choose another context")
    if address.startswith("unix://") and not Path(address.removeprefix("unix://")).exists():
        return None
    return Engine(address)


def find(engine: Engine | None, *, run: str | None = None) -> tuple[Leftover, ...]:
    """What there is of every run that is not known to be alive, or of *run* alone. Changes nothing.

    Raises `CannotHeal` when the engine does not answer, `UsageError` when *run* is alive or was never the name of a run.
    """
    if run is not None and owner.is_run(run) and owner.life_of(run) is Life.ALIVE:
        raise UsageError(f"run {run!r} is alive (process {owner.pid_of(run)}); end it first, it removes what it made by itself")
    things: dict[str, list[str]] = {}
    folders: dict[str, list[Path]] = {}
    records: dict[str, Path] = {}
    try:
        for name, row_run in _labelled(engine):
            things.setdefault(row_run, []).append(name)
    except EngineError as error:
        raise CannotHeal(f"what there is of containers cannot be seen: {error}") from error
    for folder, folder_run in _marked(Path(tempfile.gettempdir())):
        folders.setdefault(folder_run, []).append(folder)
    for path in reaper.records_folder().glob("*.jsonl"):
        records[path.stem] = path
    found = tuple(
        Leftover(
            run=one,
            life=owner.life_of(one) if owner.is_run(one) else Life.ELSEWHERE,
            things=tuple(things.get(one, ())),
            folders=tuple(folders.get(one, ())),
            records=records.get(one),
        )
        for one in sorted({*things, *folders, *records})
    )
    if run is not None and not owner.is_run(run) and run not in {one.run for one in found}:
        raise UsageError(
            f"--run {run!r}: nothing of a run of that name is here ({', '.join(one.run for one in found) or 'nor any'})"
        )
    return tuple(one for one in found if (one.run == run if run is not None else one.life is not Life.ALIVE))


def remove(leftover: Leftover, engine: Engine | None) -> Swept:
    """Remove all of it, whoever owned it. May be done twice, and while its reaper does the same. Blocks up to half a minute."""
    swept = sweep(leftover.run, engine, leftover.records)
    for folder in leftover.folders:
        problem = _remove_folder(folder)
        if problem:
            swept.problems.append(problem)
        else:
            swept.done.append(f"removed folder {folder}")
    return swept


def _labelled(engine: Engine | None) -> Iterator[tuple[str, str]]:
    """Everything of the engine's that is ours: what it is, and of which run."""
    if engine is None:
        return
    for kind, look in (("container", engine.containers), ("network", engine.networks), ("volume", engine.volumes)):
        for row in look(LABEL, RUN_LABEL):
            yield f"{kind} {name_of(row)}", labels_of(row)[RUN_LABEL]


def _marked(temporary: Path) -> Iterator[tuple[Path, str]]:
    """Folders of this user that a process environment made, and of which run."""
    for folder in temporary.glob(f"{LABEL}-*"):
        mark = folder / owner.MARK
        try:
            if folder.is_symlink() or folder.lstat().st_uid != os.geteuid() or not mark.is_file():
                continue
            run = mark.read_text(encoding="utf-8").strip()
        except FileNotFoundError:  # its run has just removed it
            continue
        if owner.is_run(run):
            yield folder, run


def _remove_folder(folder: Path) -> str:
    """End what still works inside the folder and remove it. Returns what is wrong, "" when it is gone."""
    deadline = time.monotonic() + SWEEP_S
    while left := [pid for pid in processes() if is_inside(working_folder(pid), str(folder))]:
        if time.monotonic() > deadline:
            return f"folder {folder}: processes {left} do not end"
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it ended meanwhile, or its supervisor was faster
        time.sleep(LOOK_EVERY_S)
    shutil.rmtree(folder, ignore_errors=True)  # its supervisor may be removing the same
    return f"folder {folder} could not be removed" if folder.exists() else ""
