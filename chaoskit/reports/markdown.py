"""Stored runs as a Markdown table, for the page on which a CI system sums a job up: one line for each run.

A run that cannot be read has a line as well: a table that leaves out what broke would look green.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from chaoskit.model.errors import UsageError
from chaoskit.model.history import HistoryReader
from chaoskit.model.topology import Currency
from chaoskit.model.verdict import Result
from chaoskit.reports.text import WORDS

UNREADABLE = "NO VERDICT"
NAME = "{run}"
"""What stands for the name of a run's folder in the address that links lead to."""
_SPECIAL = re.compile(r"([\\`*\[\]<>|~&#$@!]|(?<!\w)_|_(?!\w))")
"""What Markdown, a table or one of the flavours (mentions, mathematics) would read as more than itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What is told of one run. `verdict` is a word of `WORDS` or `UNREADABLE`; `what` is the run's title, or why it has none."""

    folder: Path
    verdict: str
    what: str
    without_service: str = "–"
    money_lost: str = "–"


def line(folder: Path) -> Line:
    """What is told of the run in *folder*. Raises `UsageError` when there is no verdict that can be read."""
    path = folder / "verdict.json"
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return _line(folder, stored)
    except FileNotFoundError:
        what = "is not there: this is no run folder, or its run has not ended"
        raise UsageError(f"{path}: {what}; if it was killed: chaoskit heal {folder}") from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path}: is not the verdict of a run ({type(error).__name__}: {error})") from error


def unreadable(folder: Path, error: Exception) -> Line:
    """The line of a run that `line` could not tell anything of."""
    return Line(folder=folder, verdict=UNREADABLE, what=str(error))


def markdown(lines: Iterable[Line], *, link: str = NAME) -> str:
    """A sentence and a table. Pure. *link* is the address of a run; `{run}` in it stands for the name of the run's folder.

    Without *link* the folder's own path is linked, which leads somewhere for whoever reads the file beside it.
    """
    told = list(lines)
    counts = Counter(one.verdict for one in told)
    words = [word for word in (*WORDS.values(), UNREADABLE) if counts[word]]
    total = f"{len(told)} run" + ("" if len(told) == 1 else "s")
    rows = [f"**chaoskit: {total}: {', '.join(f'{counts[word]} {word}' for word in words)}**", ""]
    rows += ["| verdict | experiment | longest without service | money lost | run |", "|---|---|---|---|---|"]
    rows += [_row(one, link) for one in told]
    return "\n".join(rows) + "\n"


def _line(folder: Path, stored: Mapping[str, object]) -> Line:
    """Raises what `line` takes for a file that is of another format."""
    result, rto_s, rpo = Result(str(stored["verdict"])), stored["rto_s"], stored["rpo"]
    if not isinstance(rpo, dict):
        raise TypeError(f"rpo is {rpo!r}")
    operations, amount = rpo["operations"], rpo["amount"]
    return Line(
        folder=folder,
        verdict=WORDS[result],
        what=str(stored["title"]),
        without_service="–" if rto_s is None else f"{rto_s:.1f} s",
        money_lost="not judged" if operations is None else f"{_currency(folder).shown(amount)} in {operations:,} operations",
    )


def _currency(folder: Path) -> Currency:
    """What the first record of the run says of its money; plain minor units when there is no record any more."""
    reader = HistoryReader()
    try:
        with (folder / "history.jsonl").open("rb") as file:
            reader.feed_line(file.readline())
    except FileNotFoundError:
        return Currency()
    return reader.history().currency


def _row(one: Line, link: str) -> str:
    address = str(one.folder) if link == NAME else link.replace(NAME, one.folder.name)
    # Angle brackets hold an address that has blanks in it.
    linked = f"[{_escaped(one.folder.name)}](<{address}>)"
    strong = _escaped(one.verdict) if one.verdict == WORDS[Result.PASSED] else f"**{_escaped(one.verdict)}**"
    return f"| {strong} | {_escaped(one.what)} | {one.without_service} | {_escaped(one.money_lost)} | {linked} |"


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
