"""A service dies at once. For a database node that is the whole node: the server and its manager."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.model import units
from chaoskit.model.protocols import Aim, Sign, Stage, Undo


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """End every process of a service at once, without a chance to clean up (SIGKILL).

    Healing starts the service again with its address and its data. It is not a power cut: what the kernel had taken is kept.
    """

    kind: ClassVar[str] = "kill"
    needs = frozenset({"kill"})

    service: units.Service

    def aim(self, stage: Stage) -> Aim:
        target = stage.environment.resolve(self.service)
        handle = stage.environment.service(target).handle
        return Aim(targets=(target,), undo=(Undo(verb="start", target=target, details=handle),))

    def inject(self, stage: Stage, aim: Aim) -> None:
        stage.environment.service(aim.targets[0]).kill()

    def observe(self, stage: Stage, aim: Aim) -> Sign:
        (target,) = aim.targets
        if stage.environment.service(target).is_running():
            return Sign(present=False, evidence=f"{target} has running processes")
        return Sign(present=True, evidence=f"no process of {target} is left")
