"""The ends of the logs of a run's services: enough to see why, and never so much that a report cannot be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

LINES = 10
LONGEST = 240
"""Of one line: two of a terminal. Proxies write whole objects into theirs."""
BYTES = 4_000
"""Of each log, so that a large one is not read to its beginning."""
FILES = 8
"""The reference bank has seven services; reports of larger systems name the folder anyway."""


def tails(folder: Path) -> Iterator[tuple[str, str]]:
    """The last lines of each log, those that were written last at the end. Characters that would move a terminal are escaped."""
    try:
        files = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size]
        files.sort(key=lambda path: path.stat().st_mtime_ns)
    except OSError:
        return  # a log that goes away while its end is looked for must not hide the verdict
    for path in files[-FILES:]:
        yield path.relative_to(folder).as_posix(), _tail(path)


def _tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - BYTES))
            text = file.read(BYTES).decode(errors="replace")
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "\n".join(_printable(line) for line in text.splitlines()[-LINES:]).replace(os.linesep, "\n")


def _printable(line: str) -> str:
    line = line if len(line) <= LONGEST else line[:LONGEST] + "…"
    return "".join(char if char.isprintable() or char == "\t" else char.encode("unicode_escape").decode() for char in line)
