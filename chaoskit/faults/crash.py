"""A container's first process dies from outside, as when the kernel kills it: whatever is to restart it gets its chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.faults.reach import container
from chaoskit.model import units
from chaoskit.model.protocols import Aim, Sign, Stage, Undo


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """End the first process of a service's container (SIGKILL from the host), so that a restart policy acts.

    `kill` goes through the engine, which then suppresses restart policies. Healing starts the service if nothing else has.
    """

    kind: ClassVar[str] = "crash"
    needs = frozenset({"crash"})

    service: units.Service

    def aim(self, stage: Stage) -> Aim:
        target = stage.environment.resolve(self.service)
        handle = stage.environment.service(target).handle
        return Aim(targets=(target,), undo=(Undo(verb="start", target=target, details=handle),))

    def inject(self, stage: Stage, aim: Aim) -> None:
        container(stage, aim.targets[0]).crash()

    def observe(self, stage: Stage, aim: Aim) -> Sign:
        """A restart policy takes a tenth of a second at least; the first look comes within some milliseconds."""
        (target,) = aim.targets
        if stage.environment.service(target).is_running():
            return Sign(present=False, evidence=f"{target} has running processes")
        return Sign(present=True, evidence=f"no process of {target} is left")
