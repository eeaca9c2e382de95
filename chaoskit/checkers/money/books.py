"""The final ledger, opened for judgement, with what it is judged against. Money checks see a history only through this.

Opening raises where something is missing, so that no check can pass over it: a ledger that could still change proves nothing.
"""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from operator import attrgetter
from typing import NamedTuple

from chaoskit.checkers.wording import MOST_EVIDENCE, counted, proves_nothing
from chaoskit.model import measures
from chaoskit.model.errors import NotAsked, NotExercised
from chaoskit.model.history import History, Operation
from chaoskit.model.measures import ALL_EVIDENCE
from chaoskit.model.topology import Evidence, LedgerState, Posting
from chaoskit.model.verdict import Finding, Result

TOLD = frozenset({Evidence.KEYS})
"""For claims that something is there, or that there is what was refused."""
FINAL = frozenset({Evidence.CLOSED_KEYS, Evidence.FENCE})
"""What shows that nothing comes any more: for claims that something is not there."""
BOOKED = FINAL | {Evidence.POSTINGS, Evidence.POSTING_KEYS}
ORDERED = BOOKED | {Evidence.VERSIONS}
LOOKED_AT = ORDERED | {Evidence.BALANCES}

LONG = 20_000
"""Operations. Of fewer, the checks alone have judged as soon as numpy is imported."""


