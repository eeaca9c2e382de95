"""Whether all that anybody saw fits one order of all payments, over all accounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.checkers.money.books import LOOKED_AT, Books, judged, ruling
from chaoskit.checkers.money.orders import of_all, of_payments, told
from chaoskit.checkers.money.read_window import require_looks
from chaoskit.checkers.money.serial import Contradiction
from chaoskit.checkers.money.timeline import timeline
from chaoskit.checkers.wording import counted
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import History
from chaoskit.model.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All balances that anybody saw, of whatever accounts, fit one order in which all payments happened.

    Proves: looks and payments together have one order that agrees with the versions of every account and with time; an answer that
    shows several accounts has one place in it. The certificate holds that order.
    Sound because a look is in it only with the version that its answer names, or the only one that fits; looks that fit several
    versions may help to find an order but convict nobody.
    Cannot see: looks that are wrong by themselves (`read-window`, `observed-stays`), which are left out here.
    Inconclusive when no look can be placed, or the payments alone have no order (`order`). O(n log n).
    Catches balances gathered from a primary and its standby, two standbys that disagree about which of two payments came first
    (long fork), half of a transfer seen.
    """

    name: ClassVar[str] = "snapshot"
    if_any: bool = False
    """Whether a load without any is fine. `money` sets it."""

    def check(self, history: History) -> tuple[Finding, ...]:
        return judged(self.name, history, self._judge, needs=LOOKED_AT, if_any=self.if_any)

    def _judge(self, books: Books) -> Finding:
        line = timeline(books)
        require_looks(line)
        if isinstance(of_payments(line).found, Contradiction):
            raise NotExercised("the payments alone have no order, so no look has a place in it")
        lineup = of_all(line)
        looks = len(lineup.items) - len(line.effects)
        if not looks:
            raise NotExercised("no look has a sure place among the payments, so nothing was proven")
        return ruling(
            self.name,
            wrong=[told(line, lineup, lineup.found)] if isinstance(lineup.found, Contradiction) else [],
            failed="what customers saw of several accounts fits no order of the payments",
            passed=f"{counted(looks, 'look')} and {counted(len(line.effects), 'payment')} in one order"
            + (f"; {counted(len(lineup.unsure), 'look')} without a sure version left out" if lineup.unsure else ""),
            measured={"looks_ordered": looks, "looks_unsure": len(lineup.unsure)},
        )
