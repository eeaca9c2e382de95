"""More customers than the system was built for. The one fault that acts on the load instead of the system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.model import units
from chaoskit.model.protocols import Aim, Sign, Stage, Undo

OVER_S = 1.0
"""Arrivals are counted over one second: at 40 per second chance moves the count by a sixth, far from a doubling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saturate:
    """Let `times` as many customers arrive as the profile asks for; capacity stays what it is.

    Arrivals do not wait for answers, so a queue that grows is seen as customers would see it.
    Healing lets the normal number arrive.
    """

    kind: ClassVar[str] = "saturate"
    needs = frozenset({"surge"})

    times: units.Factor

    def aim(self, stage: Stage) -> Aim:  # noqa: ARG002 - the shape is the protocol's
        return Aim(targets=("load",), undo=(Undo(verb="surge", target="load", details={"times": "1"}),))

    def inject(self, stage: Stage, aim: Aim) -> None:  # noqa: ARG002
        stage.load.surge(self.times)

    def observe(self, stage: Stage, aim: Aim) -> Sign:  # noqa: ARG002
        """Present when what really arrived is past half of the way from the normal rate to the wanted one."""
        sent, normal = stage.load.sent_per_s(over_s=OVER_S), stage.load.planned_per_s()
        half_way = normal * (1 + (self.times - 1) / 2)
        present = sent >= half_way if self.times >= 1 else sent <= half_way
        return Sign(present=present, evidence=f"{sent:.0f} customers a second arrive, {normal:.0f} are normal")
