"""Named ways in which customers arrive over the length of a load. Pure: factors of the normal rate, placed by fractions.

The factors of `lebaran`, the Indonesian holiday, are those that banks and switches published:

- 1.7, pay day and holiday bonus: the ATM Bersama switch saw up to 70 % more a day in 2019; Bank Mandiri's toll cards 72 % more
  on the peak day of 2018.
- 3.0, the last working days before the exodus: Bank Mandiri planned for 2,725 transactions per second against a normal
  803 to 1,000 at the end of 2019 (2.7 to 3.4 times), and had 45 to 50 million against a usual 12 to 15 on 22 June 2017.
- 4.2, the ceiling: the same day taken as 50 against 12 million.
- 0.75, the holiday's morning: Bank BRI in 2021 had 17.1 million on the day itself against 23 million two days later.
- 1.3, the days after: Bank Mandiri's usual holiday, 20 to 30 million against 12 to 15, at its lower end.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from chaoskit.model.errors import UsageError
from chaoskit.model.experiment import Step

# (fraction of the load's duration at which it begins, times the normal rate). The fractions are ours: each phase is long
# enough to see a failover in a load of some minutes, and the normal rate comes first so that the steady state can be judged.
PROFILES: Mapping[str, tuple[tuple[float, float], ...]] = MappingProxyType(
    {
        "steady": ((0.0, 1.0),),
        "lebaran": ((0.0, 1.0), (0.2, 1.7), (0.4, 3.0), (0.65, 4.2), (0.75, 0.75), (0.85, 1.3)),
    }
)


def steps_of(name: str, duration_s: float) -> tuple[Step, ...]:
    """The profile called *name*, fitted to a load of *duration_s*. Raises `UsageError` for an unknown name."""
    if name not in PROFILES:
        known = ", ".join(sorted(PROFILES))
        raise UsageError(f"load.profile: {name!r} is not a profile ({known}). Use one of these, or write steps out")
    return tuple(Step(at_s=fraction * duration_s, times=times) for fraction, times in PROFILES[name])
