"""Whether each customer sees their own doings, and never an older state than they have seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.checkers.money.books import LOOKED_AT, Books, judged, ruling
from chaoskit.checkers.money.read_window import why
from chaoskit.checkers.money.reads import Fault, reads
from chaoskit.checkers.money.timeline import timeline
from chaoskit.checkers.wording import counted
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import History
from chaoskit.model.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A customer sees what they have been told of their own payments, and never an older balance than they have seen before.

    Proves: for each look of a known customer there is a version with that balance that has all of the customer's own acknowledged
    payments, and is no older than what any look of the same customer showed that was over before.
    Sound because it asks for less than `read-window`: what others did and saw does not bind, and payments whose key was sent by
    several operations are left out.
    Cannot see: customers whose journey gives no `session`, nor a wrong balance that is not merely old (`read-window`).
    Not among `money`, where everybody must see what anybody was told; name it where copies are allowed to be behind. Inconclusive
    when no look is of a known customer. O(n log n).
    Catches a standby that takes over or answers without what this customer has just been told.
    """

    name: ClassVar[str] = "session"

    def check(self, history: History) -> tuple[Finding, ...]:
        return judged(self.name, history, self._judge, needs=LOOKED_AT)

    def _judge(self, books: Books) -> Finding:
        line = timeline(books)
        found = reads(line, by_session=True)
        looks = len(found.placed) + len(found.misplaced)
        if not looks:
            raise NotExercised("no look at an account of the ledger is of a known customer, so nothing was proven")
        old = [one for one in found.misplaced if one.fault in (Fault.STALE, Fault.BACK)]
        return ruling(
            self.name,
            wrong=[why(line, one) for one in old],
            failed=f"{len(old):,} of {counted(looks, 'look')} showed less than the same customer knew",
            passed=f"{counted(looks, 'look')}, none of them less than the same customer knew",
            measured={"looks": looks, "old_looks": len(old)},
        )
