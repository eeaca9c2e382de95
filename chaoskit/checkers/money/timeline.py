"""When each effect in the ledger can have happened, and what answers showed of accounts. Orders are judged through this.

A version says in which order an account changed and needs no clock. Times are of the customers' machine: an effect lies between the
moment it was asked for and the moment its customer was told, and one whose customer was never told has no latest moment.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import itemgetter
from typing import NamedTuple

from chaoskit.checkers.money.books import Books, Transaction
from chaoskit.model.history import Attempt, Operation, Outcome
from chaoskit.model.topology import Evidence

NEVER = 1 << 63
"""Later than any time in ns, for what nobody was told."""


class Effect(NamedTuple):
    """One transaction of the ledger: it began after `start_ns` and was over at `end_ns`. `operation` is None for a phantom."""

    transaction: Transaction
    operation: Operation | None
    start_ns: int
    end_ns: int


class Sight(NamedTuple):
    """What one answer showed of one account. `version` is None when the answer does not name it."""

    operation: Operation
    attempt: Attempt
    account: str
    balance: int
    version: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The states of one account in order. `effects` are indices into `Timeline.effects`, of what made each version from 1 on.

    `is_whole` is false when versions are missing or twice, or balances do not follow: then `balances` say nothing.
    """

    versions: Sequence[int]
    effects: Sequence[int]
    balances: Sequence[int]
    """By version, with the opening balance as number 0."""
    is_whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The effects in the ledger's order, the chain of each account of the books, and every sight of one of these accounts."""

    books: Books
    effects: Sequence[Effect]
    chains: Mapping[str, Chain]
    sights: Sequence[Sight]


def timeline(books: Books) -> Timeline:
    """The timeline of *books*, made once per history."""
    known = books.history.memo.get("timeline")
    if isinstance(known, Timeline):
        return known
    chains = _chains(books)
    looks = (operation for operation in books.history.operations if not (operation.key or operation.legs))
    sights = [sight for look in looks for sight in _sights(look) if sight.account in chains]
    made = Timeline(books=books, effects=_effects(books), chains=chains, sights=sights)
    books.history.memo["timeline"] = made
    return made


def nobody_looked(line: Timeline) -> bool:
    """Whether the load had no look-up at all. One that was never answered, or with another account's name, would have been one."""
    was_answered: dict[str, bool] = defaultdict(bool)
    for operation in line.books.history.operations:
        if not (operation.key or operation.legs):
            was_answered[operation.journey] |= operation.outcome is Outcome.OK
            if _sights(operation):
                return False
    return all(was_answered.values())


def _effects(books: Books) -> list[Effect]:
    times = Counter(transaction.key for transaction in books.transactions)
    found = []
    for transaction in books.transactions:
        operations = books.asked.get(transaction.key, ())
        if not operations:
            found.append(Effect(transaction, None, 0, NEVER))
            continue
        start_ns = operations[0].start_ns if len(operations) == 1 else min(o.start_ns for o in operations)
        # Of several effects under one key nobody knows which of them the answer was about.
        end_ns = _told_ns(operations) if times[transaction.key] == 1 else NEVER
        found.append(Effect(transaction, operations[0], start_ns, end_ns))
    return found


def _told_ns(operations: Sequence[Operation]) -> int:
    """When the first ok answer came."""
    first_ns = NEVER
    for operation in operations:
        for attempt in operation.attempts:
            if attempt.outcome is Outcome.OK and attempt.end_ns is not None and attempt.end_ns < first_ns:
                first_ns = attempt.end_ns
    return first_ns


def _chains(books: Books) -> dict[str, Chain]:
    rows: dict[str, list[tuple[int, int, int, int]]] = {account: [] for account in books.by_account}
    rows |= {account: [] for account in books.opening if account not in rows}
    for index, transaction in enumerate(books.transactions):
        for posting in transaction.postings:
            rows[posting.account].append((posting.version, index, posting.amount, posting.balance_after))
    follows = Evidence.BALANCES_AFTER not in books.ledger.lacks
    return {account: _chain(books.opening.get(account, 0), found, follows=follows) for account, found in rows.items()}


def _chain(opening: int, rows: list[tuple[int, int, int, int]], *, follows: bool) -> Chain:
    rows.sort()
    versions = list(map(itemgetter(0), rows))
    balances = list(accumulate(map(itemgetter(2), rows), initial=opening))
    is_whole = versions == list(range(1, len(rows) + 1)) and (not follows or balances[1:] == list(map(itemgetter(3), rows)))
    return Chain(versions=versions, effects=list(map(itemgetter(1), rows)), balances=balances, is_whole=is_whole)


def _sights(operation: Operation) -> list[Sight]:
    """What the answers of a look-up showed. An operation with a key or an effect asks for something and is no look-up."""
    found = []
    for attempt in operation.attempts:
        if attempt.outcome is not Outcome.OK or attempt.end_ns is None:
            continue
        several = attempt.result.get("accounts")
        for shown in several if isinstance(several, list) else (attempt.result,):
            if isinstance(shown, dict):
                account, balance, version = shown.get("account"), shown.get("balance"), shown.get("version")
                if isinstance(account, str) and type(balance) is int:
                    found.append(Sight(operation, attempt, account, balance, version if type(version) is int else None))
    return found


def neighbours(chain: Chain) -> list[tuple[int, int]]:
    """Pairs of effects of which the first came before the second, as the versions of one account say it."""
    rows = zip(chain.versions, chain.effects, strict=True)
    return [(a, b) for (va, a), (vb, b) in pairwise(rows) if va < vb and a != b]
