"""When customers come and what they want, from a seed alone. Pure: the same plan gives the same arrivals, on every machine.

Gaps are drawn in units of the mean gap, so the n-th arrival keeps its journey and its gap whatever a surge does to the rate.
"""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chaoskit.model.protocols import LoadPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One customer: `due_s` counts from the beginning of the load."""

    number: int
    due_s: float
    journey: str


def arrivals(plan: LoadPlan) -> Iterator[Arrival]:
    """Every arrival of *plan* in order, as it will be if no fault raises the rate."""
    timetable = Timetable(plan)
    while (due_s := timetable.due_s) is not None:
        yield Arrival(number=timetable.number, due_s=due_s, journey=timetable.journey)
        timetable.advance()


def draws(seed: int, mix: Mapping[str, float]) -> Iterator[tuple[float, str]]:
    """The endless row of (gap in units of the mean, journey): arrivals that know nothing of each other (Poisson)."""
    # A generator of their own for gaps and journeys: another mix leaves the times as they are.
    gaps, choices = random.Random(f"gaps of {seed}"), random.Random(f"journeys of {seed}")
    # Sorted, so that the order in which a document names them does not matter.
    names = sorted(name for name, weight in mix.items() if weight > 0)
    bounds = list(itertools.accumulate(mix[name] for name in names))
    while True:
        yield gaps.expovariate(1.0), names[bisect.bisect_right(bounds, choices.random() * bounds[-1], hi=len(names) - 1)]


def even_draws(journey: str) -> Iterator[tuple[float, str]]:
    """An even grid that begins at 0: for measuring the load itself."""
    yield 0.0, journey
    while True:
        yield 1.0, journey


class Timetable:
    """Walks through the arrivals of a plan: `number`, `due_s` and `journey` are of the next one. `due_s` None: none is left.

    The rate is known in steps; a surge multiplies it from a moment on. Due times follow from how many mean gaps fit in between.
    """

    __slots__ = ("_draws", "_end_s", "_from_s", "_rates", "_step", "_surge", "_units", "due_s", "journey", "number")

    def __init__(self, plan: LoadPlan, *, row: Iterator[tuple[float, str]] | None = None) -> None:
        self._draws = row or draws(plan.seed, plan.mix)
        self._rates = [(at_s, times * plan.arrivals_per_s) for at_s, times in plan.steps]
        assert self._rates, "a plan has a step at 0 s"
        assert self._rates[0][0] == 0, "a plan has a step at 0 s"
        # An arrival that is due at the very end is not wanted; sums of gaps are exact to far less than a nanosecond.
        self._end_s = plan.duration_s - 1e-9
        self._surge = 1.0
        self._from_s = 0.0
        self._step = 0
        self.number = 0
        self._units, self.journey = next(self._draws)
        self.due_s: float | None = self._due()

    def advance(self) -> None:
        """Go on to the next arrival."""
        assert self.due_s is not None, "there is no arrival after the last one"
        self._from_s = self.due_s
        self.number += 1
        self._units, self.journey = next(self._draws)
        self.due_s = self._due()

    def surge(self, times: float, *, at_s: float) -> None:
        """Multiply the rate by *times* from *at_s* on, in place of any surge before; the arrival that is due next moves with it."""
        assert times >= 0, "a rate cannot be negative"
        at_s = max(at_s, self._from_s)
        self._units = max(0.0, self._units - self._gaps_until(at_s))
        self._from_s = at_s
        self._surge = times
        self._step = 0
        self.due_s = self._due()

    def _due(self) -> float | None:
        """When `_units` mean gaps have passed since `_from_s`."""
        units, at_s = self._units, self._from_s
        while True:
            while self._step + 1 < len(self._rates) and self._rates[self._step + 1][0] <= at_s:
                self._step += 1
            rate = self._rates[self._step][1] * self._surge
            until_s = self._rates[self._step + 1][0] if self._step + 1 < len(self._rates) else None
            if rate > 0 and (until_s is None or units <= (until_s - at_s) * rate):
                due_s = at_s + units / rate
                return due_s if due_s < self._end_s else None
            if until_s is None:
                return None
            units -= (until_s - at_s) * rate
            at_s = until_s

    def _gaps_until(self, at_s: float) -> float:
        """How many mean gaps lie between `_from_s` and *at_s*."""
        starts = [start for start, _ in self._rates]
        ends = [*starts[1:], at_s]
        return sum(
            max(0.0, min(end, at_s) - max(start, self._from_s)) * rate * self._surge
            for (start, rate), end in zip(self._rates, ends, strict=True)
        )
