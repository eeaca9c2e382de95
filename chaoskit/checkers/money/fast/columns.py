"""A history and its final ledger as arrays of whole numbers, for histories that are too long for a loop over their operations.

Nothing is judged here, and nothing is guessed: whatever does not fit into the arrays as it is makes a history unfit for them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from operator import attrgetter, methodcaller
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from chaoskit.model import measures
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import Attempt, History, Outcome
from chaoskit.model.topology import LedgerState

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

NEVER = np.iinfo(np.int64).max
"""Later than any time in ns, for what nobody was told."""
MOST = 1 << 62
"""Sums, times and pairs of numbers stay below this, so that nothing runs over in 64 bits. 2^62 ns are 146 years."""
FAIL, INFO, OK = range(3)
"""Of several outcomes the greatest one counts: what `Operation.outcome` says, as a number."""


class Unfit(Exception):
    """The arrays cannot hold this history, or cannot prove what was asked. Judge it without them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """One row for each operation, attempt, transaction or posting. Keys, intents, accounts and transactions are numbered.

    Key 0 is no key. Keys up to `asked` were sent by somebody, in this order; later ones are in the ledger only.
    """

    history: History
    ledger: LedgerState
    opening: Ints
    """By account."""
    attempts: Sequence[Attempt]
    operation_of: Ints
    """By attempt, as are the next three."""
    outcome_of_attempt: Ints
    started: Ints
    ended: Ints
    outcome: Ints
    """By operation, as are the next two."""
    key: Ints
    moves: Flags
    """Whether it was to move money."""
    keys: Sequence[str]
    asked: int
    posted: Ints
    """By key: how many transactions it has."""
    transactions: Sequence[str]
    key_of: Ints
    """By transaction."""
    accounts: Mapping[str, int]
    """Those of the books: of the ledger, of the opening balances, and of postings."""
    transaction: Ints
    """By posting, as are the next four."""
    account: Ints
    version: Ints
    amount: Ints
    after: Ints
    plain: Flags
    """By operation: whether it alone was for its intent and under its key, and is in the ledger once as asked, or rightly not.

    It then was answered once at most, and has nothing to do with any other operation but by its accounts.
    """
    rest: History | None
    """The same history with all but the plain operations, and what is in the ledger under no plain key; None when that is none."""


def columns(history: History) -> Columns:
    """The columns of *history*; they are kept with it. Raises `Unfit`."""
    known = history.memo.get("columns")
    if known is None:
        try:
            known = _columns(history)
        except (Unfit, NotExercised, OverflowError) as reason:
            known = Unfit(str(reason))
        history.memo["columns"] = known
    if isinstance(known, Columns):
        return known
    raise Unfit(str(known))


def require(is_so: object, why: str) -> None:
    """Raises `Unfit`."""
    if not is_so:
        raise Unfit(why)


def _columns(history: History) -> Columns:
    ledger = history.final.first if history.final else None
    if history.final is None or ledger is None:
        raise Unfit("the ledger was not read")
    require(not ledger.lacks and not history.earlier, "the ledger cannot show all, or shows more than the run")
    require(history.opening is not None and ledger.postings and ledger.accounts, "there is nothing to compare")
    operations, opening, settled = history.operations, history.opening or {}, history.final.settled
    sent = _column(operations, "attempts")
    times_sent = _ints(map(len, sent))
    require(len(operations) and times_sent.min() > 0, "an operation without an attempt")
    attempts = list(chain.from_iterable(sent))
    outcomes = _outcomes(attempts)
    begins = np.cumsum(times_sent) - times_sent

    key_names, intent_names = _numbers([""]), _numbers([""])
    sent_keys = _column(operations, "key")
    intents = (intent or key for intent, key in zip(map(attrgetter("intent"), operations), sent_keys, strict=True))
    key, intent = _numbered(key_names, sent_keys), _numbered(intent_names, intents)
    asked = len(key_names)

    rows, names = ledger.postings, _numbers([])
    accounts = _numbers([*(state.account for state in ledger.accounts), *opening])
    transaction = _numbered(names, map(attrgetter("transaction"), rows))
    row_key = _numbered(key_names, map(attrgetter("key"), rows))
    account = _numbered(accounts, map(attrgetter("account"), rows))
    amount = _ints(map(attrgetter("amount"), rows))
    key_of = np.zeros(len(names), dtype=np.int64)
    key_of[transaction] = row_key
    require((key_of[transaction] == row_key).all(), "a transaction under several keys")
    books = dict(accounts)
    first = _ints(opening.get(name, 0) for name in books)

    legs = _column(operations, "legs")
    leg_operation = np.repeat(np.arange(len(legs)), _ints(map(len, legs)))
    leg_account = _numbered(accounts, chain.from_iterable(legs))
    leg_amount = _ints(chain.from_iterable(map(methodcaller("values"), legs)))
    moves = np.zeros(len(operations), dtype=np.bool_)
    moves[leg_operation[leg_amount != 0]] = True
    moves &= key > 0
    require(moves.any(), "no operation was to move money")

    require((_bound(amount) + _bound(leg_amount)) * len(rows) + _bound(first) < MOST, "amounts whose sum is too large")
    require(len(key_names) * len(accounts) < MOST, "too many keys and accounts")

    outcome = np.maximum.reduceat(outcomes, begins)
    posted = np.bincount(key_of, minlength=len(key_names))
    wanted = _Rows(leg_operation, leg_account, leg_amount).only(leg_amount != 0)
    owner = np.full(len(key_names), -1)
    owner[key] = np.arange(len(operations))
    booked = _Rows(owner[row_key], account, amount)
    barred, applied = _said(settled, key_names, "refused", "tombstone"), _said(settled, key_names, "applied")
    # Every check asks how many are not settled, and so does the look whether the ledger is final.
    history.memo.setdefault("unsettled", int((moves & (outcome == INFO) & ~_said(settled, key_names)[key]).sum()))
    measures.settled_ledger(history)
    is_there = posted > 0
    plain = (
        (key > 0)
        & (np.bincount(key)[key] == 1)
        & (np.bincount(intent[key > 0], minlength=len(intent_names))[intent] == 1)
        & (posted[key] <= 1)
        & (np.add.reduceat(outcomes == OK, begins, dtype=np.int64) <= 1)
        & np.where(
            is_there[key],
            moves & _is_same(wanted, booked, len(operations), len(accounts)) & (outcome != FAIL) & ~(barred[key] & (outcome != OK)),
            ~moves | ((outcome != OK) & ~applied[key]),
        )
    )
    if not plain[key > 0].all() or not _of_plain(plain, owner)[row_key].all():
        # What is judged by the checks themselves takes one along, so that there is something in the ledger of it.
        plain[np.flatnonzero(plain & is_there[key] & (outcome == OK))[:1]] = False
    return Columns(
        history=history,
        ledger=ledger,
        opening=first,
        attempts=attempts,
        operation_of=np.repeat(np.arange(len(sent)), times_sent),
        outcome_of_attempt=outcomes,
        started=_times(map(attrgetter("start_ns"), attempts)),
        ended=_times(NEVER if end_ns is None else end_ns for end_ns in map(attrgetter("end_ns"), attempts)),
        outcome=outcome,
        key=key,
        moves=moves,
        keys=list(key_names),
        asked=asked,
        posted=posted,
        transactions=list(names),
        key_of=key_of,
        accounts=books,
        transaction=transaction,
        account=account,
        version=_ints(map(attrgetter("version"), rows)),
        amount=amount,
        after=_ints(map(attrgetter("balance_after"), rows)),
        plain=plain,
        rest=_rest(history, ledger, (key > 0) & ~plain, ~_of_plain(plain, owner)[row_key]),
    )


