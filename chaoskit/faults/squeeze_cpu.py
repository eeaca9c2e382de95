"""A service gets too little CPU, as beside a greedy neighbour or after a wrong limit was rolled out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.faults.reach import container
from chaoskit.model import units
from chaoskit.model.errors import UsageError
from chaoskit.model.protocols import Aim, Sign, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class SqueezeCpu:
    """Allow a container so many `cores` (0.1 is a tenth of one), less than it uses: a limit above its use is no fault and not seen.

    The kernel stops all of its processes for the rest of each tenth of a second once the time is used up. A small service of 100
    requests a second felt nothing at 0.15 of a core and slowed down at 0.08. Healing restores the limit that was there.
    """

    kind: ClassVar[str] = "squeeze-cpu"
    needs = frozenset({"squeeze-cpu"})

    service: units.Service
    cores: units.Factor

    def __post_init__(self) -> None:
        if self.cores < 0.01:
            raise UsageError(f"squeeze-cpu: {self.cores:g} cores were given; expected at least 0.01, the least the kernel allows")

    def aim(self, stage: Stage) -> Aim:
        target = stage.environment.resolve(self.service)
        return Aim(targets=(target,), undo=(container(stage, target).undo_of_squeeze("cpu"),))

    def inject(self, stage: Stage, aim: Aim) -> None:
        container(stage, aim.targets[0]).squeeze_cpu(cores=self.cores)

    def observe(self, stage: Stage, aim: Aim) -> Sign:
        """The limit is in force and the kernel has counted that the service had to wait for it since the fault was aimed."""
        pressure = container(stage, aim.targets[0]).cpu_pressure(cores=self.cores)
        return Sign(present=pressure.is_set and pressure.felt > int(aim.undo[0].details["felt"]), evidence=pressure.text)
