"""On what terms Hypothesis may try live systems: the same thing is told of one schedule every time, and a find says how often.

Hypothesis runs a failing example again, and takes a second answer that differs for a mistake of the test. A live system may well
answer differently: so what was seen once stands, and how often it is seen again is counted outside of Hypothesis.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from hypothesis import HealthCheck, Phase, event, settings
from hypothesis.database import DirectoryBasedExampleDatabase

from chaoskit.model.experiment import Injection
from chaoskit.model.verdict import Result, Verdict
from chaoskit.reports.text import text_report
from chaoskit.strategies.writing import as_document

T = TypeVar("T")

EXAMPLES = 10
"""A live run takes half a minute: so many take five, which is what people wait for."""
STEPS_OF_A_MACHINE = 10
"""Steps of one state machine on one live system; a fault and its healing take a few seconds each."""


def register_profile(
    name: str = "chaos",
    *,
    max_examples: int = EXAMPLES,
    is_shrinking: bool = False,
    is_ci: bool | None = None,
    database: Path | None = Path(".hypothesis/chaos"),
) -> settings:
    """Register and return settings that fit live systems; `settings.load_profile(name)` makes them those of the session.

    Examples are few and have no deadline. They are not shrunk unless asked: each step of shrinking is a live run; `Search` bounds
    the time of all of them. On CI (*is_ci* None looks for the variable `CI`) every session draws the same examples and keeps none;
    elsewhere finds are kept in *database*, below the folder that the session was started in.
    """
    is_ci = bool(os.environ.get("CI")) if is_ci is None else is_ci
    phases = [Phase.explicit, Phase.reuse, Phase.generate, *([Phase.shrink] if is_shrinking else [])]
    made = settings(
        max_examples=max_examples,
        stateful_step_count=STEPS_OF_A_MACHINE,
        deadline=None,
        phases=phases,
        derandomize=is_ci,
        database=None if is_ci or database is None else DirectoryBasedExampleDatabase(database),
        print_blob=True,
        report_multiple_bugs=False,
        # A live system takes its time; that is no mistake of what draws.
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.register_profile(name, made)
    return made


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The verdicts of the same thing, done several times."""

    verdicts: tuple[Verdict, ...]
    ended_by: str = ""
    """The error that no verdict came of, after which it was not done again; "" without one."""

    @property
    def times(self) -> int:
        return len(self.verdicts)

    @property
    def failed(self) -> int:
        """How many were anything but PASSED."""
        return sum(verdict.result is not Result.PASSED for verdict in self.verdicts)

    def interval(self) -> tuple[float, float]:
        """Between which shares of all runs would fail, with 95% confidence: Wilson's interval (JASA 22, 1927)."""
        if not self.verdicts:
            return 0.0, 1.0
        z, n, share = 1.96, self.times, self.failed / self.times
        middle, half = share + z * z / (2 * n), z * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
        return max(0.0, (middle - half) / (1 + z * z / n)), min(1.0, (middle + half) / (1 + z * z / n))

    def __str__(self) -> str:
        low, high = self.interval()
        results = ", ".join(verdict.result.value for verdict in self.verdicts) or "none"
        return (
            f"{self.failed} of {self.times} runs did not pass ({results}): "
            f"with 95% confidence between {low:.0%} and {high:.0%} of all runs do not"
        )


def _shown(what: object) -> str:
    """A schedule as it stands in a document; anything else as Python shows it."""
    if isinstance(what, tuple) and what and all(isinstance(one, Injection) for one in what):
        return as_document(what).rstrip()
    return repr(what)


def confirm(run: Callable[[], Verdict], *, times: int = 5) -> Confirmation:
    """Run the same thing *times* more and say how often it did not pass. An error of *run* ends it, and is in what is returned."""
    verdicts: list[Verdict] = []
    try:
        verdicts += (run() for _ in range(times))
    except Exception as error:
        return Confirmation(tuple(verdicts), ended_by=f"{type(error).__name__}: {error}")
    return Confirmation(tuple(verdicts))


class Found(AssertionError):
    """A search has found what does not pass. `what` was tried, `verdict` is the first one; a later pass does not undo it."""

    def __init__(self, what: object, verdict: Verdict, confirmation: Confirmation) -> None:
        self.what = what
        self.verdict = verdict
        self.confirmation = confirmation
        again = f"\nOnce more, {confirmation}." if confirmation.times else ""
        again += f"\nRepeating it ended with {confirmation.ended_by}." if confirmation.ended_by else ""
        # No command draws the same again, so the verdict's own would not lead here.
        shown = replace(verdict, reproduce="an experiment with what was found, which stands below")
        super().__init__(f"{text_report(shown, folder='one of the newest')}Found with {_shown(what)}{again}")


class Search(Generic[T]):
    """Tries things on a live system for Hypothesis: each once, and what it showed then is what it shows ever after.

    After *at_most_s* nothing new is tried, and what was not tried passes: so a search ends in time also while it shrinks.
    The first thing is always tried. A find is tried *times* more. Not for several threads.
    """

    def __init__(self, run: Callable[[T], Verdict], *, at_most_s: float = 900.0, times: int = 3) -> None:
        self._run = run
        self._at_most_s = at_most_s
        self._times = times
        self._began_s: float | None = None
        self._seen: dict[str, Found | BaseException | None] = {}

    @property
    def tried(self) -> int:
        """How many different things were tried."""
        return len(self._seen)

    def check(self, what: T) -> None:
        """Try it. Raises `Found` unless it passed, and what *run* raises. The same thing, by its repr, is not tried again."""
        name = repr(what)
        if name not in self._seen:
            now = time.monotonic()
            self._began_s = now if self._began_s is None else self._began_s
            if self._seen and now - self._began_s >= self._at_most_s:
                event("not tried: the time of the search is over")
                return
            self._seen[name] = self._tried(what)
        outcome = self._seen[name]
        if outcome is not None:
            raise outcome

    def _tried(self, what: T) -> BaseException | None:
        try:
            verdict = self._run(what)
            if verdict.result is Result.PASSED:
                return None
            return Found(what, verdict, confirm(lambda: self._run(what), times=self._times))
        except Exception as error:
            return error
