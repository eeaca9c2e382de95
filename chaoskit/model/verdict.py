"""What a run showed: findings, merged into one verdict, with the exit code that a script sees."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


class Result(enum.StrEnum):
    """The one answer of a run. The order of the members is the order of precedence in merging, weakest first."""

    PASSED = "passed"
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"
    ABORTED = "aborted"
    ERROR = "error"

    @property
    def exit_code(self) -> int:
        return {"passed": 0, "failed": 1, "inconclusive": 3, "aborted": 4, "error": 5}[self.value]


USAGE_EXIT_CODE = 2
"""Wrong usage or an invalid document: nothing was started, so there is no verdict."""


def merge(results: Iterable[Result]) -> Result:
    """The strongest of *results*; INCONCLUSIVE when there is none, since nothing was shown."""
    order = list(Result)
    return max(results, key=order.index, default=Result.INCONCLUSIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one checker says. A checker says PASSED, FAILED or INCONCLUSIVE, and at least one thing.

    `evidence` are whole sentences with money and time, the most telling first, at most ten.
    `measures` are the numbers behind it, by name with the unit last (`takeover_s`, `lost_operations`, `lost_amount`).
    """

    checker: str
    outcome: Result
    summary: str
    evidence: tuple[str, ...] = ()
    measures: Mapping[str, float | int | str | None] = field(default_factory=dict)
    safety: bool = False
    """True for money: a violation found is shown whatever else happened in the run."""
    is_absent: bool = False
    """True when nothing was there of what was to be judged if there was any: it weighs nothing and is named as not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The verdict with its evidence; `verdict.json` is this value. Times are seconds into the load."""

    result: Result
    findings: tuple[Finding, ...]
    title: str = ""
    problems: tuple[str, ...] = ()
    """What went wrong with the run itself (not with the bank): the reason of ABORTED and ERROR."""
    rto_s: float | None = None
    """The longest time without service over all journeys after the first injection; None when nothing was injected."""
    outage_s: Mapping[str, float] = field(default_factory=dict)
    availability: Mapping[str, float] = field(default_factory=dict)
    rpo_operations: int | None = None
    """Acknowledged operations that are not in the ledger; None when no money checker could say."""
    rpo_amount: int | None = None
    rpo_text: str = ""
    """The same amount as a person reads it."""
    faults: tuple[Mapping[str, object], ...] = ()
    operations: Mapping[str, int] = field(default_factory=dict)
    settled: Mapping[str, int] = field(default_factory=dict)
    """How many operations without an answer were found `applied`, `refused` or were given a `tombstone`."""
    took_s: float | None = None
    """From the first record to the last, boot and final reads included; None when the record has no end."""
    seed: int = 0
    reproduce: str = ""
    allowed: tuple[str, ...] = ()
    """What was allowed to it by name, such as `production`."""
    not_shown: tuple[str, ...] = ()
    """What this run did not show."""
