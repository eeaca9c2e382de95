"""How busy the machine is: on a starved host everything looks broken, so the verdict must be able to say so.

The counters only grow; whoever judges takes differences.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from chaoskit.model import units
from chaoskit.model.containers import SharedCpu
from chaoskit.model.errors import ChaoskitError
from chaoskit.model.protocols import Environment

Values = Mapping[str, str | float | bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Sample the load average of the last minute, the processors' busy time, and what held all containers back together.

    From Linux: `getloadavg(3)`, `/proc/stat`, and the control groups above the containers' own.
    """

    name: ClassVar[str] = "host"

    every_s: units.Seconds = 5.0

    def look(self, environment: Environment) -> tuple[tuple[str, Values], ...]:
        processors = float(os.cpu_count() or 1)
        host: Values = {"load_1m": os.getloadavg()[0], "processors": processors, "busy_s": _busy_s()}
        if not isinstance(environment, SharedCpu):
            return (("host", host),)
        try:
            containers: Values = environment.cpu()
        except ChaoskitError as error:
            containers = {"error": str(error)}
        return (("host", host), ("containers", containers))


def _busy_s() -> float:
    """Time that the processors spent on anything since the machine started, what its host took away from it included."""
    words = Path("/proc/stat").read_text().partition("\n")[0].split()
    user, nice, system, _idle, _waiting, *other = map(int, words[1:9])  # what follows them is counted in user and nice already
    return (user + nice + system + sum(other)) / os.sysconf("SC_CLK_TCK")
