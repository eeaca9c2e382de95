"""Whether copies that may be behind are behind by no more than was promised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.checkers.money.books import LOOKED_AT, Books, judged, ruling
from chaoskit.checkers.money.read_window import why
from chaoskit.checkers.money.reads import Fault, reads
from chaoskit.checkers.money.timeline import timeline
from chaoskit.checkers.wording import counted
from chaoskit.model import units
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import History
from chaoskit.model.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Staleness:
    """A balance that a customer sees misses nothing that was acknowledged more than `within` before they asked.

    Proves: for each look at an account there is a version with that balance in which all payments are that were acknowledged more
    than `within` before the look began. With `served_by`, only for looks that this member answered.
    Sound because it asks for less than `read-window`: looks need not agree with each other, and the time is added in favour of the
    bank.
    Cannot see: a wrong balance that is not merely old (`read-window`, `observed-stays`).
    Not among `money`, where no balance may be behind at all; name it where copies are allowed to be. Inconclusive when no look was
    answered by that member. O(n log n).
    Catches a standby that falls behind beyond its promise.
    """

    name: ClassVar[str] = "staleness"

    within_s: units.Seconds
    served_by: str = ""

    def check(self, history: History) -> tuple[Finding, ...]:
        return judged(self.name, history, self._judge, needs=LOOKED_AT)

    def _judge(self, books: Books) -> Finding:
        line = timeline(books)
        found = reads(line, lag_ns=int(self.within_s * 1e9), is_one=False)
        sights = [one.sight for one in found.placed] + [one.sight for one in found.misplaced]
        looks = sum(self._is_meant(sight.attempt.served_by) for sight in sights)
        if not looks:
            raise NotExercised(
                f"no look at an account of the ledger was answered{f' by {self.served_by}' if self.served_by else ''}"
            )
        late = [one for one in found.misplaced if one.fault is Fault.STALE and self._is_meant(one.sight.attempt.served_by)]
        return ruling(
            self.name,
            wrong=[why(line, one) for one in late],
            failed=f"{len(late):,} of {counted(looks, 'look')} at a balance more than {self.within_s:g} s behind",
            passed=f"{counted(looks, 'look')} at a balance, none more than {self.within_s:g} s behind",
            measured={"looks": looks, "late_looks": len(late)},
        )

    def _is_meant(self, served_by: str) -> bool:
        return self.served_by in ("", served_by)
