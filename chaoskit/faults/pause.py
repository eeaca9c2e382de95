"""A service freezes: its connections stay open and nobody answers. What a health check on the port does not see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.model import units
from chaoskit.model.protocols import Aim, Sign, Stage, Undo


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Freeze every process of a service (SIGSTOP): the kernel still completes connections, nothing is answered.

    Healing lets it go on where it was, not knowing how long it slept. It is not a partition: what was sent meanwhile is delivered.
    """

    kind: ClassVar[str] = "pause"
    needs = frozenset({"pause"})

    service: units.Service

    def aim(self, stage: Stage) -> Aim:
        target = stage.environment.resolve(self.service)
        handle = stage.environment.service(target).handle
        return Aim(targets=(target,), undo=(Undo(verb="resume", target=target, details=handle),))

    def inject(self, stage: Stage, aim: Aim) -> None:
        stage.environment.service(aim.targets[0]).pause()

    def observe(self, stage: Stage, aim: Aim) -> Sign:
        (target,) = aim.targets
        if stage.environment.service(target).is_running():
            return Sign(present=False, evidence=f"{target} has processes that are not frozen")
        return Sign(present=True, evidence=f"every process of {target} is frozen")
