"""What a PASSED money verdict rests on, so that somebody who trusts neither the checks nor us can follow it step by step.

`python -m chaoskit.checkers.money.verify RUN` does so; it shares no code with this package.
"""

from __future__ import annotations

from collections.abc import Mapping

from chaoskit.checkers.money.books import Books, is_long, open_books, uncollected
from chaoskit.checkers.money.orders import Look, of_all
from chaoskit.checkers.money.serial import Contradiction
from chaoskit.checkers.money.timeline import Effect, timeline
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import History, Outcome

FORMAT = 1


def certificate(history: History) -> dict[str, object]:
    """One order in which everything in the ledger, and every look at it, can have happened; and how each unknown was settled.

    `order` has `["payment", transaction, key]` and `["look", operation, attempt, {account: version}]`, in the order found.
    `unknown` says for each key without a definite answer how it was `settled` and whether it is `in_ledger`.
    `unplaced` are looks `[operation, attempt]` that have no sure place in the order: it proves nothing about looks then.
    Pure. Of several orders, another one may be found for a long history where numpy is installed. Raises `NotExercised` when there
    is no such order, or the ledger is not final: ask only for a history whose money checks passed. O(n log n).
    """
    with uncollected():
        order, unknown, unplaced = _quickly(history) or _certified(history)
    return {
        "certificate": FORMAT,
        "run": str(history.run.get("run", "")),
        "order": order,
        "unknown": unknown,
        "unplaced": unplaced,
    }


_Parts = tuple[list[list[object]], Mapping[str, object], list[list[int]]]
"""The order, the unknown keys, and the looks that have no place."""


def _quickly(history: History) -> _Parts | None:
    if not is_long(history):
        return None
    from chaoskit.checkers.money.fast import certified

    return certified(history)


def _certified(history: History) -> _Parts:
    books = open_books(history)
    if history.earlier:
        raise NotExercised("the ledger holds payments from before the run, which nobody can be asked about")
    line = timeline(books)
    lineup = of_all(line)
    if isinstance(lineup.found, Contradiction):
        raise NotExercised("the payments and looks have no order, so there is nothing to certify")
    items = (lineup.items[item] for item in lineup.found.items)
    placed = {_of(item) for item in lineup.items if not isinstance(item, Effect)}
    looks = dict.fromkeys((sight.operation.number, sight.attempt.number) for sight in line.sights)
    return [_row(item) for item in items], _unknown(books), [list(look) for look in looks if look not in placed]


def _row(item: Effect | Look) -> list[object]:
    if isinstance(item, Effect):
        return ["payment", item.transaction.name, item.transaction.key]
    return ["look", *_of(item), {placed.sight.account: placed.version for placed in item}]


def _of(look: Look) -> tuple[int, int]:
    return look[0].sight.operation.number, look[0].sight.attempt.number


def _unknown(books: Books) -> Mapping[str, object]:
    settled = books.history.final.settled if books.history.final else {}
    posted = {posting.key for posting in books.ledger.postings}
    found = {}
    for key, operations in books.asked.items():
        outcomes = {operation.outcome for operation in operations}
        if Outcome.OK not in outcomes and Outcome.INFO in outcomes:
            found[key] = {"settled": settled.get(key, ""), "in_ledger": key in posted}
    return found
