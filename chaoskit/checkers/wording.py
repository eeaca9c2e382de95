"""How findings are worded: shares, and the finding that proves nothing. A share is never rounded up to one that was not reached."""

from __future__ import annotations

from chaoskit.model.verdict import Finding, Result

MOST_EVIDENCE = 10
"""A reader looks at a handful of cases; the rest is in the history."""


def percent(part: int, whole: int) -> str:
    """`part` of `whole` in per cent with two decimals, rounded down: 99.999 % is not shown as 100 %."""
    hundredths = part * 10_000 // whole
    return f"{hundredths // 100}.{hundredths % 100:02d} %"


def proves_nothing(checker: str, reason: str, *, safety: bool = False) -> Finding:
    """An INCONCLUSIVE finding with its reason."""
    return Finding(checker=checker, outcome=Result.INCONCLUSIVE, summary=reason, safety=safety)


def counted(count: int, noun: str) -> str:
    """`1 operation`, `1,204 operations`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
