"""Some packets between two services are lost: TCP sends them again, so everything arrives, late and in bursts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from chaoskit.faults.reach import aim_at_packets, packets
from chaoskit.model import units
from chaoskit.model.containers import PacketRule
from chaoskit.model.protocols import Aim, Sign, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketLoss:
    """Lose a `share` of the packets between two services, each drawn by the kernel by itself, on one `port` or on all of them.

    Which packets are lost is the one thing that a seed does not repeat. No connection ends; at 30 % about half of the new ones take
    longer than a second. Judged by the kernel's counters: what a client feels is a matter of luck.
    """

    kind: ClassVar[str] = "packet-loss"
    needs = frozenset({"packets", "packet-loss"})

    between: units.Pair
    share: units.Share
    direction: Literal["both", "requests", "answers"] = "both"
    port: str = ""

    def aim(self, stage: Stage) -> Aim:
        return aim_at_packets(stage, self.between, self.kind, lambda link: link.undo_of(self._rule()))

    def inject(self, stage: Stage, aim: Aim) -> None:
        for link, undo in packets(stage, aim):
            link.filter(self._rule(), undo)

    def observe(self, stage: Stage, aim: Aim) -> Sign:
        counts = [link.count(undo) for link, undo in packets(stage, aim)]
        there = [count for count in counts if count is not None]
        hit, seen = sum(count.hit for count in there), sum(count.seen for count in there)
        if len(there) < len(counts):
            return Sign(present=False, evidence=f"the rule is there for {len(there)} of {len(counts)} links")
        return Sign(present=hit > 0, evidence=f"{hit} of {seen} packets were lost between {' and '.join(self.between)}")

    def _rule(self) -> PacketRule:
        return PacketRule(act="drop", direction=self.direction, share=self.share, port=self.port)
