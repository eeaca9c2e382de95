"""Whether every transaction is whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.checkers.money.books import FINAL, Books, effect, judged, require_postings, ruling
from chaoskit.checkers.wording import counted
from chaoskit.model.history import History
from chaoskit.model.topology import Evidence
from chaoskit.model.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubleEntry:
    """What one account gives another one gets: all legs of a transaction, or none.

    Proves: the postings of each transaction add up to zero, and where the operation behind it is known, each of its accounts is
    there; of several operations under its key, those of one of them.
    Sound because both follow from one transaction writing all of its legs at once, whatever fails.
    Cannot see: whether the amounts are those that were asked for (`no-phantom`).
    Catches a debit and a credit in two database transactions with a crash between them, a half-done saga.
    """

    name: ClassVar[str] = "double-entry"

    def check(self, history: History) -> tuple[Finding, ...]:
        return judged(self.name, history, self._judge, needs=FINAL | {Evidence.POSTINGS})

    def _judge(self, books: Books) -> Finding:
        require_postings(books)
        odd: dict[str, int] = {}
        for posting in books.ledger.postings:
            odd[posting.transaction] = odd.get(posting.transaction, 0) + posting.amount
        wrong = {}
        for transaction in books.transactions:
            name = transaction.name
            if odd[name]:
                legs = ", ".join(f"{posting.account} {books.money(posting.amount)}" for posting in transaction.postings)
                wrong[name] = f"transaction {name} (key {transaction.key}) is off by {books.money(odd[name])}: {legs}"
                continue
            # Of several payments under one key it may be any.
            asked = books.asked.get(transaction.key, ())
            missing = [effect(operation).keys() - transaction.done.keys() for operation in asked]
            if missing and all(missing):
                wrong[name] = f"transaction {name} has no posting of {', '.join(sorted(missing[0]))}: {books.says(asked[0])}"
        return ruling(
            self.name,
            wrong=list(wrong.values()),
            failed=f"{len(wrong):,} of {counted(len(odd), 'transaction')} not whole",
            passed=f"{counted(len(odd), 'transaction')}, each of them whole",
            measured={"torn_transactions": len(wrong)},
        )
