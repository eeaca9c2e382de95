"""Whose a run is: its id carries the process that owns it, so that anybody can later see whether that process is still there.

A number alone is no proof, since the kernel gives it again: the start time and the kernel's boot belong to it. The id is the value
of the label `chaoskit.run` and fits into a host name.
"""

from __future__ import annotations

import contextlib
import enum
import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

MARK = ".chaoskit-run"
"""The file in a folder of ours that says which run it belongs to."""

_ID = re.compile(r"(?P<pid>\d+)-(?P<start>\d+)-(?P<host>[0-9a-f]{8})-[0-9a-f]{6}")


class Life(enum.Enum):
    """What is known of the process that owns a run."""

    ALIVE = "its owner is alive"
    GONE = "its owner is gone"
    ELSEWHERE = "its owner lived in another boot, machine or process namespace, so it cannot be seen from here"


def new_run() -> str:
    """An id for a run of this process. Two of one process differ by a random part."""
    pid = os.getpid()
    return f"{pid}-{_started(pid)}-{_host()}-{secrets.token_hex(3)}"


@contextlib.contextmanager
def working_place(what: str, run: str) -> Iterator[Path]:
    """A temporary folder of a run, for the length of a block; when the run is killed inside, its mark leads to it."""
    with tempfile.TemporaryDirectory(prefix=f"chaoskit-{what}-") as folder:
        (Path(folder) / MARK).write_text(run, encoding="utf-8")
        inside = Path(folder) / "work"
        inside.mkdir()
        yield inside


def is_run(text: str) -> bool:
    """Whether *text* is the id of a run."""
    return _ID.fullmatch(text) is not None


def pid_of(run: str) -> int:
    """The number of the process that owns *run*."""
    return int(_parsed(run)["pid"])


def life_of(run: str) -> Life:
    """Whether the owner of *run* is alive. A zombie counts as gone: it does nothing any more."""
    parsed = _parsed(run)
    if parsed["host"] != _host():
        return Life.ELSEWHERE
    return Life.ALIVE if _started(int(parsed["pid"])) == int(parsed["start"]) else Life.GONE


def _parsed(run: str) -> re.Match[str]:
    parsed = _ID.fullmatch(run)
    assert parsed is not None, f"{run!r} is not the id of a run"
    return parsed


def _started(pid: int) -> int | None:
    """When a process started, in ticks since the boot (field 22 of /proc/PID/stat); None when it is not there any more."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()  # the name before may contain anything
    return None if fields[0] in "ZX" else int(fields[19])


def _host() -> str:
    """The boot of the kernel and the process namespace: numbers mean something only within both."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return hashlib.sha256(f"{boot} {os.readlink('/proc/self/ns/pid')}".encode()).hexdigest()[:8]  # noqa: PTH115 - a name, not a path
