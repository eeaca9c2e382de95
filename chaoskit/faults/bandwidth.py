"""A service's line is too narrow: all that it sends shares it, over all of its connections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.faults.reach import interface
from chaoskit.model import units
from chaoskit.model.protocols import Aim, Sign, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth:
    """Let at most `bytes_per_s` leave a container, by a token bucket on each of its interfaces. What it receives is not limited.

    What does not fit waits up to 0.4 s and is then dropped, as in a router. A proxy's limit would hold for each connection by
    itself, so that a pool of sixteen gets sixteen times as much.
    """

    kind: ClassVar[str] = "bandwidth"
    needs = frozenset({"bandwidth"})

    service: units.Service
    bytes_per_s: units.Size

    def aim(self, stage: Stage) -> Aim:
        target = stage.environment.resolve(self.service)
        return Aim(targets=(target,), undo=interface(stage, target).undo_of_bandwidth())

    def inject(self, stage: Stage, aim: Aim) -> None:
        interface(stage, aim.targets[0]).limit_bandwidth(aim.undo, bytes_per_s=self.bytes_per_s)

    def observe(self, stage: Stage, aim: Aim) -> Sign:
        (target,) = aim.targets
        count = interface(stage, target).bandwidth(aim.undo)
        if count is None:
            return Sign(present=False, evidence=f"no limit is on the interfaces of {target}")
        return Sign(present=count.hit > 0, evidence=f"{count.seen} packets left {target}, and {count.hit} times one had to wait")
