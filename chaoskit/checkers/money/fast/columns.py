"""A history and its final ledger as arrays of whole numbers, for histories that are too long for a loop over their operations.

Nothing is judged here, and nothing is guessed: whatever does not fit into the arrays as it is makes a history unfit for them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple

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
    """By operation, as are the next three."""
    key: Ints
    intent: Ints
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
    ledger = measures.settled_ledger(history)
    require(not ledger.lacks and not history.earlier, "the ledger cannot show all, or shows more than the run")
    require(history.opening is not None and ledger.postings and ledger.accounts, "there is nothing to compare")
    operations, opening = history.operations, history.opening or {}
    sent = [operation.attempts for operation in operations]
    times_sent = _ints(map(len, sent), len(sent))
    require(len(operations) and times_sent.min() > 0, "an operation without an attempt")
    attempts = list(chain.from_iterable(sent))
    outcomes = _ints((_code(attempt.outcome) for attempt in attempts), len(attempts))
    begins = np.cumsum(times_sent) - times_sent

    key_names, intent_names = _numbers([""]), _numbers([""])
    key = _ints((key_names[operation.key] for operation in operations), len(operations))
    intent = _ints((intent_names[operation.intent or operation.key] for operation in operations), len(operations))
    asked = len(key_names)

    rows, names = ledger.postings, _numbers([])
    accounts = _numbers([*(state.account for state in ledger.accounts), *opening])
    transaction = _ints((names[row.transaction] for row in rows), len(rows))
    row_key = _ints((key_names[row.key] for row in rows), len(rows))
    account = _ints((accounts[row.account] for row in rows), len(rows))
    amount = _ints((row.amount for row in rows), len(rows))
    key_of = np.zeros(len(names), dtype=np.int64)
    key_of[transaction] = row_key
    require((key_of[transaction] == row_key).all(), "a transaction under several keys")
    books = dict(accounts)
    first = _ints((opening.get(name, 0) for name in books), len(books))

    legs = [operation.legs for operation in operations]
    leg_operation = np.repeat(np.arange(len(legs)), _ints(map(len, legs), len(legs)))
    leg_account = _ints((accounts[name] for name in chain.from_iterable(legs)), len(leg_operation))
    leg_amount = _ints(chain.from_iterable(one.values() for one in legs), len(leg_operation))
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
    settled = history.final.settled if history.final else {}
    barred, applied = (_said(settled, key_names, said) for said in (("refused", "tombstone"), ("applied",)))
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
        started=_times(attempt.start_ns for attempt in attempts),
        ended=_times(NEVER if attempt.end_ns is None else attempt.end_ns for attempt in attempts),
        outcome=outcome,
        key=key,
        intent=intent,
        moves=moves,
        keys=list(key_names),
        asked=asked,
        posted=posted,
        transactions=list(names),
        key_of=key_of,
        accounts=books,
        transaction=transaction,
        account=account,
        version=_ints((row.version for row in rows), len(rows)),
        amount=amount,
        after=_ints((row.balance_after for row in rows), len(rows)),
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


def _said(settled: Mapping[str, str], key_names: Mapping[str, int], said: tuple[str, ...]) -> Flags:
    """By key: whether one of these was said of it when it was settled."""
    found = np.zeros(len(key_names), dtype=np.bool_)
    found[[key_names[name] for name, state in settled.items() if state in said and name in key_names]] = True
    return found


def _code(outcome: Outcome) -> int:
    return OK if outcome is Outcome.OK else FAIL if outcome is Outcome.FAIL else INFO


def _ints(values: Iterable[int], count: int) -> Ints:
    return np.fromiter(values, dtype=np.int64, count=count)


def _times(values: Iterable[int]) -> Ints:
    found = np.fromiter(values, dtype=np.int64)
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
