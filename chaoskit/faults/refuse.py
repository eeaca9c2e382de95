"""Nobody seems to listen: connections are refused at once, which is what a client sees of a process that is not there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from chaoskit.faults.reach import aim_at_links, aim_at_packets, links, packets
from chaoskit.model import units
from chaoskit.model.containers import PacketRule
from chaoskit.model.protocols import Aim, Sign, Stage

LOOK_S = 0.4  # a refusal takes a millisecond
RULE = PacketRule(act="refuse", direction="requests")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Refuse connections between two services, whichever of them calls; those that are open end. The services themselves are well.

    By `proxy` open connections see an orderly end; by `packets` the kernel resets each at its next packet.
    """

    kind: ClassVar[str] = "refuse"

    between: units.Pair
    by: Literal["proxy", "packets"] = "proxy"

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"refuse" if self.by == "proxy" else "packets"})

    def aim(self, stage: Stage) -> Aim:
        if self.by == "proxy":
            return aim_at_links(stage, self.between, self.kind)
        return aim_at_packets(stage, self.between, self.kind, lambda link: link.undo_of(RULE))

    def inject(self, stage: Stage, aim: Aim) -> None:
        if self.by == "proxy":
            for link in links(stage, aim):
                link.refuse()
            return
        for packet_link, undo in packets(stage, aim):
            packet_link.filter(RULE, undo)

    def observe(self, stage: Stage, aim: Aim) -> Sign:
        """A hello through each link is refused. Where none can be sent from the caller's place, packets that were refused count."""
        if self.by == "proxy":
            words = {link.name: link.look(timeout_s=LOOK_S) for link in links(stage, aim)}
        else:
            words = {}
            for packet_link, undo in packets(stage, aim):
                word = packet_link.look(port="", timeout_s=LOOK_S)
                count = packet_link.count(undo)
                is_hit = count is not None and count.hit > 0
                # Without a rule, a refusal is the service's own: it is down.
                words[packet_link.name] = (word or "refused") if is_hit else "not refused by a rule"
        present = set(words.values()) == {"refused"}
        return Sign(present=present, evidence="; ".join(f"a hello through {name} was {word}" for name, word in words.items()))
