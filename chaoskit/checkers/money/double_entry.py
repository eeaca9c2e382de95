"""Whether every transaction is whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.checkers.money.books import Books, effect, judged, net, require_postings, ruling, with_key
from chaoskit.model.history import History
from chaoskit.model.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubleEntry:
    """What one account gives another one gets: all legs of a transaction, or none.

    Proves: the postings of each transaction add up to zero, and where the operation behind it is known, each of its accounts is
    there.
    Sound because both follow from one transaction writing all of its legs at once, whatever fails.
    Cannot see: whether the amounts are those that were asked for (`no-phantom`).
    Catches a debit and a credit in two database transactions with a crash between them, a half-done saga.
    """

    name: ClassVar[str] = "double-entry"

    def check(self, history: History) -> tuple[Finding, ...]:
        return judged(self.name, history, self._judge)

    def _judge(self, books: Books) -> Finding:
        require_postings(books)
        transactions = books.transactions()
        operations = {operation.key: operation for operation in books.operations}
        wrong = {}
        for transaction, postings in transactions.items():
            odd = sum(posting.amount for posting in postings)
            if odd:
                accounts = ", ".join(f"{posting.account} {books.money(posting.amount)}" for posting in postings)
                wrong[transaction] = f"transaction {transaction} (key {postings[0].key}) is off by {books.money(odd)}: {accounts}"
        for transaction, key, postings in with_key(transactions):
            operation = operations.get(key)
            missing = effect(operation).keys() - net(postings).keys() if operation else set()
            if operation and missing:
                accounts = ", ".join(sorted(missing))
                wrong.setdefault(transaction, f"transaction {transaction} has no posting of {accounts}: {books.says(operation)}")
        return ruling(
            self.name,
            wrong=list(wrong.values()),
            failed=f"{len(wrong):,} of {len(transactions):,} transactions are not whole",
            passed=f"all {len(transactions):,} transactions are whole",
            measured={"torn_transactions": len(wrong)},
        )
