"""Whether there is as much money at the end as at the beginning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.checkers.money.books import FINAL, Books, judged, require_postings, ruling
from chaoskit.checkers.wording import counted
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import History
from chaoskit.model.topology import Evidence
from chaoskit.model.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Conserved:
    """No money came from nothing or went nowhere.

    Proves: all balances together, with cash that left (vaults) and money under way to other banks (clearing), are what they were
    at the beginning, and no account is gone.
    Sound because every movement is between accounts of the closed set.
    Cannot see: money that is in the wrong account. A failover that drops whole transfers, or a retry that repeats one, keeps the
    total: this check alone passes both, which is why it is only one of many.
    Catches torn transfers and lost updates of balances.
    """

    name: ClassVar[str] = "conserved"

    def check(self, history: History) -> tuple[Finding, ...]:
        return judged(self.name, history, self._judge, needs=FINAL | {Evidence.BALANCES})

    def _judge(self, books: Books) -> Finding:
        if Evidence.POSTINGS not in books.ledger.lacks:
            require_postings(books)
        elif all(books.opening.get(state.account) == state.balance for state in books.ledger.accounts):
            raise NotExercised("no account holds more or less than at the beginning, so nothing was proven")
        before, after = sum(books.opening.values()), sum(state.balance for state in books.ledger.accounts)
        gone = books.opening.keys() - {state.account for state in books.ledger.accounts}
        wrong = [f"account {account} with {books.money(books.opening[account])} is not in the ledger" for account in sorted(gone)]
        if after != before:
            wrong.insert(0, f"all accounts together held {books.money(before)} and now hold {books.money(after)}")
        return ruling(
            self.name,
            wrong=wrong,
            failed=f"{books.money(abs(after - before))} {'came from nothing' if after > before else 'is gone'}"
            if after != before
            else f"{counted(len(gone), 'account')} gone",
            passed=f"all accounts together hold {books.money(after)}, as at the beginning",
            measured={"total_before": before, "total_after": after},
        )
