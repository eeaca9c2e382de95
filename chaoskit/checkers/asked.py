"""What a check may be asked. A demand that every history meets is refused: it would be a pass by accident, and so is one by NaN.

Comparisons with NaN are always false, so a check that asks `found > limit` would never fail.
"""

from __future__ import annotations


def time(name: str, value_s: float | None) -> None:
    """Raises `ValueError` unless it is a time above zero with an end. None, where a check may go without, is fine."""
    if value_s is not None and not (0 < value_s < float("inf")):  # false for NaN
        raise ValueError(f"{name} is {value_s!r}; expected a time above 0 s")


def demanded(name: str, share: float) -> None:
    """Raises `ValueError` unless it is a share that a history can miss: above 0 %."""
    if not 0 < share <= 1:
        raise ValueError(f"{name} is {share!r}; expected a share above 0 % and up to 100 %, as every history has at least 0 %")


def allowed(name: str, share: float) -> None:
    """Raises `ValueError` unless it is a share that a history can exceed: below 100 %."""
    if not 0 <= share < 1:
        raise ValueError(f"{name} is {share!r}; expected a share from 0 % and below 100 %, as no history has more than 100 %")


def some(name: str, count: int) -> None:
    """Raises `ValueError` unless at least one is asked for."""
    if not count >= 1:  # not `<`, which is false for NaN
        raise ValueError(f"{name} is {count!r}; expected at least 1, as every history has none")
