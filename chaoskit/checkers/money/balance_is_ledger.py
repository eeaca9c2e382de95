"""Whether each account's balance is what its postings say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.checkers.money.books import FINAL, Books, judged, require_postings, ruling
from chaoskit.checkers.wording import counted
from chaoskit.model.history import History
from chaoskit.model.topology import Evidence
from chaoskit.model.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceIsLedger:
    """The balance that a customer sees is the opening balance and every posting since.

    Proves: for each account, balance = opening balance + the sum of its postings; every posting is of an account that exists.
    Sound because balance and postings are read in one snapshot.
    Cannot see: whether the postings are right, only that the balance follows from them.
    Catches the commonest real mistake, an update lost between two that read the same balance; totals can still match.
    """

    name: ClassVar[str] = "balance-is-ledger"

    def check(self, history: History) -> tuple[Finding, ...]:
        return judged(self.name, history, self._judge, needs=FINAL | {Evidence.BALANCES, Evidence.POSTINGS})

    def _judge(self, books: Books) -> Finding:
        require_postings(books)
        due = {**books.opening}
        for posting in books.ledger.postings:
            due[posting.account] = due.get(posting.account, 0) + posting.amount
        balances = {state.account: state.balance for state in books.ledger.accounts}
        off = {account: balances.get(account, 0) - amount for account, amount in due.items() if balances.get(account) != amount}
        off |= {account: balance for account, balance in balances.items() if account not in due and balance}
        wrong = [
            f"account {account} {_shown(books, balances.get(account))}, but its postings make {books.money(due.get(account, 0))}"
            for account in sorted(off, key=lambda account: -abs(off[account]))
        ]
        return ruling(
            self.name,
            wrong=wrong,
            failed=f"{len(off):,} of {counted(len(balances), 'account')} with another balance than the postings make",
            passed=f"{counted(len(balances), 'account')}, each with the balance that its postings make",
            measured={"accounts_off": len(off), "amount_off": sum(map(abs, off.values()))},
        )


def _shown(books: Books, balance: int | None) -> str:
    return "is not in the ledger" if balance is None else f"shows {books.money(balance)}"
