"""Whether the run tested anything: the check that keeps a green verdict from being an accident."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from chaoskit.checkers import asked
from chaoskit.checkers.wording import MOST_EVIDENCE, counted, percent
from chaoskit.model import measures, units
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import History, Outcome
from chaoskit.model.verdict import Finding, Result

LATE_AFTER_S = 0.05
"""At the 99th percentile. Later than this the load shows up in the latencies that it measures."""
MOST_HELD_BACK = 0.05
"""Of the time slices of all containers together, 0.1 s each: fewer waits than this move no outage and no 95th percentile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exercised:
    """The faults bit, customers were there before, during and after, and the load was on time. Passed or inconclusive, never
    failed.

    Proves: every planned fault was injected, its effect was seen and it was healed; every journey had at least `at_least` ok
    operations before the first injection and after the last heal, and at least one attempt in between (an outage may be complete);
    where nothing was healed while the load ran, `at_least` ok operations came after the injection; the load sent all that it had
    scheduled, wrote its trailer, and began 99 % of the operations within 50 ms of their due time; no CPU limit but a
    fault's made the containers wait in more than 5 % of their time slices.
    Sound because it only counts what the record shows, and never speaks well of what is missing.
    Cannot see: whether the fault is the one that matters, or the load like that of real customers.
    """

    name: ClassVar[str] = "exercised"

    at_least: units.Count = measures.FEWEST_OPERATIONS

    def __post_init__(self) -> None:
        asked.some("at_least", self.at_least)

    def check(self, history: History) -> tuple[Finding, ...]:
        missing = (*_faults_missing(history), *_load_missing(history), *self._journeys_missing(history))
        unknown = sum(operation.as_its_customer_saw.outcome is Outcome.INFO for operation in history.operations)
        count = len(history.operations)
        share = percent(unknown, count) if count else "none"
        seen = (
            f"every fault ({len(history.faults)}) bit and was healed"
            if history.faults
            else "no fault was planned, only the load was exercised"
        )
        summary = missing[0] if missing else f"{seen}; {counted(count, 'operation')}, {share} of them without a definite answer"
        return (
            Finding(
                checker=self.name,
                outcome=Result.INCONCLUSIVE if missing else Result.PASSED,
                summary=summary,
                evidence=missing[:MOST_EVIDENCE],
                measures={"operations": count, "unknown_operations": unknown, "late_s": _late_s(history)},
            ),
        )

    def _journeys_missing(self, history: History) -> Iterator[str]:
        for journey in measures.journeys(history):
            before, during, after = (_counts(history, journey, period) for period in ("before", "faults", "after"))
            if not history.faults:
                ok = sum(o.as_its_customer_saw.outcome is Outcome.OK for o in history.of(journey))
                if ok < self.at_least:
                    yield f"{journey}: only {ok} operations were ok, {self.at_least} are needed"
                continue
            if before is not None and before[Outcome.OK] < self.at_least:
                yield f"{journey}: only {before[Outcome.OK]} operations were ok before the first fault, {self.at_least} are needed"
            if during is not None and not during.total():
                yield f"{journey}: nobody tried while the faults were there"
            if after is not None and after[Outcome.OK] < self.at_least:
                yield f"{journey}: only {after[Outcome.OK]} operations were ok after the last heal, {self.at_least} are needed"
            if after is None and during is not None and during[Outcome.OK] < self.at_least:
                yield f"{journey}: only {during[Outcome.OK]} operations were ok after the injection, {self.at_least} are needed"


def _counts(history: History, journey: str, during: measures.During) -> Counter[Outcome] | None:
    """How many operations of each outcome were due then; None when there was no such time."""
    try:
        return Counter(operation.outcome for operation in measures.due(history, journey, during))
    except NotExercised:
        return None


def _faults_missing(history: History) -> Iterator[str]:
    for fault in history.faults:
        if fault.injecting_ns is None:
            yield f"{fault.fault} was never injected" + (f": {fault.error}" if fault.error else "")
        elif fault.injected_ns is None:
            yield f"{fault.fault} may not have been applied" + (f": {fault.error}" if fault.error else "")
        elif not fault.effect_seen:
            yield f"{fault.fault} was injected but its effect was not seen: {fault.evidence or 'no sign of it'}"
        elif fault.healed_ns is None and (history.complete or fault.healing_ns is not None):
            yield f"{fault.fault} was not seen to be healed" + (f": {fault.error}" if fault.error else "")


def _load_missing(history: History) -> Iterator[str]:
    if not history.operations:
        yield "no operation was recorded"
        return
    load = history.load
    if load is None:
        yield "the load has no trailer: it ended early, and what it had not yet written is missing"
    elif load.sent != load.scheduled:
        yield f"the load sent {load.sent:,} of {load.scheduled:,} scheduled operations"
    elif len(history.operations) < load.sent:
        yield f"the record holds {len(history.operations):,} of {load.sent:,} operations that the load sent"
    late_s = _late_s(history)
    if late_s is not None and late_s > LATE_AFTER_S:
        busy = _busy(history)
        cause = "" if busy is None else f" (this machine's processors were busy for {100 * busy:.0f} % of the time)"
        yield f"the load was late, so latency is not the bank's: {late_s * 1000:.0f} ms at the 99th percentile{cause}"
    yield from _held_back(history)
    if history.torn_lines:
        yield f"{counted(history.torn_lines, 'line')} of the record cannot be read"


def _held_back(history: History) -> Iterator[str]:
    """A limit on all containers together is no fault's: whoever set it has made the outcome."""
    grown = _grown(history, "containers", "periods", "throttled")
    if grown is None:
        return
    _, periods, throttled = grown
    if periods > 0 and throttled / periods > MOST_HELD_BACK:
        share = f"{100 * throttled / periods:.0f} % of their time slices ({throttled:.0f} of {periods:.0f})"
        yield (
            f"the containers had to wait in {share} for a CPU limit that no fault has set: "
            "give them the machine, or compare with a run on an idle one"
        )


def _busy(history: History) -> float | None:
    """The part of the processors' time that was used while the load ran; None when that is not known."""
    grown = _grown(history, "host", "busy_s")
    processors = next((s.values.get("processors") for s in history.samples if s.subject == "host"), None)
    if grown is None or not isinstance(processors, float | int) or processors <= 0:
        return None
    elapsed_s, busy_s = grown
    return min(1.0, busy_s / (elapsed_s * processors)) if elapsed_s > 0 else None


def _grown(history: History, subject: str, *names: str) -> tuple[float, ...] | None:
    """How much time passed between the first and the last look at *subject*, and how much its counters grew meanwhile."""
    looks = []
    for sample in history.samples:
        counters = [sample.values.get(name) for name in names]
        if sample.probe == "host" and sample.subject == subject:
            numbers = [one for one in counters if isinstance(one, float | int)]
            if len(numbers) == len(names):
                looks.append((sample.at_ns / 1e9, *numbers))
    return tuple(last - first for first, last in zip(looks[0], looks[-1], strict=True)) if len(looks) > 1 else None


def _late_s(history: History) -> float | None:
    """How late operations began after their due time, at the 99th percentile; None without operations."""
    # What a journey prepares before its first call (a log-in) is not lateness of the load, but it does count as latency.
    late = [((o.start_ns if o.begun_ns is None else o.begun_ns) - o.due_ns) / 1e9 for o in history.operations]
    return measures.nearest_rank(late, 0.99) if late else None
