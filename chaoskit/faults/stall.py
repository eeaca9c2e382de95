"""Nothing moves between two services for a while, and then everything does: the cut through a proxy that loses nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from chaoskit.faults.reach import aim_at_links, leads_to_running, links
from chaoskit.model import units
from chaoskit.model.protocols import Aim, Sign, Stage

LOOK_S = 0.4  # a healthy link on one machine answers in a few milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """Hold back what two services say to each other. Healing lets it all arrive, on the connections that were open.

    New connections are accepted and hear nothing. `direction` is seen from the one that calls. A sender that gave up meanwhile does
    not stop what is held: late requests arrive and are carried out, which is what this fault is for.
    """

    kind: ClassVar[str] = "stall"
    needs = frozenset({"stall"})

    between: units.Pair
    direction: Literal["both", "requests", "answers"] = "both"

    def aim(self, stage: Stage) -> Aim:
        return aim_at_links(stage, self.between, self.kind)

    def inject(self, stage: Stage, aim: Aim) -> None:
        for link in links(stage, aim):
            link.stall(direction=self.direction)

    def observe(self, stage: Stage, aim: Aim) -> Sign:
        words = {link.name: link.look(timeout_s=LOOK_S) for link in links(stage, aim) if leads_to_running(stage, link)}
        if not words:
            return Sign(present=False, evidence="cannot be seen: what the links lead to is down; its limits were read back")
        present = set(words.values()) == {"silent"}
        return Sign(present=present, evidence="; ".join(f"a hello through {name}: {word}" for name, word in words.items()))
