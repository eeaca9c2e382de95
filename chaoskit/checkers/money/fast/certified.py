"""The certificate of a long history: the order that the arrays found, in the same form as that of the checks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import numpy as np

from chaoskit.checkers.money.fast.columns import INFO, Columns, Unfit, columns
from chaoskit.checkers.money.fast.order import Lineup, of_all
from chaoskit.model.history import History


def certified(history: History) -> tuple[list[list[object]], Mapping[str, object], list[list[int]]] | None:
    """Its rows of `order`, `unknown` and `unplaced`; None when it takes the checks to say so."""
    try:
        found = columns(history)
        lineup = of_all(found)
    except Unfit:
        return None
    return _rows(found, lineup), _unknown(found), []  # an order with a look left out was not found


def _rows(found: Columns, lineup: Lineup) -> list[list[object]]:
    names, keys, count = found.transactions, found.keys, len(found.transactions)
    accounts = list(found.accounts)
    shown: dict[int, dict[str, int]] = defaultdict(dict)
    looks = lineup.looks
    for item, account, version in zip(lineup.item.tolist(), looks.account, looks.version, strict=True):
        shown[item][accounts[account]] = version
    operations = found.operation_of[lineup.attempts].tolist()
    attempts = [found.attempts[index].number for index in lineup.attempts.tolist()]
    key_of = found.key_of.tolist()
    return [
        ["payment", names[item], keys[key_of[item]]]
        if item < count
        else ["look", found.history.operations[operations[item - count]].number, attempts[item - count], shown[item]]
        for item in lineup.order.tolist()
    ]


def _unknown(found: Columns) -> Mapping[str, object]:
    outcome = np.zeros(len(found.keys), dtype=np.int64)
    np.maximum.at(outcome, found.key, found.outcome)
    settled = found.history.final.settled if found.history.final else {}
    return {
        found.keys[key]: {"settled": settled.get(found.keys[key], ""), "in_ledger": bool(found.posted[key])}
        for key in np.flatnonzero(outcome == INFO).tolist()
        if key
    }
