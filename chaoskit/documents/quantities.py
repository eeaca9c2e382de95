"""Numbers with units as documents write them: `250ms`, `1m30s`, `99.5%`, `64KiB`.

Each unit has one pattern, used to read a document and put into the JSON Schema, so that an editor and the reader agree.
"""

from __future__ import annotations

import re

from chaoskit.model.errors import ChaoskitError
from chaoskit.model.units import Unit

_NUMBER = r"\d{1,9}(?:\.\d{1,9})?"
_DURATION_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
_SIZE_BYTES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}

PATTERNS = {
    Unit.DURATION: r"(?=\d)" + "".join(f"(?:{_NUMBER}{unit})?" for unit in _DURATION_S),
    Unit.SHARE: f"{_NUMBER}%",
    Unit.SIZE: f"{_NUMBER}(?:{'|'.join(_SIZE_BYTES)})",
}
"""What a text of this unit must match as a whole. The units of a duration come once each, the largest first."""

LONGEST_S = 30 * 24 * 3600.0
"""A month: no experiment is longer, so a longer duration is a slip of the pen."""
LARGEST = 1e9
"""No rate, count, factor or weight comes near it; above it times and rates lose whole nanoseconds."""


class WrongQuantity(ChaoskitError):
    """The value is no such quantity. The message says what was expected; who asked knows what was given and where."""


def parse(given: object, unit: Unit) -> float | int:
    """The number of seconds, the share (0 to 1), bytes or the plain number that *given* says.

    Raises `WrongQuantity`.
    """
    if unit in PATTERNS:
        return _with_unit(given, unit)
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise WrongQuantity(f"expected a {unit.value}")
    if not 0 <= given <= LARGEST:  # false for nan too
        raise WrongQuantity(f"expected a {unit.value} from 0 to {LARGEST:.0f}")
    if unit is Unit.COUNT and given != int(given):
        raise WrongQuantity(f"expected a {unit.value}")
    return int(given) if unit is Unit.COUNT else float(given)


def _with_unit(given: object, unit: Unit) -> float | int:
    if isinstance(given, int | float) and not isinstance(given, bool):
        usual = {Unit.DURATION: f"{given}s", Unit.SHARE: f"{given * 100 if given <= 1 else given:g}%", Unit.SIZE: f"{given}KiB"}[
            unit
        ]
        hint = f". Did you mean {usual!r}?" if 0 <= given < LARGEST else ""
        raise WrongQuantity(f"has no unit; expected a {unit.value}{hint}")
    if not isinstance(given, str) or re.fullmatch(PATTERNS[unit], given, re.ASCII) is None:
        raise WrongQuantity(f"expected a {unit.value}")
    if unit is Unit.SHARE:
        share = float(given.removesuffix("%")) / 100
        if share > 1:
            raise WrongQuantity("expected a share from 0% to 100%")
        return share
    terms = [(float(number), name) for number, name in re.findall(r"([\d.]+)([A-Za-z]+)", given)]
    if unit is Unit.SIZE:
        return int(sum(number * _SIZE_BYTES[name] for number, name in terms))
    seconds = sum(number * _DURATION_S[name] for number, name in terms)
    if seconds > LONGEST_S:
        raise WrongQuantity(f"expected at most {LONGEST_S / 3600:.0f}h")
    return seconds