class Transaction(NamedTuple):
    """The postings that one transaction of the ledger made under one key, and what they did to each account in sum."""

    name: str
    key: str
    postings: Sequence[Posting]
    done: Mapping[str, int]
    """Without the accounts that it left as they were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """A history whose ledger is final, and the balances it started from (0 for an account that is not among them)."""

    history: History
    ledger: LedgerState
    opening: Mapping[str, int]
    operations: tuple[Operation, ...]
    """Those that were to move money."""
    asked: Mapping[str, Sequence[Operation]]
    """The operations that were sent under each key, with those that leave every account as it is (a transfer to oneself)."""
    transactions: Sequence[Transaction]
    by_account: Mapping[str, Sequence[Posting]]
    """The postings of each account in order of version, also of accounts that are not in the ledger."""

    def money(self, amount: int) -> str:
        """An amount as a person reads it: `Rp 370,000` where the run names its currency, else the minor units."""
        return self.history.currency.shown(amount)

    def says(self, operation: Operation) -> str:
        """What an operation was to do, and when its customer was told: `Rp 370,000 from ada to ben (transfer, key k1)`."""
        givers = ", ".join(account for account, amount in operation.legs.items() if amount < 0)
        takers = ", ".join(account for account, amount in operation.legs.items() if amount > 0)
        amount = self.money(measures.amount_of(operation.legs))
        told_ns = operation.end_ns
        told = "never answered" if told_ns is None else f"answered {self.history.seconds(told_ns):.1f} s into the load"
        return f"{amount} from {givers} to {takers} ({operation.journey}, key {operation.key}, {told})"


def judged(
    name: str,
    history: History,
    judge: Callable[[Books], Finding],
    *,
    needs: frozenset[Evidence] = ALL_EVIDENCE,
    if_any: bool = False,
) -> tuple[Finding, ...]:
    """What *judge* says of the books; INCONCLUSIVE with the reason when they cannot be opened or hold nothing to judge.

    *needs* is the evidence without which it can say nothing: all there is, unless it says that less will do. With *if_any*, a load
    that asked for nothing of the kind is no reason against the run.
    """
    try:
        with uncollected():
            return (_passing(name, history, judge) or judge(open_books(history, needs=needs)),)
    except NotExercised as reason:
        finding = proves_nothing(name, str(reason), safety=True)
        return (replace(finding, is_absent=if_any and isinstance(reason, NotAsked)),)


@contextmanager
def uncollected() -> Iterator[None]:
    """Millions of small objects and no cycle among them: the collector would go over them again and again, a fifth of the time."""
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_collecting:
            gc.enable()


def is_long(history: History) -> bool:
    """Whether `fast` is worth while: the history is long, and numpy is installed."""
    return len(history.operations) >= LONG and find_spec("numpy") is not None


def _passing(name: str, history: History, judge: Callable[[Books], Finding]) -> Finding | None:
    """The finding on a long history that is quickly seen to pass; None when *judge* has to look itself."""
    if not is_long(history):
        return None
    from chaoskit.checkers.money.fast import passing

    return passing(name, history, judge)


def ruling(
    name: str, *, wrong: Sequence[str], failed: str, passed: str, measured: Mapping[str, float | int | str | None]
) -> Finding:
    """FAILED with the first of the *wrong* sentences as evidence, PASSED when there is none."""
    return Finding(
        checker=name,
        outcome=Result.FAILED if wrong else Result.PASSED,
        summary=failed if wrong else passed,
        evidence=tuple(wrong[:MOST_EVIDENCE]),
        measures=measured,
        safety=True,
    )


def effect(operation: Operation) -> Mapping[str, int]:
    """What an operation must do to each account, without the accounts that it leaves as they are (a transfer to oneself)."""
    return _moved(operation.legs)


def require_postings(books: Books) -> None:
    """Raises `NotExercised` when the ledger holds none: rules about postings hold for an empty ledger, and say nothing."""
    if not books.ledger.postings:
        raise NotExercised("the ledger holds no postings, so nothing was proven")
    if len(books.transactions) == len(books.history.earlier):
        raise NotExercised("the ledger holds no postings but those from before the run, so nothing was proven")


def gaps(history: History) -> str:
    """Why operations, or lines of a cash machine, may be missing from the record; "" when all are there."""
    if not history.complete:
        return "the run has no trailer: operations may be missing from the record"
    if history.load is None:
        return "the load has no trailer: operations may be missing from the record"
    if history.torn_lines:
        return f"{counted(history.torn_lines, 'line')} of the record cannot be read: operations may be missing from it"
    return ""


def open_books(history: History, *, needs: frozenset[Evidence] = ALL_EVIDENCE) -> Books:
    """The books of *history*; they are kept with it, since every money check opens the same ones. Raises `NotExercised`.

    So it does for a ledger that lacks something of what *needs* names.
    """
    opened = f"books that show {', '.join(sorted(needs))}"
    known = history.memo.get(opened)
    if isinstance(known, Books):
        return known
    ledger = measures.settled_ledger(history, needs=needs)
    if history.opening is None and (Evidence.BALANCES in needs or Evidence.BALANCES not in ledger.lacks):
        raise NotExercised("the opening balances are missing, so there is nothing to compare the ledger with")
    known = history.memo.get("books")
    history.memo[opened] = books = known if isinstance(known, Books) else _books(history, ledger)
    return books


def require(books: Books, *needs: Evidence) -> None:
    """Raises `NotExercised` when the ledger lacks something that is needed for what comes now."""
    open_books(books.history, needs=frozenset(needs))


def _books(history: History, ledger: LedgerState) -> Books:
    operations = measures.money_operations(history)
    if not operations:
        raise NotExercised("no operation was to move money, so nothing was proven")
    books = Books(
        history=history,
        ledger=ledger,
        opening=history.opening or {},
        operations=operations,
        asked=_asked(history),
        transactions=_transactions(ledger),
        by_account=_by_account(ledger),
    )
    if again := sorted(books.asked.keys() & {key for _, key in history.earlier}):
        raise NotExercised(
            f"key {again[0]!r} was in the ledger before the run, so nobody knows which payment it is of: take another seed"
        )
    history.memo["books"] = books
    return books


def _asked(history: History) -> Mapping[str, Sequence[Operation]]:
    found: dict[str, list[Operation]] = defaultdict(list)
    for operation in history.operations:
        if operation.key:
            found[operation.key].append(operation)
    return found


def _transactions(ledger: LedgerState) -> Sequence[Transaction]:
    found: dict[tuple[str, str], list[Posting]] = defaultdict(list)
    for posting in ledger.postings:
        found[posting.transaction, posting.key].append(posting)
    return [Transaction(name=name, key=key, postings=rows, done=_done(rows)) for (name, key), rows in found.items()]


def _done(postings: Sequence[Posting]) -> Mapping[str, int]:
    done = {posting.account: posting.amount for posting in postings}
    if len(done) < len(postings):
        done = dict.fromkeys(done, 0)
        for posting in postings:
            done[posting.account] += posting.amount
    return _moved(done)


def _by_account(ledger: LedgerState) -> Mapping[str, Sequence[Posting]]:
    found: dict[str, list[Posting]] = {state.account: [] for state in ledger.accounts}
    for posting in ledger.postings:
        found.setdefault(posting.account, []).append(posting)
    for postings in found.values():
        postings.sort(key=attrgetter("version"))
    return found


def _moved(legs: Mapping[str, int]) -> Mapping[str, int]:
    return legs if all(legs.values()) else {account: amount for account, amount in legs.items() if amount}
