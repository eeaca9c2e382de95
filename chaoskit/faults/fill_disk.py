"""No room is left on a service's disk: what it must write, it cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.faults.reach import container
from chaoskit.model import units
from chaoskit.model.protocols import Aim, Sign, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class FillDisk:
    """Fill the small volume or tmpfs under `path` inside a container by one file. Larger volumes and the root are never filled.

    With `keep_full` what the service frees is taken again at once: without it, a database lives on its reserves for a while.
    Healing deletes the file.
    """

    kind: ClassVar[str] = "fill-disk"
    needs = frozenset({"fill-disk"})

    service: units.Service
    path: str
    keep_full: bool = True

    def aim(self, stage: Stage) -> Aim:
        target = stage.environment.resolve(self.service)
        return Aim(targets=(target,), undo=(container(stage, target).undo_of_fill(self.path),))

    def inject(self, stage: Stage, aim: Aim) -> None:
        container(stage, aim.targets[0]).fill_disk(aim.undo[0], keep_full=self.keep_full)

    def observe(self, stage: Stage, aim: Aim) -> Sign:
        is_full, evidence = container(stage, aim.targets[0]).is_disk_full(self.path)
        return Sign(present=is_full, evidence=evidence)
