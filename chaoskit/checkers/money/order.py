"""Whether all payments together can have happened one after the other, each while its customer waited for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.checkers.money.books import ORDERED, Books, judged, require_postings, ruling
from chaoskit.checkers.money.orders import of_payments, told
from chaoskit.checkers.money.serial import Contradiction
from chaoskit.checkers.money.timeline import timeline
from chaoskit.checkers.wording import counted
from chaoskit.model.history import History
from chaoskit.model.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """All payments can have happened one after the other, in the order of every account, and each while its customer waited.

    Proves: there is one order of all transactions in the ledger that agrees with the versions of every account and with time: what
    a customer was told of before another one asked comes first (strict serialisability). The certificate holds that order.
    Sound because versions are given when an account is locked, time is of one clock and widened by how it is taken, equal times
    count as at once, and a payment whose customer was never told, or that is in the ledger twice, has no latest time.
    Cannot see: what looks at balances showed (`snapshot`), nor anything about what is not in the ledger. Accounts with versions
    twice or missing (`version-chain`) bind by those that they have. O(n log n).
    Catches timelines of two primaries that were merged, clocks that decide who wrote last, payments that are booked late under an
    earlier version.
    """

    name: ClassVar[str] = "order"

    def check(self, history: History) -> tuple[Finding, ...]:
        return judged(self.name, history, self._judge, needs=ORDERED)

    def _judge(self, books: Books) -> Finding:
        require_postings(books)
        line = timeline(books)
        lineup = of_payments(line)
        found = lineup.found
        return ruling(
            self.name,
            wrong=[told(line, lineup, found)] if isinstance(found, Contradiction) else [],
            failed="the payments cannot have happened one after the other",
            passed=f"{counted(len(line.effects), 'payment')} in one order that agrees with every account and with time",
            measured={"payments_ordered": 0 if isinstance(found, Contradiction) else len(line.effects)},
        )
