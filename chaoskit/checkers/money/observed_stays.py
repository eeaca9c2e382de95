"""Whether what customers saw done stayed done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.checkers.money.books import LOOKED_AT, Books, judged, ruling
from chaoskit.checkers.money.read_window import require_looks, why
from chaoskit.checkers.money.reads import Fault, reads
from chaoskit.checkers.money.timeline import timeline
from chaoskit.checkers.wording import counted
from chaoskit.model import measures
from chaoskit.model.history import History
from chaoskit.model.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedStays:
    """A payment that somebody saw in a balance is not undone, also one whose customer was never answered.

    Proves: no look at an account showed a balance that its history in the final ledger does not have, but would have if payments
    were in it that are not, and that nobody had been refused.
    Sound because a look at a state is an answer like any other: what it showed, others have acted on. Every account is accused only
    of balances that it never had in the ledger.
    Cannot see: an undone state that nobody looked at, which is no harm unless it was acknowledged (`ack-durable`), and one that the
    account had at another time, too. A strange balance that no missing payment explains is for `read-window`. At most 12 missing
    payments of one account are tried together.
    Inconclusive like `read-window`. O(n log n).
    Catches a primary that restarts while its standby is away and shows what is not copied yet, cancelled waits, dirty reads of a
    payment that is rolled back.
    """

    name: ClassVar[str] = "observed-stays"
    if_any: bool = False
    """Whether a load without any is fine. `money` sets it."""

    def check(self, history: History) -> tuple[Finding, ...]:
        return judged(self.name, history, self._judge, needs=LOOKED_AT, if_any=self.if_any)

    def _judge(self, books: Books) -> Finding:
        line = timeline(books)
        looks = require_looks(line)
        wrong = [one for one in reads(line).misplaced if one.fault is Fault.GONE]
        undone = {operation.number: operation for one in wrong for operation in one.because}
        amount = sum(measures.amount_of(operation.legs) for operation in undone.values())
        return ruling(
            self.name,
            wrong=[why(line, one) for one in wrong],
            failed=f"{counted(len(undone), 'payment')} over {books.money(amount)} seen done and gone at the end",
            passed=f"{counted(looks, 'look')} at a balance, and nothing that they showed is gone",
            measured={"undone_operations": len(undone), "undone_amount": amount},
        )
