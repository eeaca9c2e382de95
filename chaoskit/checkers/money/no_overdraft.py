"""Whether any account was ever below what it may be."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

from chaoskit.checkers.money.books import FINAL, Books, judged, require, require_postings, ruling
from chaoskit.checkers.money.group_limit import Undecided, breach
from chaoskit.checkers.money.timeline import timeline
from chaoskit.checkers.wording import counted
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import History
from chaoskit.model.topology import Evidence, GroupLimit
from chaoskit.model.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class NoOverdraft:
    """Nobody could spend more than they had, not even for a moment.

    Proves: for each account with a limit, no balance on its way from the opening balance through its postings, in order of
    version, and not the balance it shows at the end, is below the limit. For accounts that have a limit together, there is an order
    of their payments, in agreement with every version and with time, in which each payment that lowers the sum leaves enough.
    Sound because the order of an account's postings is given by their versions and needs no clock; and a group is accused only when
    every such order was tried, which no bank that pays one after the other can have kept to.
    Cannot see: a limit that the ledger does not tell, nor one that was kept by luck.
    Inconclusive when a group has a broken history, or so much at once that the orders cannot all be tried, and nothing is wrong
    elsewhere. O(n) for accounts; for groups n times what is at once.
    Catches a balance that is checked in one transaction and debited in the next, and two payments that each count on both accounts.
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
        groups = books.ledger.limits
        if not limited and not groups:
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
        accounts_below, undecided = len(wrong), []
        for limit in groups:
            try:
                short, said = _together(books, limit, is_followed=is_followed)
            except Undecided as reason:
                undecided.append(f"{limit.group}: {reason}")
                continue
            if short:
                below[limit.group], wrong[limit.group] = short, said
        if not wrong:
            require(books, *ways)
            if undecided:
                raise NotExercised(f"{counted(len(undecided), 'group')} of accounts could not be judged: {undecided[0]}")
        whose = [counted(len(limited), "account")] * bool(limited) + [f"{counted(len(groups), 'group')} of accounts"] * bool(groups)
        what = " and ".join(whose)
        return ruling(
            self.name,
            wrong=[wrong[name] for name in sorted(below, key=lambda name: -below[name])],
            failed=f"{len(wrong):,} of {what} with a limit below it",
            passed=f"{what} with a limit, none ever below it",
            measured={
                "accounts_below": accounts_below,
                "groups_below": len(wrong) - accounts_below,
                "amount_below": max(below.values(), default=0),
            },
        )


def _together(books: Books, limit: GroupLimit, *, is_followed: bool) -> tuple[int, str]:
    """How far the accounts of *limit* were below it together, and how that came; 0 if they were not. Raises `Undecided`."""
    names, lowest = ", ".join(limit.accounts), books.money(limit.lowest)
    held = sum(state.balance for state in books.ledger.accounts if state.account in limit.accounts)
    if held < limit.lowest:
        return limit.lowest - held, f"accounts {names} together are at {books.money(held)}, lowest allowed {lowest}"
    found = breach(timeline(books), limit) if is_followed else None
    if found is None:
        return 0, ""
    operation = found.effect.operation
    paid = books.says(operation) if operation else "a payment that no customer asked for"
    said = f"accounts {names} together were at {books.money(found.held)}, lowest allowed {lowest}, after {paid}"
    return limit.lowest - found.held, f"{said}: whatever came first of all that was at once"
