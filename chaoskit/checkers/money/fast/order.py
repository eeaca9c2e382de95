"""One order of all payments and looks, found without a queue: each gets the earliest time that it can have happened at.

What must come before something moves its time on, until nothing moves any more. In a right bank that is soon, since a payment is
only moved by those that waited with it. The order is checked when it is found: what is returned needs no trust in how it was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chaoskit.checkers.money.fast.accounts import accounts
from chaoskit.checkers.money.fast.columns import NEVER, OK, Columns, Flags, Ints, Unfit, require
from chaoskit.model.history import Operation

MOST_ROUNDS = 10_000
"""As many payments of one account may wait for each other at once; a third of a second, when nearly all others are settled."""
MOST_STEPS = 100
"""For each pair, on average. A queue takes as long as that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """What answers showed: one row for each account shown. An answer is named by the number of its attempt in `Columns`."""

    attempt: Sequence[int]
    account: Sequence[int]
    balance: Sequence[int]
    version: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineup:
    """Transactions by number, then answers by their place in `attempts`, in an order that they can have had."""

    order: Ints
    attempts: Ints
    looks: Looks
    item: Ints
    """By row of `looks`: the item that it is part of."""


def of_all(columns: Columns) -> Lineup:
    """All payments, and all looks at the versions that they name, in one order. Raises `Unfit` when it finds none."""
    return _kept(columns, "fast order of all", looks=True)


def of_payments(columns: Columns) -> int:
    """How many payments there are, if they have an order. Raises `Unfit` when it finds none."""
    try:
        of_all(columns)
    except Unfit:
        _kept(columns, "fast order of payments", looks=False)
    return len(columns.transactions)


def _kept(columns: Columns, name: str, *, looks: bool) -> Lineup:
    memo = columns.history.memo
    known = memo.get(name)
    if known is None:
        try:
            known = _lineup(columns, _looks(columns) if looks else Looks(attempt=(), account=(), balance=(), version=()))
        except Unfit as reason:
            known = reason
        memo[name] = known
    if isinstance(known, Lineup):
        return known
    raise Unfit(str(known))


def _lineup(columns: Columns, looks: Looks) -> Lineup:
    starts, ends = _payments(columns)
    rows = np.array(looks.attempt, dtype=np.int64)
    attempts = np.unique(rows)
    item = np.searchsorted(attempts, rows) + len(starts)
    starts = np.concatenate((starts, columns.started[attempts]))
    ends = np.concatenate((ends, columns.ended[attempts]))
    order = serialise(starts, ends, *_pairs(columns, looks, item))
    return Lineup(order=order, attempts=attempts, looks=looks, item=item)


def _payments(columns: Columns) -> tuple[Ints, Ints]:
    """By transaction: when it was first asked for, and when somebody was first told."""
    begins = np.flatnonzero(np.diff(columns.operation_of, prepend=-1))
    key_of_attempt = columns.key[columns.operation_of]
    asked, told = np.full(len(columns.keys), NEVER), np.full(len(columns.keys), NEVER)
    np.minimum.at(asked, columns.key, columns.started[begins])
    is_ok = columns.outcome_of_attempt == OK
    np.minimum.at(told, key_of_attempt[is_ok], columns.ended[is_ok])
    # Of several effects under one key nobody knows which of them the answer was about; what nobody asked for may be of any time.
    told[columns.posted > 1] = NEVER
    asked[columns.asked :], told[columns.asked :] = 0, NEVER
    asked[0], told[0] = 0, NEVER
    return asked[columns.key_of], told[columns.key_of]


def _pairs(columns: Columns, looks: Looks, item: Ints) -> tuple[Ints, Ints]:
    """What must come before what: neighbours of an account, and a look between the versions that it shows and the next one."""
    ways = accounts(columns)
    transaction, account = columns.transaction[ways.row], columns.account[ways.row]
    is_pair = (account[1:] == account[:-1]) & (transaction[1:] != transaction[:-1])
    at, balance, version = (np.array(values, dtype=np.int64) for values in (looks.account, looks.balance, looks.version))
    place = ways.first[at] + version  # of the next version
    require(((version >= 0) & (place <= ways.last[at])).all(), "a look at a version that the account never had")
    held = np.concatenate((ways.balance, [0]))[place - 1]  # the last one is for version 0 of the first account, and not used
    require((np.where(version > 0, held, columns.opening[at]) == balance).all(), "a look at a balance that the account never held")
    after, before = version > 0, place < ways.last[at]
    first = np.concatenate((transaction[:-1][is_pair], transaction[place[after] - 1], item[before]))
    second = np.concatenate((transaction[1:][is_pair], item[after], transaction[place[before]]))
    return first, second


def serialise(starts: Ints, ends: Ints, first: Ints, second: Ints) -> Ints:
    """An order in which each *first* comes before its *second*, and whatever was over before what began later.

    Times become ranks, and each item has a rank and a depth: it can come at the rank, behind so many others.
    """
    count = len(starts)
    early = np.unique(starts)
    time = np.searchsorted(early, starts) * (count + 1)
    order = np.argsort(first, kind="stable")
    first, second = first[order], second[order]
    until = np.cumsum(np.bincount(first, minlength=count))
    since = np.concatenate(([0], until[:-1]))
    pairs, steps = np.arange(len(first)), 0
    for _ in range(min(count, MOST_ROUNDS)):  # a chain has no more steps than items
        moved = time[first[pairs]] + 1
        is_later = moved > time[second[pairs]]
        if not is_later.any():
            break
        steps += len(pairs)
        require(steps < MOST_STEPS * (count + len(first)), "payments that move each other too often")
        behind = second[pairs[is_later]]
        np.maximum.at(time, behind, moved[is_later])
        pairs = _from(np.unique(behind), since, until)
    else:
        raise Unfit("payments that move each other for too long")
    found: Ints = np.argsort(time, kind="stable")
    latest = np.maximum.accumulate(starts[found])
    require((time[first] < time[second]).all() and (latest <= ends[found]).all(), "no order was found")
    return found


def _from(items: Ints, since: Ints, until: Ints) -> Ints:
    """The numbers of all pairs whose first is among *items*."""
    counts = until[items] - since[items]
    total = np.cumsum(counts)
    found: Ints = np.arange(counts.sum()) + np.repeat(since[items] - (total - counts), counts)
    return found


def _looks(columns: Columns) -> Looks:
    """What the ok answers of look-ups showed. Raises `Unfit` for one that does not name a version."""
    attempts: list[int] = []
    accounts: list[int] = []
    balances: list[int] = []
    versions: list[int] = []
    for index in np.flatnonzero(_may_show(columns)).tolist():
        result = columns.attempts[index].result
        several = result.get("accounts")
        for shown in several if isinstance(several, list) else (result,):
            if not isinstance(shown, dict):
                continue
            account, balance, version = shown.get("account"), shown.get("balance"), shown.get("version")
            if isinstance(account, str) and type(balance) is int and account in columns.accounts:
                if type(version) is not int:
                    raise Unfit("a look that names no version")
                attempts.append(index)
                accounts.append(columns.accounts[account])
                balances.append(balance)
                versions.append(version)
    return Looks(attempt=attempts, account=accounts, balance=balances, version=versions)


def _may_show(columns: Columns) -> Flags:
    operations: Sequence[Operation] = columns.history.operations
    is_look: Flags = (columns.key == 0) & np.fromiter((not one.legs for one in operations), dtype=np.bool_, count=len(operations))
    is_told: Flags = (columns.outcome_of_attempt == OK) & (columns.ended < NEVER)
    return is_look[columns.operation_of] & is_told
