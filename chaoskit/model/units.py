"""Markers that say what a field of a part means, so that a document can be read without a second description.

`documents` reads them from the annotations of a fault's or a checker's dataclass: a `Seconds` field takes `250ms`,
a `Share` takes `99.5%`, a `Service` must be a service or a role of the environment.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Annotated


class Unit(enum.Enum):
    """How a number is written in a document. A bare number is refused except for COUNT, RATE and FACTOR."""

    DURATION = "duration such as 250ms, 5s or 1m30s"
    SHARE = "share such as 99.5%"
    SIZE = "size such as 64KiB"
    RATE = "number per second"
    COUNT = "whole number"
    FACTOR = "number of times"


class Kind(enum.Enum):
    """What a name must be the name of."""

    SERVICE = "service"
    GROUP = "group"
    JOURNEY = "journey"


@dataclass(frozen=True, slots=True)
class Naming:
    """The field holds a name (or a pair of names) of this kind."""

    kind: Kind


Seconds = Annotated[float, Unit.DURATION]
Share = Annotated[float, Unit.SHARE]
Size = Annotated[int, Unit.SIZE]
Rate = Annotated[float, Unit.RATE]
Count = Annotated[int, Unit.COUNT]
Factor = Annotated[float, Unit.FACTOR]

Service = Annotated[str, Naming(Kind.SERVICE)]
"""A service (`core`) or a role of a group (`ledger-db.primary`), resolved at the moment of injection."""
Pair = Annotated[tuple[str, str], Naming(Kind.SERVICE)]
"""Two services or roles; the first one is the one that calls, where direction matters."""
Group = Annotated[str, Naming(Kind.GROUP)]
Journey = Annotated[str, Naming(Kind.JOURNEY)]
