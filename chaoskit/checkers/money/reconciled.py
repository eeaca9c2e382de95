"""Whether this bank's books and those of other banks agree about what went from one to the other."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from chaoskit.checkers.money.books import BOOKED, Books, judged, ruling
from chaoskit.checkers.wording import counted
from chaoskit.model.errors import NotAsked, NotExercised
from chaoskit.model.history import History
from chaoskit.model.verdict import Finding

CLEARING = "clearing"
"""The kind of account through which payments leave (`AccountState.kind`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What left for another bank arrived there, once, and nothing arrived that did not leave.

    Proves: for each key, the amounts that the final ledger has booked to clearing accounts are those that the other banks' books
    have under it; so all of the clearing accounts' money is with other banks, and none of it twice.
    Sound because the ledger is final, and what its bank itself still counts as waiting to be sent is not missed: who has struck a
    payment off the list of those to be sent says that it arrived.
    Cannot see: whether it was the right account at the other bank, since the load records only this bank's side.
    Inconclusive when all that is missing still waits to be sent. O(n).
    Catches a relay or a switch that repeats, a receiver that forgets keys, a message that is lost between commit and sending, and a
    payment that went out from a primary whose last payments the standby did not have.
    """

    name: ClassVar[str] = "reconciled"
    if_any: bool = False
    """Whether a load without any is fine. `money` sets it."""

    def check(self, history: History) -> tuple[Finding, ...]:
        return judged(self.name, history, self._judge, needs=BOOKED, if_any=self.if_any)

    def _judge(self, books: Books) -> Finding:
        if books.ledger.credits is None:
            raise NotAsked("no other bank's book was read")
        left, arrived = _left(books), _arrived(books)
        if not left and not arrived:
            raise NotAsked("no payment left for another bank")
        missing = {key: amounts - arrived[key] for key, amounts in left.items() if amounts - arrived[key]}
        waiting = {key: missing.pop(key) for key in books.ledger.unsent if key in missing}
        surplus = {key: amounts - left[key] for key, amounts in arrived.items() if amounts - left[key]}
        if waiting and not (missing or surplus):
            what = f"{counted(len(waiting), 'payment')} to other banks still waited to be sent when the books were read"
            raise NotExercised(f"{what}: {', '.join(list(waiting)[:3])}")
        gone, extra = _sum(missing), _sum(surplus)
        apart = {key: _sum({key: missing.get(key, Counter()) + surplus.get(key, Counter())}) for key in [*surplus, *missing]}
        return ruling(
            self.name,
            wrong=[_says(books, key, left[key], arrived[key]) for key in sorted(apart, key=lambda key: -apart[key])],
            failed=f"{books.money(gone)} left for other banks and never arrived, {books.money(extra)} too much arrived there",
            passed=f"{counted(len(left), 'payment')} to other banks, each of them arrived once",
            measured={
                "never_arrived": len(missing),
                "never_arrived_amount": gone,
                "arrived_too_much": len(surplus),
                "arrived_too_much_amount": extra,
            },
        )


def _left(books: Books) -> Mapping[str, Counter[int]]:
    """By key, how often each amount was booked to a clearing account."""
    clearing = {account.account for account in books.ledger.accounts if account.kind == CLEARING}
    found: dict[str, Counter[int]] = defaultdict(Counter)
    for posting in books.ledger.postings:
        if posting.account in clearing and posting.amount > 0:
            found[posting.key][posting.amount] += 1
    return found


def _arrived(books: Books) -> Mapping[str, Counter[int]]:
    found: dict[str, Counter[int]] = defaultdict(Counter)
    for credit in books.ledger.credits or ():
        found[credit.key][credit.amount] += 1
    return found


def _sum(apart: Mapping[str, Counter[int]]) -> int:
    return sum(amount * times for amounts in apart.values() for amount, times in amounts.items())


def _says(books: Books, key: str, left: Counter[int], arrived: Counter[int]) -> str:
    operations = books.asked.get(key, ())
    what = books.says(operations[0]) if operations else f"a payment under key {key}, which no customer sent,"
    amounts = {*left, *arrived}
    return f"{what} {_how(books, left, 'left', amounts)} and {_how(books, arrived, 'arrived', amounts)}"


def _how(books: Books, found: Counter[int], verb: str, amounts: set[int]) -> str:
    """`arrived twice`; with the amounts where there is more than one."""
    times = {amount: f"{verb} {_TIMES.get(count, f'{count} times')}" for amount, count in found.items()}
    if len(amounts) == 1:
        return next(iter(times.values()), f"never {verb}")
    return " and ".join(f"{how} with {books.money(amount)}" for amount, how in times.items()) or f"never {verb}"


_TIMES = {1: "once", 2: "twice"}
