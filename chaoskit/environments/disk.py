"""Fills a small volume inside a container and empties it again, through the kernel's view of the container's files.

The filler needs no program in the image and no record: it goes on until its file has been deleted, which any process can do.
Symbolic links are never followed: seen from here, a link of the container's could lead into the host's own files.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import threading
from pathlib import Path, PurePosixPath

from chaoskit.model.errors import ChaoskitError

MOST_BYTES = 1 << 30  # a volume made for being filled is small; more would fill a disk that others use, or the machine's memory
BLOCK = b"\xa5" * (1 << 20)  # not zeros, which some file systems do not store
PAGE = 4096
REFILL_S = 0.02  # a service that writes all the time gets at most this long to take what another one freed
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class CannotFill(ChaoskitError):
    """The volume cannot be filled. Nothing is left in it."""


def fill(pid: int, path: str, file: str, *, keep_full: bool) -> None:
    """Fill what is mounted at *path* in the container of process *pid* by one *file*. Raises `CannotFill`."""
    folder = _open(pid, path)
    try:
        _check_small(pid, path, folder)
        try:
            target = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
        except OSError as error:
            raise CannotFill(f"folder {path}: no file can be written there: {error}") from error
    finally:
        os.close(folder)
    try:
        _write_all(target)
    except OSError as error:
        os.close(target)
        raise CannotFill(f"folder {path}: while it was being filled: {error}") from error
    if not keep_full:
        os.close(target)
        return
    threading.Thread(target=_refill, args=(target, os.pidfd_open(pid)), name="chaoskit-fill", daemon=True).start()


def is_full(pid: int, path: str) -> tuple[bool, str]:
    """Whether a write of one page fails for want of room, and how it went. Raises `CannotFill` when it fails for anything else."""
    folder = _open(pid, path)
    name = f".chaoskit-try-{os.getpid()}-{threading.get_ident()}"
    try:
        try:
            file = os.open(name, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
            try:
                os.write(file, b"x" * PAGE)
                os.fsync(file)
            finally:
                os.close(file)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
    except OSError as error:
        if error.errno in FULL:
            return True, f"a write of {PAGE} bytes below {path} failed: {error.strerror}"
        raise CannotFill(f"folder {path}: while trying a write: {error}") from error
    finally:
        os.close(folder)
    return False, f"a write of {PAGE} bytes below {path} succeeded"


def free(folder: int, file: str) -> bool:
    """Delete the file in an open folder. Returns whether it was there. A filler ends and lets go of the room within its pause."""
    try:
        os.unlink(file, dir_fd=folder)
    except FileNotFoundError:
        return False
    return True


def free_inside(pid: int, path: str, file: str) -> bool:
    """The same for a folder of a container that has a process. Raises `CannotFill` when the folder is not there."""
    folder = _open(pid, path)
    try:
        return free(folder, file)
    finally:
        os.close(folder)


def _open(pid: int, path: str) -> int:
    """The folder, reached step by step inside the container's own file system."""
    steps = PurePosixPath(path)
    if not steps.is_absolute() or ".." in steps.parts:
        raise CannotFill(f"folder {path!r} was given; expected an absolute path of the container without '..'")
    place = os.open(f"/proc/{pid}/root", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for step in steps.parts[1:]:
            deeper = os.open(step, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
            os.close(place)
            place = deeper
    except OSError as error:
        os.close(place)
        raise CannotFill(f"folder {path} of the container cannot be opened (symbolic links are not followed): {error}") from error
    return place


def _check_small(pid: int, path: str, folder: int) -> None:
    if os.fstat(folder).st_dev == Path(f"/proc/{pid}/root").stat().st_dev:
        raise CannotFill(f"folder {path} lies on the container's own root, which is the host's disk; name a volume or tmpfs")
    size = os.fstatvfs(folder)
    if size.f_blocks * size.f_frsize > MOST_BYTES:
        raise CannotFill(
            f"folder {path} has room for {size.f_blocks * size.f_frsize:,} bytes; only volumes up to {MOST_BYTES:,} are filled, "
            "since a larger one is somebody's disk. Mount a small tmpfs there"
        )


def _write_all(file: int) -> None:
    """Write until not one page more has room."""
    written, size = 0, len(BLOCK)
    while written < MOST_BYTES and size >= PAGE:
        try:
            written += os.write(file, BLOCK[:size])
        except OSError as error:
            if error.errno not in FULL:
                raise
            size //= 2


def _refill(file: int, process: int) -> None:
    """Take what becomes free, until the file has been deleted or the container has ended: then its memory must not be held."""
    try:
        poll = select.poll()
        poll.register(process, select.POLLIN)
        while not poll.poll(REFILL_S * 1000) and os.fstat(file).st_nlink > 0:
            _write_all(file)
    except OSError:  # the volume is gone with its container: nothing is left to be kept full, and `is_full` tells it
        return
    finally:
        os.close(file)
        os.close(process)
