"""Everything between two services takes longer. Nothing is lost: what is delayed still arrives, even after its sender died."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from chaoskit.faults.reach import restore_of
from chaoskit.model import units
from chaoskit.model.errors import Unsupported
from chaoskit.model.protocols import Aim, Sign, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Delay what two services say to each other by `add`, give or take `jitter`.

    `direction` is seen from the one that calls; `both` delays each way. Opening a connection is not delayed.
    The proxy adds the delay to each connection by itself and keeps the order of bytes.
    """

    kind: ClassVar[str] = "latency"
    needs = frozenset({"slow"})

    between: units.Pair
    add_s: units.Seconds
    jitter_s: units.Seconds = 0.0
    direction: Literal["both", "requests", "answers"] = "answers"

    def aim(self, stage: Stage) -> Aim:
        found = stage.environment.links(*self.between)
        if not found:
            one, other = self.between
            raise Unsupported(f"latency between {one!r} and {other!r}: there is no link between them that can be slowed")
        return Aim(targets=tuple(link.name for link in found), undo=tuple(map(restore_of, found)))

    def inject(self, stage: Stage, aim: Aim) -> None:
        one, other = aim.targets[0].split(" -> ")
        for link in stage.environment.links(one, other):
            link.slow(latency_s=self.add_s, jitter_s=self.jitter_s, direction=self.direction)

    def observe(self, stage: Stage, aim: Aim) -> Sign:
        """A hello through each link takes at least the delay; half of it must be gone after healing."""
        one, other = aim.targets[0].split(" -> ")
        least_s = max(self.add_s - self.jitter_s, self.add_s / 2)
        seen, present = [], True
        for link in stage.environment.links(one, other):
            if not stage.environment.service(link.name.split(" -> ")[1]).is_running():
                continue
            answer_s = link.answer_s(timeout_s=2 * (self.add_s + self.jitter_s) + 1.0)
            present = present and answer_s is not None and answer_s >= least_s
            seen.append(f"{link.name} answered " + ("not at all" if answer_s is None else f"after {answer_s * 1000:.0f} ms"))
        return Sign(present=present and bool(seen), evidence="; ".join(seen) or "no service of these links is up")
