"""Whether the ledger holds anything that nobody asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from chaoskit.checkers.money.books import BOOKED, Books, effect, gaps, judged, require_postings, ruling
from chaoskit.checkers.wording import counted
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import History, Operation
from chaoskit.model.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class NoPhantom:
    """Every posting belongs to an operation that a customer began, with its accounts and its amount.

    Proves: the key of every posting was sent by the load, and what each transaction did to an account is what that operation asked
    for.
    Sound only on a whole record, since an operation whose line is missing would look like nobody's: without the run's trailer, the
    load's trailer, or with lines that cannot be read it is inconclusive.
    Cannot see: a leg that is missing (`double-entry`), nor an operation that is missing (`ack-durable`).
    Catches corruption, clashing keys of two customers, another payload executed under a used key, other traffic on the system.
    """

    name: ClassVar[str] = "no-phantom"

    def check(self, history: History) -> tuple[Finding, ...]:
        return judged(self.name, history, self._judge, needs=BOOKED)

    def _judge(self, books: Books) -> Finding:
        if missing := gaps(books.history):
            raise NotExercised(missing)
        require_postings(books)
        wrong = []
        for transaction in books.transactions:
            done, operations = transaction.done, books.asked.get(transaction.key, ())
            if (transaction.name, transaction.key) in books.history.earlier:
                continue
            if not any(_is_part_of(done, effect(operation)) for operation in operations):
                what = f"{_did(books, done)} {_not_asked(books, transaction.key, operations)}"
                wrong.append(f"transaction {transaction.name} {what}")
        return ruling(
            self.name,
            wrong=wrong,
            failed=f"{counted(len(wrong), 'transaction')} did what no customer asked for",
            passed=f"{counted(len(books.ledger.postings), 'posting')}, each of them asked for",
            measured={"phantom_transactions": len(wrong)},
        )


def _is_part_of(done: Mapping[str, int], asked: Mapping[str, int]) -> bool:
    return done == asked or done.items() <= asked.items()


def _did(books: Books, done: Mapping[str, int]) -> str:
    legs = ", ".join(f"{account} {'+' if amount > 0 else ''}{books.money(amount)}" for account, amount in done.items())
    return f"posted {legs or 'nothing in sum'}"


def _not_asked(books: Books, key: str, operations: Sequence[Operation]) -> str:
    if operations:
        return f"but was asked for {books.says(operations[0])}"
    return f"under key {key!r}, which no customer sent"
