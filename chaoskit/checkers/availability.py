"""Whether enough customers were served, over a period or in its worst window."""

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
class Availability:
    """At least this share of a journey's operations was served.

    Proves: of the operations due in the period, at least `at_least` ended with an ok answer or a valid refusal (insufficient funds
    is a service that works). With `window`, that holds in every window of that length inside the period, so that a short outage
    cannot hide in a long run.
    Sound because operations are counted by when they were due, whether or not they could be sent, and one without an answer is
    unserved.
    Cannot see: how slow the answers were (`latency`), nor whether they were true (the money checks).
    Inconclusive with fewer than five operations in the period, or in every window of it.

    `during` is `run`, `before` (the first injection), `faults` (from then to the last heal, or the end of the load) or `after`
    (it).
    """

    name: ClassVar[str] = "availability"

    journey: units.Journey
    at_least: units.Share
    window_s: units.Seconds | None = None
    during: measures.During = "run"

    def __post_init__(self) -> None:
        asked.demanded("at_least", self.at_least)
        asked.time("window", self.window_s)

    def check(self, history: History) -> tuple[Finding, ...]:
        try:
            served = self._measure(history)
        except NotExercised as reason:
            return (proves_nothing(self.name, f"availability of {self.journey} ({self.during}): {reason}"),)
        place = (
            "" if self.window_s is None else f" in the worst {self.window_s:g} s, from {history.seconds(served.from_ns):.1f} s on"
        )
        summary = (
            f"{percent(served.served, served.due)} of {served.due:,} {self.journey} operations were served{place}"
            f" (asked: at least {self.at_least * 100:g} %)"
        )
        return (
            Finding(
                checker=self.name,
                outcome=Result.PASSED if served.share >= self.at_least else Result.FAILED,
                summary=summary,
                measures={"availability": served.share, "operations": served.due},
            ),
        )

    def _measure(self, history: History) -> measures.Service:
        from_ns, to_ns = measures.period(history, self.during)
        operations = measures.due(history, self.journey, self.during)
        if self.window_s is None:
            return measures.service(operations, from_ns=from_ns, to_ns=to_ns)
        return measures.worst_window(operations, window_s=self.window_s, from_ns=from_ns, to_ns=to_ns)
