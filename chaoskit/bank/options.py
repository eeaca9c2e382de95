"""The options of the reference bank, read from the words of a document.

Options arrive as text (`defect: no-idempotency`, `slots: "6"`); everything wrong with them is said at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from chaoskit.bank.customers import FEW, MANY
from chaoskit.bank.defects import DEFECTS
from chaoskit.model.errors import UsageError

NO_DEFECT = "none"
# 6 / 45 ms = 133 operations per second: the experiments' normal load (40/s) uses a third of it and four times that (160/s, a
# holiday peak) is too much, while the payments among it (4 of 11) still fit twice.
DEFAULT_SLOTS = 6
DEFAULT_SERVICE_TIME_MS = 45


@dataclass(frozen=True, slots=True, kw_only=True)
class BankOptions:
    """The bank as the services see it.

    `slots` and `service_time_ms` are the fixed capacity of the core: slots / service time, 133 operations per second as given.
    It stands for the capacity that a real core banking system has been bought with: neither a faster machine nor an idle one
    changes it, so that an experiment with too much load means the same everywhere.
    """

    defect: str = NO_DEFECT
    slots: int = DEFAULT_SLOTS
    service_time_ms: int = DEFAULT_SERVICE_TIME_MS
    customers: str = MANY
    """`few` share the load of `many`, have hardly anything, and pay only each other: two payments at once want the same money."""


OPTION_NAMES: dict[str, tuple[str, ...]] = {
    "defect": (NO_DEFECT, *DEFECTS),
    "slots": (),
    "service_time_ms": (),
    "customers": (MANY, FEW),
}
"""Options of the services with their allowed values; () allows any text."""


def bank_options(options: Mapping[str, str]) -> BankOptions:
    """The services' options among *options*; options of other parts are left alone. Raises `UsageError` naming every mistake."""
    mistakes: list[str] = []
    defect = _one_of(options, "defect", NO_DEFECT, "a defect of the bank", mistakes)
    customers = _one_of(options, "customers", MANY, "a kind of customers", mistakes)
    slots = _whole(options, "slots", DEFAULT_SLOTS, 1, 64, mistakes)
    service_time_ms = _whole(options, "service_time_ms", DEFAULT_SERVICE_TIME_MS, 0, 1000, mistakes)
    if mistakes:
        raise UsageError("\n".join(f"options of environment 'bank': {mistake}" for mistake in mistakes))
    return BankOptions(defect=defect, slots=slots, service_time_ms=service_time_ms, customers=customers)


def _whole(options: Mapping[str, str], name: str, default: int, low: int, high: int, mistakes: list[str]) -> int:
    given = options.get(name, str(default))
    if given.isdecimal() and low <= int(given) <= high:
        return int(given)
    mistakes.append(f"{name}: {given!r} is not a whole number from {low} to {high}. Write it without a unit.")
    return default


def _one_of(options: Mapping[str, str], name: str, default: str, what: str, mistakes: list[str]) -> str:
    given = options.get(name, default)
    if given not in OPTION_NAMES[name]:
        near = difflib.get_close_matches(given, OPTION_NAMES[name], n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        mistakes.append(f"{name}: {given!r} is not {what} ({', '.join(OPTION_NAMES[name])}).{hint}")
    return given
