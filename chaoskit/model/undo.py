"""The undo ledger's format: what must be undone, as plain data that another process can read after the writer has died.

One JSON object a line. `opened` says whose run it is and how its leftovers are found; `injecting` stands before the act,
`injected` after it, `healed` when its undo was verified; `closed` when the run's environment is gone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from chaoskit.model.protocols import Undo

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """Who runs, and how what it has made is found. `owner` and `leftovers` are ids of `chaoskit.environments.owner`."""

    run: str
    """The run's name, which is the name of its folder."""
    owner: str
    """Carries the process that runs it: by it anybody can see whether that is still alive."""
    leftovers: str = ""
    """The id that everything carries which the environment has made; "" for one that makes nothing."""
    engine: str = ""
    """The address of the container engine, "" without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenUndo:
    """A fault that was injected, or may have been, and was not seen to be healed."""

    fault: str
    undo: tuple[Undo, ...]
    """In the order in which it was done: undone from the last to the first."""
    was_injected: bool
    """False when the writer died between the record and its confirmation: it may or may not be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoRecords:
    """What an undo ledger says. `open` has the last injected first, which is the order to undo it in."""

    holder: Holder | None
    open: tuple[OpenUndo, ...]
    healed: tuple[str, ...]
    is_closed: bool


def opened(holder: Holder) -> dict[str, object]:
    """The first line of a ledger."""
    return {
        "state": "opened",
        "format": FORMAT,
        "run": holder.run,
        "owner": holder.owner,
        "leftovers": holder.leftovers,
        "engine": holder.engine,
    }


def injecting(fault: str, undo: tuple[Undo, ...]) -> dict[str, object]:
    """The line before an act."""
    return {
        "state": "injecting",
        "fault": fault,
        "undo": [{"verb": one.verb, "target": one.target, "details": dict(one.details)} for one in undo],
    }


def read(lines: Iterable[str | bytes]) -> UndoRecords:
    """Read a ledger. A torn line is left out: an `injecting` that is not whole was never acted on, since it is written before."""
    holder: Holder | None = None
    is_closed = False
    healed: list[str] = []
    open_: dict[str, OpenUndo] = {}
    for line in lines:
        try:
            record = json.loads(line)
            state = record["state"]
        except (ValueError, KeyError, TypeError):
            continue
        if state == "opened":
            names = ("run", "owner", "leftovers", "engine")
            holder = Holder(**{name: str(record[name]) for name in names})
        elif state == "injecting":
            open_.pop(record["fault"], None)  # injected again: it is the last one now
            open_[record["fault"]] = OpenUndo(fault=record["fault"], undo=_undo(record["undo"]), was_injected=False)
        elif state == "injected" and record["fault"] in open_:
            before = open_[record["fault"]]
            open_[record["fault"]] = OpenUndo(fault=before.fault, undo=before.undo, was_injected=True)
        elif state == "healed":
            open_.pop(record["fault"], None)
            healed.append(record["fault"])
        elif state == "closed":
            is_closed = True
    return UndoRecords(holder=holder, open=tuple(reversed(open_.values())), healed=tuple(healed), is_closed=is_closed)


def _undo(rows: Iterable[Mapping[str, object]]) -> tuple[Undo, ...]:
    undo = []
    for row in rows:
        details = row.get("details")
        assert isinstance(details, dict)
        undo.append(Undo(verb=str(row["verb"]), target=str(row["target"]), details={str(k): str(v) for k, v in details.items()}))
    return tuple(undo)