class _Rows(NamedTuple):
    """What each operation does to each account."""

    operation: Ints
    account: Ints
    amount: Ints

    def only(self, is_so: Flags) -> _Rows:
        return _Rows(self.operation[is_so], self.account[is_so], self.amount[is_so])

    def named(self, accounts: int) -> tuple[Ints, Ints]:
        """The amounts, and one number for operation and account before each, in order of these."""
        name = self.operation * accounts + self.account
        order = np.argsort(name, kind="stable")
        return name[order], self.amount[order]


def _is_same(wanted: _Rows, booked: _Rows, operations: int, accounts: int) -> Flags:
    """By operation: whether what is booked for it is what it wanted, account by account, and adds up to nothing."""
    booked = booked.only(booked.operation >= 0)
    want, amount = wanted.named(accounts)
    done, moved = booked.named(accounts)
    at = np.minimum(np.searchsorted(want, done), len(want) - 1)
    is_wrong = (want[at] != done) | (amount[at] != moved)
    is_wrong[1:] |= done[1:] == done[:-1]  # an account twice
    found: Flags = np.bincount(wanted.operation, minlength=operations) == np.bincount(booked.operation, minlength=operations)
    found[done[is_wrong] // accounts] = False
    total = np.zeros(operations, dtype=np.int64)
    np.add.at(total, wanted.operation, wanted.amount)
    found &= total == 0
    return found


def _of_plain(plain: Flags, owner: Ints) -> Flags:
    """By key: whether a plain operation sent it."""
    return (owner >= 0) & plain[owner]


def _rest(history: History, ledger: LedgerState, is_odd: Flags, is_booked: Flags) -> History | None:
    if not (is_odd.any() or is_booked.any()):
        return None
    assert history.final is not None, "the ledger is of the final reads"
    state = replace(ledger, postings=tuple(ledger.postings[index] for index in np.flatnonzero(is_booked)))
    return replace(
        history,
        operations=tuple(history.operations[index] for index in np.flatnonzero(is_odd)),
        final=replace(history.final, first=state, second=state),
    )


def _said(settled: Mapping[str, str], key_names: Mapping[str, int], *states: str) -> Flags:
    """By key: whether it was settled as one of *states*, or at all if there are none."""
    found = np.zeros(len(key_names), dtype=np.bool_)
    found[[key_names[name] for name, state in settled.items() if name in key_names and (not states or state in states)]] = True
    return found


def _outcomes(attempts: Sequence[Attempt]) -> Ints:
    # By identity, in C: there is one object for each outcome, and looking it up by name takes ten times as long.
    which = _ints(map(id, map(attrgetter("outcome"), attempts)))
    found: Ints = np.where(which == id(Outcome.OK), OK, np.where(which == id(Outcome.FAIL), FAIL, INFO))
    return found


def _column(rows: Sequence[object], name: str) -> list[Any]:
    return list(map(attrgetter(name), rows))


def _numbered(numbers: Mapping[str, int], names: Iterable[str]) -> Ints:
    return _ints(map(numbers.__getitem__, names))


def _ints(values: Iterable[int]) -> Ints:
    return np.fromiter(values, dtype=np.int64)


def _times(values: Iterable[int]) -> Ints:
    found = _ints(values)
    require((found > -MOST).all() and (found != 0).all() and (found[found < NEVER] < MOST).all(), "times that no clock gives")
    return found


def _numbers(names: Iterable[str]) -> defaultdict[str, int]:
    """Numbers from 0 for names as they come; looking up a new one gives it the next."""
    found: defaultdict[str, int] = defaultdict()
    found.default_factory = found.__len__
    for name in names:
        found[name]
    return found


def _bound(values: Ints) -> int:
    return max(int(values.max(initial=0)), -int(values.min(initial=0)))
