"""A service is taken off the network: a pulled cable, not a partition, since its address and its names vanish for everybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.faults.reach import container
from chaoskit.model import units
from chaoskit.model.protocols import Aim, Sign, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Detach:
    """Take a container off `network`, or off all of its networks: it reaches nobody and nobody reaches it.

    Its name can no longer be looked up, and connections that are open hang. Healing attaches it with the same names and the same
    address, so that open connections go on; where somebody has taken the address meanwhile, healing fails and says so.
    For two services that cannot hear each other, use `partition`.
    """

    kind: ClassVar[str] = "detach"
    needs = frozenset({"detach"})

    service: units.Service
    network: str = ""

    def aim(self, stage: Stage) -> Aim:
        target = stage.environment.resolve(self.service)
        return Aim(targets=(target,), undo=container(stage, target).undo_of_detach(self.network))

    def inject(self, stage: Stage, aim: Aim) -> None:
        container(stage, aim.targets[0]).detach(self.network)

    def observe(self, stage: Stage, aim: Aim) -> Sign:
        (target,) = aim.targets
        taken = {undo.details["name"] for undo in aim.undo}
        attached = container(stage, target).networks()
        back = sorted(taken.intersection(attached))
        if back:
            return Sign(present=False, evidence=f"{target} is attached to {', '.join(back)}")
        return Sign(present=True, evidence=f"{target} is attached to {', '.join(attached) or 'no network'}")
