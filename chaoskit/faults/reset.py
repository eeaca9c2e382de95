"""Connections break in the middle of a request, as when a firewall has forgotten them or a server has crashed and come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.faults.reach import aim_at_links, leads_to_running, links
from chaoskit.model import units
from chaoskit.model.protocols import Aim, Sign, Stage

LOOK_S = 0.4  # a reset takes a millisecond


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """Reset each new connection between two services at its first byte, before the service has seen it; open ones end at once.

    The proxy can reset only what was opened after the fault began: connections from before see an orderly end, not a reset.
    """

    kind: ClassVar[str] = "reset"
    needs = frozenset({"reset"})

    between: units.Pair

    def aim(self, stage: Stage) -> Aim:
        return aim_at_links(stage, self.between, self.kind)

    def inject(self, stage: Stage, aim: Aim) -> None:
        for link in links(stage, aim):
            link.reset()

    def observe(self, stage: Stage, aim: Aim) -> Sign:
        words = {link.name: link.look(timeout_s=LOOK_S) for link in links(stage, aim) if leads_to_running(stage, link)}
        if not words:
            return Sign(present=False, evidence="cannot be seen: what the links lead to is down")
        present = set(words.values()) == {"reset"}
        return Sign(present=present, evidence="; ".join(f"a hello through {name}: {word}" for name, word in words.items()))
