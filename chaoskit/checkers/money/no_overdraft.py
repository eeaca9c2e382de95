"""Whether any account was ever below what it may be."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

from chaoskit.checkers.money.books import FINAL, Books, judged, require, require_postings, ruling
from chaoskit.checkers.wording import counted
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import History
from chaoskit.model.topology import Evidence
from chaoskit.model.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class NoOverdraft:
    """Nobody could spend more than they had, not even for a moment.

    Proves: for each account with a limit, no balance on its way from the opening balance through its postings, in order of
    version, and not the balance it shows at the end, is below the limit.
    Sound because the order of an account's postings is given by their versions and needs no clock.
    Cannot see: a limit over several accounts of one customer.
    Catches a balance that is checked in one transaction and debited in the next.
    """

    name: ClassVar[str] = "no-overdraft"

    def check(self, history: History) -> tuple[Finding, ...]:
        return judged(self.name, history, self._judge, needs=FINAL | {Evidence.BALANCES})

    def _judge(self, books: Books) -> Finding:
        # Without an order of the postings, only where an account ended up is known.
        ways = FINAL | {Evidence.POSTINGS, Evidence.VERSIONS}
        is_followed = not ways & books.ledger.lacks
        if is_followed:
            require_postings(books)
        limited = [state for state in books.ledger.accounts if state.lowest is not None]
        if not limited:
            raise NotExercised("no account has a lowest balance, so nothing was proven")
        below: dict[str, int] = {}
        wrong = {}
        for state in limited:
            lowest = state.lowest or 0
            way = [books.opening.get(state.account, 0), *(posting.amount for posting in books.by_account[state.account])]
            least = min(state.balance, *accumulate(way)) if is_followed else state.balance
            if least < lowest:
                below[state.account] = lowest - least
                wrong[state.account] = f"account {state.account} was at {books.money(least)}, lowest allowed {books.money(lowest)}"
        if not wrong:
            require(books, *ways)
        return ruling(
            self.name,
            wrong=[wrong[account] for account in sorted(below, key=lambda account: -below[account])],
            failed=f"{len(wrong):,} of {counted(len(limited), 'account')} with a limit below it",
            passed=f"{counted(len(limited), 'account')} with a limit, none ever below it",
            measured={"accounts_below": len(wrong), "amount_below": max(below.values(), default=0)},
        )
