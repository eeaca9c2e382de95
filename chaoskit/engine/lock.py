"""A lock for each environment of this machine, so that two experiments never share one, whoever runs them.

It is the kernel's lock on a file (`flock`), so a holder that has died holds nothing; but a run's janitor has inherited it, and
keeps it until it has healed. What the file says is for people: anybody may have written it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import stat
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from chaoskit.engine.user import user_name
from chaoskit.model.errors import UsageError

FOLDERS = (Path("/run/lock"), Path("/var/lock"), Path("/tmp"))  # noqa: S108 - the sticky bit is what is asked for
"""Where all users of a machine can put files: never what `TMPDIR` says, which is another folder for each of them."""
TRIES = 10
"""A file may vanish between its opening and its lock when its holder ends; ten holders in a row do not."""
LARGEST = 4096
LOOK_EVERY_S = 0.05  # short beside any run; a look opens a file


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who holds a lock, by its own word."""

    run: str
    pid: int
    user: str
    since: str

    def __str__(self) -> str:
        return f"{self.run} (process {self.pid} of {self.user}, since {self.since})"


class EnvironmentLock:
    """A lock that is held, until `release` or the end of this process. Made by `take`."""

    def __init__(self, path: Path, file: int, holder: Holder) -> None:
        self._path, self._file, self._holder = path, file, holder
        self.name(holder.run)

    def name(self, run: str) -> None:
        """Say by which run it is held, for those who are refused."""
        self._holder = Holder(**{**asdict(self._holder), "run": run})
        data = json.dumps(asdict(self._holder)).encode()[:LARGEST]
        # First the new, then the cut: whoever reads meanwhile finds a name, perhaps with an old tail.
        os.pwrite(self._file, data, 0)
        os.ftruncate(self._file, len(data))

    @property
    def file(self) -> int:
        """Its open file. A process that inherits it keeps the lock as well, until that process closes it or ends."""
        return self._file

    def release(self) -> None:
        """Let others have it. May be called twice."""
        if self._file < 0:
            return
        # A file that was first made by another user stays: in a sticky folder only its owner removes it.
        with contextlib.suppress(OSError):
            self._path.unlink()
        os.close(self._file)
        self._file = -1


class _InUse(UsageError):
    """Somebody holds the lock now."""


def take(environment: str, *, run: str, now: datetime, folders: Iterable[Path] = FOLDERS, within_s: float = 0.0) -> EnvironmentLock:
    """The lock of *environment*, such as `bank on process`. Raises `UsageError` that names who still has it after *within_s*."""
    path = _path(environment, tuple(folders))
    begun = time.monotonic()
    while True:
        waited = timedelta(seconds=time.monotonic() - begun)
        try:
            return _take(path, environment, run=run, now=now + waited)
        except _InUse as error:
            if waited.total_seconds() >= within_s:
                raise UsageError(f"{error}{f' ({within_s:g} s were waited)' if within_s else ''}") from None
        time.sleep(LOOK_EVERY_S)


def _take(path: Path, environment: str, *, run: str, now: datetime) -> EnvironmentLock:
    holder = Holder(run=run, pid=os.getpid(), user=user_name(), since=now.isoformat(timespec="seconds"))
    for _ in range(TRIES):
        file = _opened(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, file):
                return EnvironmentLock(path, file, holder)
        except BlockingIOError:
            other = _read(file)
            os.close(file)
            in_use = f"environment {environment!r} is in use by {other or 'a run that has not said its name yet'}"
            if other is not None and not _is_there(other.pid):
                raise _InUse(
                    f"{in_use}, which has died: its janitor is healing what it has left; try again in a moment, "
                    "or see chaoskit heal RUN"
                ) from None
            raise _InUse(
                f"{in_use}; wait until it has ended, or stop it (chaoskit stop RUN). "
                "If this run has a copy of its own that nobody else uses, give that a name: --lock NAME"
            ) from None
        except BaseException:
            os.close(file)
            raise
        os.close(file)
    raise UsageError(f"{path}: the lock of environment {environment!r} is made and removed all the time; try again")


def sweep(run: str, folders: Iterable[Path] = FOLDERS) -> None:
    """Remove the file of the lock that *run* has left, which is dead. It held nobody up: its lock died with it."""
    for folder in folders:
        for path in folder.glob("chaoskit-*.lock"):
            with contextlib.suppress(OSError):  # another user's, or taken by somebody meanwhile: not ours to remove
                file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
                try:
                    holder = _read(file)
                    if holder is not None and holder.run == run:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        if _is_at(path, file):
                            path.unlink()
                finally:
                    os.close(file)


def _path(environment: str, folders: tuple[Path, ...]) -> Path:
    """The file of the lock, in the first folder where any user can make files and nobody can remove those of another one."""
    for folder in folders:
        with contextlib.suppress(OSError):
            mode = folder.stat().st_mode
            if stat.S_ISDIR(mode) and mode & stat.S_ISVTX and mode & stat.S_IWOTH:
                slug = re.sub(r"[^a-z0-9]+", "-", environment.lower()).strip("-")[:40]
                return folder / f"chaoskit-{slug}-{hashlib.sha256(environment.encode()).hexdigest()[:12]}.lock"
    raise UsageError(
        f"none of {', '.join(map(str, folders))} is a folder that all users share safely, so the lock of environment "
        f"{environment!r} has no place; expected one with mode 1777, do: chmod 1777 {folders[-1]}"
    )


def _opened(path: Path) -> int:
    """The file, made if need be. Raises `UsageError` for a thing that somebody else has put there instead."""
    # Without O_CREAT first: kernels refuse that for other users' files in sticky folders, to everybody.
    ways = (os.O_RDWR, os.O_RDWR | os.O_CREAT | os.O_EXCL) * TRIES
    for way in ways:
        try:
            file = os.open(path, way | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
        except (FileNotFoundError, FileExistsError):
            continue
        except OSError as error:
            raise _strange(path, error.strerror or str(error)) from error
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            os.close(file)
            raise _strange(path, "not a file of its own")
        if way & os.O_CREAT:
            os.fchmod(file, 0o666)  # whatever the umask says: other users lock the same file
        return file
    raise _strange(path, "made and removed all the time")


def _strange(path: Path, what: str) -> UsageError:
    return UsageError(
        f"{path}: cannot be used as a lock ({what}); expected a plain file that every user may write, as chaoskit makes it. "
        "Look whose it is (ls -l) and have it removed"
    )


def _is_at(path: Path, file: int) -> bool:
    """Whether *path* still is the open file: its last holder may have removed it, and another one be made."""
    try:
        there = path.lstat()
    except FileNotFoundError:
        return False
    here = os.fstat(file)
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's, or no number of a process at all
        return True
    return True


def _read(file: int) -> Holder | None:
    """Who holds it by its own word; None when that cannot be read. It goes to a terminal, so it must be printable."""
    try:
        told = json.JSONDecoder().raw_decode(os.pread(file, LARGEST, 0).decode())[0]
        holder = Holder(run=str(told["run"]), pid=int(told["pid"]), user=str(told["user"]), since=str(told["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return holder if str(holder).isprintable() else None
