"""How busy the machine is: on a starved host everything looks broken, so the verdict must be able to say so."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from chaoskit.model import units
from chaoskit.model.protocols import Environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Sample the load average of the last minute and the number of processors (Linux `getloadavg(3)`)."""

    name: ClassVar[str] = "host"

    every_s: units.Seconds = 5.0

    def look(self, environment: Environment) -> tuple[tuple[str, Mapping[str, str | float | bool | None]], ...]:  # noqa: ARG002
        return (("host", {"load_1m": os.getloadavg()[0], "processors": float(os.cpu_count() or 1)}),)
