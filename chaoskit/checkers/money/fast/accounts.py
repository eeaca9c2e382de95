"""The way of each account through its postings, as arrays: one row for each posting, in order of account and version."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from chaoskit.checkers.money.fast.columns import Columns, Ints, require


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Every account has the versions 1, 2, 3, … and each balance follows. Its postings are the rows from `first` to `last`."""

    first: Ints
    last: Ints
    """By account: the row after its last one. No rows where both are the same."""
    row: Ints
    """By place in the order: the number of the posting in `Columns`."""
    balance: Ints
    """By place: after the posting."""


def accounts(columns: Columns) -> Accounts:
    """The accounts of *columns*; they are kept with the history. Raises `Unfit` unless each has one whole way."""
    memo = columns.history.memo
    known = memo.get("accounts in order")
    if not isinstance(known, Accounts):
        known = _accounts(columns)
        memo["accounts in order"] = known
    return known


def _accounts(columns: Columns) -> Accounts:
    row = np.lexsort((columns.version, columns.account))
    account, amount = columns.account[row], columns.amount[row]
    count = np.bincount(account, minlength=len(columns.accounts))
    last = np.cumsum(count)
    first = last - count
    require((columns.version[row] == np.arange(len(row)) - first[account] + 1).all(), "versions twice or missing")
    total = np.concatenate(([0], np.cumsum(amount)))
    balance = columns.opening[account] + total[1:] - total[first[account]]
    require((columns.after[row] == balance).all(), "balances that do not follow")
    return Accounts(first=first, last=last, row=row, balance=balance)
