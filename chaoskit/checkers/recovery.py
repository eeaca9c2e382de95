"""How long it took until customers were served again, and whether it lasted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from chaoskit.checkers import asked
from chaoskit.checkers.wording import percent, proves_nothing
from chaoskit.model import measures, units
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import History, Operation
from chaoskit.model.verdict import Finding, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """A journey is steady again soon after the trouble, and stays so to the end of the load.

    Proves: within `within`, an operation was served from which on the share `steady` of the operations due was served, the
    last one included. `since: heal` counts from the last heal. `since: failure` counts from when the first customer after the
    first injection was due in vain: for takeovers, where the system has to help itself, and whatever is healed later must not
    disturb it again. A fault that is not healed while the load runs is counted from the failure in any case.
    Sound because operations count by due time, and the moment of recovery is when the first of the good ones was answered, so that
    customers who hung until then are part of the wait.
    Cannot see: what happened between an injection and a heal (`takeover`, `availability` with `window`), nor up to 1 - `steady` of
    failures spread over the rest of the load.
    Inconclusive when no fault was injected, or with too little load afterwards to tell.
    """

    name: ClassVar[str] = "recovery"

    journey: units.Journey
    within_s: units.Seconds
    steady: units.Share = 0.99
    since: Literal["heal", "failure"] = "heal"

    def __post_init__(self) -> None:
        asked.time("within", self.within_s)
        asked.demanded("steady", self.steady)

    def check(self, history: History) -> tuple[Finding, ...]:
        try:
            return (self._judge(history),)
        except NotExercised as reason:
            return (proves_nothing(self.name, f"recovery of {self.journey}: {reason}"),)

    def _judge(self, history: History) -> Finding:
        from_ns, since = self._start(history)
        after = [o for o in measures.due(history, self.journey) if o.due_ns >= from_ns]
        if len(after) < measures.FEWEST_OPERATIONS:
            raise NotExercised(f"only {len(after)} operations were due after {since}")
        steady_ns = self._steady_ns(after)
        seen_s = ((history.load_ended_ns or from_ns) - from_ns) / 1e9
        if steady_ns is None:
            served = sum(map(measures.is_served, after))
            rest = f"{percent(served, len(after))} of {len(after):,} operations were served in the {seen_s:.1f} s after {since}"
            if seen_s < self.within_s:
                raise NotExercised(
                    f"not steady again, but the load ended too early to tell: {rest} (asked: within {self.within_s:g} s)"
                )
            return self._finding(Result.FAILED, f"{self.journey} did not become steady again: {rest}", None)
        recovery_s = max(0, steady_ns - from_ns) / 1e9
        outcome = Result.PASSED if recovery_s <= self.within_s else Result.FAILED
        return self._finding(outcome, f"{self.journey} was steady again {recovery_s:.1f} s after {since}", recovery_s)

    def _finding(self, outcome: Result, summary: str, recovery_s: float | None) -> Finding:
        asked = f" (asked: within {self.within_s:g} s)"
        return Finding(checker=self.name, outcome=outcome, summary=summary + asked, measures={"recovery_s": recovery_s})

    def _start(self, history: History) -> tuple[int, str]:
        """From when recovery is counted, and what that was."""
        injected_ns = history.first_injected_ns
        end_ns = history.load_ended_ns
        if injected_ns is None or end_ns is None:
            raise NotExercised("no fault was injected")
        healed_ns = history.last_healed_ns
        if self.since == "heal" and healed_ns is not None and healed_ns < end_ns:
            return healed_ns, "the last heal"
        unserved = (o for o in measures.due(history, self.journey) if o.due_ns >= injected_ns and not measures.is_served(o))
        first = next(unserved, None)
        return (injected_ns, "the injection") if first is None else (first.due_ns, "the first customer went unserved")

    def _steady_ns(self, operations: list[Operation]) -> int | None:
        """When the first operation was answered from which on the share served is steady and the last one served; None if never."""
        if not measures.is_served(operations[-1]):
            return None
        served = 0
        moments = []
        for count, operation in enumerate(reversed(operations), start=1):
            is_served = measures.is_served(operation)
            served += is_served
            enough = count >= measures.FEWEST_OPERATIONS and served >= self.steady * count
            if enough and is_served and operation.end_ns is not None:
                moments.append(operation.end_ns)
        return min(moments, default=None)
