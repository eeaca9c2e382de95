"""The run's side of the reaper: a detached process that removes everything of a run when the run ends, however it ends.

It is there instead of Ryuk: it needs no image, and it undoes what was done to containers that are not the run's and stay.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
from pathlib import Path
from typing import Self, TextIO

from chaoskit.environments import sweep
from chaoskit.environments.detached import Detached
from chaoskit.model.errors import CannotHeal, CannotInject, MissingPart
from chaoskit.model.protocols import Undo
from chaoskit.model.undo import injecting

START_S = 10.0  # a bare interpreter starts in 20 ms; a starved machine may need a hundred times that
CLOSE_S = sweep.WITHIN_S + sweep.REPLAY_S
OPEN_TRIES = 5  # as many runs would have to end between two system calls


class Reaper:
    """Watches over one run. `remember` before something is done to a container that is not ours, `forget` when it was undone.

    Calls may come from any thread. Containers, networks and volumes need no record: their label `chaoskit.run` is one. So are
    processes that were started with the variable `CHAOSKIT_RUN`.
    """

    def __init__(self, run: str, process: Detached, *, engine_address: str, log: Path | None, records: Path) -> None:
        self.run = run
        self.log = log
        """Where it writes what it did; None when nobody asked for it."""
        self.records = records
        self._engine_address = engine_address
        self._process = process
        self._lock = threading.Lock()

    @classmethod
    def start(cls, run: str, *, engine_address: str, log: Path | None = None) -> Self:
        """Start it and wait until it watches. *engine_address* is `unix:///path` or `tcp://host:port`. Raises `MissingPart`."""
        try:
            sweep.Engine(engine_address)
        except sweep.EngineError as error:
            raise MissingPart(f"reaper of run {run}: {error}; set DOCKER_HOST to such an address") from error
        records = records_folder() / f"{run}.jsonl"
        words = ["-I", "-S", sweep.__file__, run, engine_address, str(records), str(log or os.devnull), str(os.getpid())]
        process = Detached.start(f"reaper of run {run}", words, within_s=START_S, cwd="/")
        return cls(run, process, engine_address=engine_address, log=log, records=records)

    @property
    def pid(self) -> int:
        return self._process.pid

    def remember(self, name: str, undo: tuple[Undo, ...]) -> None:
        """Write down, on the disk before this returns, how *name* is undone in containers that are not ours.

        Raises `CannotInject` when that cannot be done, so nothing may be done to them.
        """
        try:
            self._append(injecting(name, undo))
        except OSError as error:
            raise CannotInject(f"{name}: its undo cannot be written to {self.records} ({error}); nothing was done") from error

    def forget(self, name: str) -> None:
        """*name* was undone and seen to be gone. Raises `CannotHeal`."""
        try:
            self._append({"state": "healed", "fault": name})
        except OSError as error:
            raise CannotHeal(
                f"{name} was undone, and {self.records} cannot be told ({error}); it will be looked at again"
            ) from error

    def close(self) -> tuple[str, ...]:
        """Remove whatever the run left and end the reaper. Returns what that was: () when everything was gone already.

        May be called twice. Blocks up to half a minute, a few milliseconds when nothing is left. Raises `CannotHeal`.
        """
        with self._lock:
            if self._process.is_closed:
                return ()
            line = self._process.close(answer_within_s=CLOSE_S)
        if line:
            answer = json.loads(line)
            swept = sweep.Swept(done=answer["done"], problems=answer["problems"])
        else:  # somebody killed it, so its work is done here
            swept = sweep.sweep(self.run, sweep.Engine(self._engine_address), self.records)
        if swept.problems:
            raise CannotHeal(f"run {self.run}: {swept}; look at it, then: chaoskit gc --run {self.run}")
        return tuple(swept.done)

    def _append(self, line: object) -> None:
        with self._lock, self._open() as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _open(self) -> TextIO:
        """The records. Another run may have removed the empty folder a moment ago, so it is made as often as that happens."""
        for _ in range(OPEN_TRIES):
            records_folder(is_made=True)
            with contextlib.suppress(FileNotFoundError):
                return self.records.open("a", encoding="utf-8")
        raise FileNotFoundError(f"{self.records.parent} was removed {OPEN_TRIES} times")


def records_folder(*, is_made: bool = False) -> Path:
    """Where the undo of all runs of this user is written, so that `chaoskit gc` finds it after a crash. There only with records.

    What it holds is done later, by root too: a folder that somebody else could write to is refused.
    """
    folder = Path(tempfile.gettempdir()) / f"chaoskit-undo-{os.geteuid()}"
    if is_made:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
    try:
        found = folder.lstat()
    except FileNotFoundError:
        return folder
    if found.st_uid != os.geteuid() or found.st_mode & 0o170777 != 0o040700:
        raise MissingPart(f"{folder}: expected a folder of user {os.geteuid()} that nobody else can write to; remove it")
    return folder
