"""A service gets too little memory: it swaps files in and out, and when that does not help the kernel kills it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.faults.reach import container
from chaoskit.model import units
from chaoskit.model.protocols import Aim, Sign, Stage, Undo


@dataclass(frozen=True, slots=True, kw_only=True)
class SqueezeMemory:
    """Allow a container only `size` of memory and no swap. It must use less than that at the moment, and want more soon.

    A limit that it never meets is no fault and not seen. Files on a tmpfs count. Healing restores the limit as a number and starts
    the service, should it have been killed for want of memory.
    """

    kind: ClassVar[str] = "squeeze-memory"
    needs = frozenset({"squeeze-memory"})

    service: units.Service
    size: units.Size

    def aim(self, stage: Stage) -> Aim:
        target = stage.environment.resolve(self.service)
        # Undone from the last to the first: it must not be started into the limit that killed it.
        return Aim(targets=(target,), undo=(Undo(verb="start", target=target), container(stage, target).undo_of_squeeze("memory")))

    def inject(self, stage: Stage, aim: Aim) -> None:
        container(stage, aim.targets[0]).squeeze_memory(size_bytes=self.size)

    def observe(self, stage: Stage, aim: Aim) -> Sign:
        """The limit is in force and the service has met it since the fault was aimed, or was killed for it."""
        pressure = container(stage, aim.targets[0]).memory_pressure(size_bytes=self.size)
        return Sign(present=pressure.is_set and pressure.felt > int(aim.undo[-1].details["felt"]), evidence=pressure.text)
