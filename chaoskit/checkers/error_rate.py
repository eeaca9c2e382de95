"""Whether too many customers went unserved for too long: the usual reason to abort a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.checkers import asked
from chaoskit.checkers.wording import percent, proves_nothing
from chaoskit.model import measures, units
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import History
from chaoskit.model.verdict import Finding, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRate:
    """No stretch of that length had more than this share of a journey's operations unserved.

    Proves: in every window of `for` inside the load, at most `above` of the operations due were unserved (no ok answer and no valid
    refusal). Made for `abort_if`, where it is judged again and again while the load runs.
    Sound on a running load because only whole windows count, and those end five seconds before the latest record: operations that
    are merely still open are in none of them.
    Cannot see: a stretch shorter than `for`, nor one with fewer than five operations due.
    Inconclusive while the load is younger than `for` and those five seconds.
    """

    name: ClassVar[str] = "error-rate"

    journey: units.Journey
    above: units.Share
    for_s: units.Seconds

    def __post_init__(self) -> None:
        asked.allowed("above", self.above)
        asked.time("for", self.for_s)

    def check(self, history: History) -> tuple[Finding, ...]:
        try:
            from_ns, _ = measures.period(history, "run")
            to_ns = measures.decided_until_ns(history)
            operations = measures.due(history, self.journey)
            worst = measures.worst_window(operations, window_s=self.for_s, from_ns=from_ns, to_ns=to_ns)
        except NotExercised as reason:
            return (proves_nothing(self.name, f"error rate of {self.journey}: {reason}"),)
        unserved = worst.due - worst.served
        summary = (
            f"{percent(unserved, worst.due)} of {worst.due:,} {self.journey} operations were unserved in the worst {self.for_s:g} s"
            f", from {history.seconds(worst.from_ns):.1f} s on (asked: not more than {self.above * 100:g} %)"
        )
        return (
            Finding(
                checker=self.name,
                outcome=Result.FAILED if unserved > self.above * worst.due else Result.PASSED,
                summary=summary,
                measures={"error_rate": unserved / worst.due, "operations": worst.due},
            ),
        )
