"""Two services can no longer hear each other, or only one of them can. Connections stay open: nothing is refused.

A slow link would still deliver what it holds after its sender has died; this one discards, as a real partition does.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, Literal

from chaoskit.model import units
from chaoskit.model.errors import Unsupported
from chaoskit.model.protocols import Aim, Link, Sign, Stage, Undo

ANSWER_WITHIN_S = 0.4
"""A healthy loopback link answers in a few milliseconds, also on a busy machine in well under this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """Swallow what two services say to each other, on every port and whichever of them calls.

    `direction` is seen from the one that calls: `requests` never arrive, `answers` never come back although the work
    was done, or `both`. New connections are accepted and then hear nothing. Healing closes the connections that lived
    through it: clients reconnect.
    """

    kind: ClassVar[str] = "partition"
    needs: ClassVar[frozenset[str]] = frozenset({"cut"})

    between: units.Pair
    direction: Literal["both", "requests", "answers"] = "both"

    def aim(self, stage: Stage) -> Aim:
        names = tuple(link.name for link in stage.environment.links(*self.between))
        if not names:
            one, other = self.between
            raise Unsupported(
                f"partition between {one!r} and {other!r}: there is no link between them that can be cut; "
                f"name two services of which one calls the other"
            )
        return Aim(targets=names, undo=tuple(Undo(verb="restore", target=name) for name in names))

    def inject(self, stage: Stage, aim: Aim) -> None:
        for link in _links_named(stage, aim):
            link.cut(direction=self.direction)

    def observe(self, stage: Stage, aim: Aim) -> Sign:
        """A hello is sent through each link. A link to a service that is down proves nothing and is left out, but for its rules.

        (Its rules were read back by the environment when they were set and when they were removed.)
        """
        links = _links_named(stage, aim)
        up = [link for link in links if stage.environment.service(link.name.split(" -> ")[1]).is_running()]
        if not up:
            return Sign(present=False, evidence="cannot be seen: what the links lead to is down; their rules were read back")
        # At once, not in turns: the next fault may be due while this one is looked at.
        with ThreadPoolExecutor(max_workers=len(up), thread_name_prefix="chaoskit-hello") as pool:
            answers = list(pool.map(lambda link: link.answer_s(timeout_s=ANSWER_WITHIN_S), up))
        answered = [f"{link.name} answered in {s * 1000:.0f} ms" for link, s in zip(up, answers, strict=True) if s is not None]
        if answered:
            return Sign(present=False, evidence="; ".join(answered))
        return Sign(present=True, evidence=f"no answer through {', '.join(link.name for link in up)}")


def _links_named(stage: Stage, aim: Aim) -> tuple[Link, ...]:
    one, other = aim.targets[0].split(" -> ")
    return tuple(link for link in stage.environment.links(one, other) if link.name in aim.targets)
