"""Two services can no longer hear each other, or only one of them can. Connections stay open: nothing is refused.

A slow link would still deliver what it holds after its sender has died; this one discards, as a real partition does.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, Literal

from chaoskit.faults.reach import aim_at_packets, links, packets, restore_of
from chaoskit.model import units
from chaoskit.model.containers import PacketRule
from chaoskit.model.errors import Unsupported, UsageError
from chaoskit.model.protocols import Aim, Sign, Stage

ANSWER_WITHIN_S = 0.4
"""A healthy loopback link answers in a few milliseconds, also on a busy machine in well under this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """Swallow what two services say to each other, on every port and whichever of them calls.

    `direction` is seen from the one that calls: `requests` never arrive, `answers` never come back although the work
    was done, or `both`. By `proxy`, new connections are accepted and then hear nothing, and healing closes the connections
    that lived through it: clients reconnect. By `packets`, the kernel drops them at the caller's end: nobody can connect, what was
    open hangs, and after healing it goes on within some seconds, nothing lost. Only packets can be cut on one `port`, or for
    `new-connections` only, so that old sessions work and new ones do not come about.
    """

    kind: ClassVar[str] = "partition"

    between: units.Pair
    direction: Literal["both", "requests", "answers"] = "both"
    by: Literal["proxy", "packets"] = "proxy"
    only: Literal["everything", "new-connections"] = "everything"
    port: str = ""

    def __post_init__(self) -> None:
        if self.by == "proxy" and (self.only != "everything" or self.port):
            given = f"only: {self.only}" if self.only != "everything" else f"port: {self.port}"
            raise UsageError(f"partition: {given!r} was given; only packets can be told apart like that. Add by: packets")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"cut" if self.by == "proxy" else "packets"})

    def aim(self, stage: Stage) -> Aim:
        if self.by == "packets":
            return aim_at_packets(stage, self.between, self.kind, lambda link: link.undo_of(self._rule()))
        found = stage.environment.links(*self.between)
        if not found:
            one, other = self.between
            raise Unsupported(
                f"partition between {one!r} and {other!r}: there is no link between them that can be cut; "
                f"name two services of which one calls the other"
            )
        return Aim(targets=tuple(link.name for link in found), undo=tuple(map(restore_of, found)))

    def inject(self, stage: Stage, aim: Aim) -> None:
        if self.by == "packets":
            for packet_link, undo in packets(stage, aim):
                packet_link.filter(self._rule(), undo)
            return
        for link in links(stage, aim):
            link.cut(direction=self.direction)

    def observe(self, stage: Stage, aim: Aim) -> Sign:
        """A hello is sent through each link. A link to a service that is down proves nothing and is left out, but for its rules.

        (Its rules were read back by the environment when they were set and when they were removed.)
        """
        if self.by == "packets":
            return self._observe_packets(stage, aim)
        up = [link for link in links(stage, aim) if stage.environment.service(link.name.split(" -> ")[1]).is_running()]
        if not up:
            return Sign(present=False, evidence="cannot be seen: what the links lead to is down; their rules were read back")
        # At once, not in turns: the next fault may be due while this one is looked at.
        with ThreadPoolExecutor(max_workers=len(up), thread_name_prefix="chaoskit-hello") as pool:
            answers = list(pool.map(lambda link: link.answer_s(timeout_s=ANSWER_WITHIN_S), up))
        answered = [f"{link.name} answered in {s * 1000:.0f} ms" for link, s in zip(up, answers, strict=True) if s is not None]
        if answered:
            return Sign(present=False, evidence="; ".join(answered))
        return Sign(present=True, evidence=f"no answer through {', '.join(link.name for link in up)}")

    def _observe_packets(self, stage: Stage, aim: Aim) -> Sign:
        """A hello from the caller's place stays without an answer, and the kernel has counted packets that it dropped."""
        seen, present = [], True
        for link, undo in packets(stage, aim):
            word = link.look(port=self.port, timeout_s=ANSWER_WITHIN_S)
            count = link.count(undo)
            if count is None:
                present = False
                seen.append(f"no rule is there for {link.name}")
                continue
            present = present and word in {"silent", ""} and count.hit > 0
            seen.append(f"{count.hit} packets of {link.name} were dropped" + (f", a hello was {word}" if word else ""))
        return Sign(present=present, evidence="; ".join(seen))

    def _rule(self) -> PacketRule:
        return PacketRule(act="drop", direction=self.direction, only_new=self.only == "new-connections", port=self.port)
