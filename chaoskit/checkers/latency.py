"""Whether customers were answered fast enough."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from chaoskit.checkers import asked
from chaoskit.checkers.wording import proves_nothing
from chaoskit.model import measures, units
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import History, Operation
from chaoskit.model.verdict import Finding, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """A percentile of the time that customers waited.

    Proves: the share `p` of the journey's operations was served within `at_most` of when they were due (nearest rank).
    Sound because time counts from the due time, so that a stalled system is charged for the customers who queued; an operation that
    never ended, or ended without being served, counts as infinitely slow: an error does not become fast by coming early.
    Cannot see: whether the load itself was late (`exercised` does).
    Inconclusive with fewer than five operations in the period. `during` is `run`, `before`, `faults` or `after`, as in
    `availability`.
    """

    name: ClassVar[str] = "latency"

    journey: units.Journey
    at_most_s: units.Seconds
    p: units.Share = 0.99
    during: measures.During = "run"

    def __post_init__(self) -> None:
        asked.time("at_most", self.at_most_s)
        asked.demanded("p", self.p)

    def check(self, history: History) -> tuple[Finding, ...]:
        try:
            operations = measures.due(history, self.journey, self.during)
            if len(operations) < measures.FEWEST_OPERATIONS:
                raise NotExercised(f"only {len(operations)} operations were due, fewer than {measures.FEWEST_OPERATIONS}")
        except NotExercised as reason:
            return (proves_nothing(self.name, f"latency of {self.journey} ({self.during}): {reason}"),)
        waits_s = [_waited_s(operation) for operation in operations]
        found_s = measures.nearest_rank(waits_s, self.p)
        unserved = waits_s.count(math.inf)
        shown = "no answer" if found_s == math.inf else f"{found_s * 1000:,.1f} ms"
        summary = (
            f"the {self.p * 100:g}th percentile of {len(operations):,} {self.journey} operations was {shown}"
            f" (asked: at most {self.at_most_s * 1000:g} ms); {unserved:,} were not served"
        )
        return (
            Finding(
                checker=self.name,
                outcome=Result.PASSED if found_s <= self.at_most_s else Result.FAILED,
                summary=summary,
                measures={
                    # JSON has no infinity: None stands for an answer that never came.
                    "latency_s": None if found_s == math.inf else found_s,
                    "unserved_operations": unserved,
                    "operations": len(operations),
                },
            ),
        )


def _waited_s(operation: Operation) -> float:
    end_ns = operation.end_ns
    return math.inf if end_ns is None or not measures.is_served(operation) else (end_ns - operation.due_ns) / 1e9
