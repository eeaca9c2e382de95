"""Whether the standby took over: it answered, and the old primary kept out of the way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from chaoskit.checkers import asked
from chaoskit.checkers.wording import MOST_EVIDENCE, proves_nothing
from chaoskit.model import units
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import FaultRecord, History, Operation, Outcome, Sample
from chaoskit.model.verdict import Finding, Result

_TAKES_AWAY = frozenset({"kill", "pause", "crash", "detach"})
"""Kinds of fault after which a primary is surely gone."""

_SamplesByMember = Mapping[str, Sequence[Sample]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Takeover:
    """Another member of the group answered writes soon after the primary was hit, and the old primary took none.

    Proves: for every fault that killed, paused or detached the group's primary (where none did, for the first partition that
    touched it), an operation that moves money was answered by another member within `within` of the injection, and no look at the
    old primary afterwards found it taking writes while another member was primary.
    Sound because the answer itself says which member did the work (`served_by`), roles come from looks at every member, and an old
    primary is accused only between two looks that both found the other one primary.
    Cannot see: writes that the old primary took between two looks, or in a place where no probe could reach it (`ack-durable` and
    `version-chain` see what they did to the money), nor a takeover that the load was too short for.
    Inconclusive when no fault hit the primary, roles were not sampled, answers do not say who served them, or the load ended early.

    A member belongs to the group when its role samples name it as `group`; without that, when its name begins with the group's
    name.
    """

    name: ClassVar[str] = "takeover"

    of: units.Group
    within_s: units.Seconds

    def __post_init__(self) -> None:
        asked.time("within", self.within_s)

    def check(self, history: History) -> tuple[Finding, ...]:
        try:
            samples = self._samples(history)
            hits = _hits(history, samples)
            if not hits:
                raise NotExercised(f"no fault hit the primary of {self.of}")
            if not any(o.legs and o.answer and o.answer.served_by for o in history.operations):
                raise NotExercised("no answer to a write says which member served it")
            return tuple(self._judge(history, samples, fault, primary) for fault, primary in hits)
        except NotExercised as reason:
            return (proves_nothing(self.name, f"takeover of {self.of}: {reason}"),)

    def _samples(self, history: History) -> _SamplesByMember:
        found: dict[str, list[Sample]] = defaultdict(list)
        for sample in history.samples:
            if sample.probe != "role":
                continue
            group = sample.values.get("group")
            if group == self.of or (group is None and sample.subject.startswith(f"{self.of}-")):
                found[sample.subject].append(sample)
        if not found:
            raise NotExercised("no role samples were taken of its members")
        return {member: sorted(samples, key=lambda s: s.at_ns) for member, samples in found.items()}

    def _judge(self, history: History, samples: _SamplesByMember, fault: FaultRecord, old: str) -> Finding:
        hit_ns = fault.injecting_ns or 0
        taken = _first_write_elsewhere(history, samples, hit_ns, old)
        if taken is None or taken[0] - hit_ns > self.within_s * 1e9:
            return self._not_taken(history, hit_ns, old, taken)
        at_ns, answered = taken
        takeover_s = (at_ns - hit_ns) / 1e9
        new = answered.answer.served_by if answered.answer else ""
        twice = [look for look in samples[old] if look.at_ns >= at_ns and _takes_writes_beside_another(look, samples)]
        looks = [look for look in samples[old] if look.at_ns >= at_ns]
        if twice:
            outcome, rest = Result.FAILED, f"but the old primary still accepted writes in {len(twice)} looks"
        elif not looks:
            outcome, rest = Result.INCONCLUSIVE, "but nobody looked afterwards whether the old primary accepts writes"
        elif not all(map(_is_understood, looks)):
            outcome, rest = Result.INCONCLUSIVE, "but looks at the old primary do not say whether it accepts writes"
        else:
            outcome, rest = Result.PASSED, "the old primary accepted no writes"
        return Finding(
            checker=self.name,
            outcome=outcome,
            summary=f"{new} took over from {old} and answered the first {answered.journey} after {takeover_s:.1f} s; {rest}",
            evidence=tuple(
                f"at {history.seconds(look.at_ns):.1f} s {old} accepted a write although another member was primary"
                for look in twice[:MOST_EVIDENCE]
            ),
            measures={"takeover_s": takeover_s},
        )

    def _not_taken(self, history: History, hit_ns: int, old: str, taken: tuple[int, Operation] | None) -> Finding:
        late_s = None if taken is None else (taken[0] - hit_ns) / 1e9
        seen_s = ((history.load_ended_ns or hit_ns) - hit_ns) / 1e9
        if late_s is not None:
            outcome, rest = Result.FAILED, f"the first write was answered by another member only after {late_s:.1f} s"
        elif seen_s < self.within_s:
            outcome, rest = Result.INCONCLUSIVE, f"no write was answered by another member, but the load ended after {seen_s:.1f} s"
        else:
            outcome, rest = Result.FAILED, f"no write was answered by another member in {seen_s:.1f} s of load"
        return Finding(
            checker=self.name,
            outcome=outcome,
            summary=f"{old} was hit at {history.seconds(hit_ns):.1f} s and {rest} (asked: within {self.within_s:g} s)",
            measures={"takeover_s": late_s},
        )


def _hits(history: History, samples: _SamplesByMember) -> list[tuple[FaultRecord, str]]:
    """The faults to judge, each with the primary that it hit."""
    hits = []
    for fault in history.faults:
        if fault.injecting_ns is None:
            continue
        primary = _primary_at(fault.injecting_ns, samples)
        if any(primary in target.split(" -> ") for target in fault.targets):
            hits.append((fault, primary))
    surely = [hit for hit in hits if hit[0].kind in _TAKES_AWAY]
    # A partition takes a primary away only if it also cuts it from its coordinator; the first one is judged when nothing else hit
    # it.
    return surely or [hit for hit in hits if hit[0].kind == "partition"][:1]


def _primary_at(at_ns: int, samples: _SamplesByMember) -> str:
    """The member that was last seen as primary before that time; "" when none was."""
    seen = [look for looks in samples.values() for look in looks if look.at_ns <= at_ns and look.values.get("role") == "primary"]
    return max(seen, key=lambda look: look.at_ns).subject if seen else ""


def _first_write_elsewhere(history: History, samples: _SamplesByMember, from_ns: int, old: str) -> tuple[int, Operation] | None:
    """When the first write was answered by a member other than *old*, and which it was."""
    answers = (
        (operation.end_ns, operation)
        for operation in history.operations
        if operation.legs
        and operation.outcome is Outcome.OK
        and operation.answer
        and operation.end_ns is not None
        and operation.end_ns >= from_ns
        and operation.answer.served_by in samples
        and operation.answer.served_by != old
    )
    return min(answers, key=lambda pair: pair[0], default=None)


def _takes_writes_beside_another(look: Sample, samples: _SamplesByMember) -> bool:
    """Whether a member accepted a write between two neighbouring looks that both found another member primary."""
    if look.values.get("accepts_writes") is not True:
        return False
    for member, looks in samples.items():
        before = [other for other in looks if other.at_ns <= look.at_ns]
        after = [other for other in looks if other.at_ns >= look.at_ns]
        if member != look.subject and before and after and all(_is_primary(other) for other in (before[-1], after[0])):
            return True
    return False


def _is_understood(look: Sample) -> bool:
    """Whether a look says if the member takes writes: yes, no, or None for one that could not be reached."""
    return any(look.values.get("accepts_writes", "nothing") is known for known in (True, False, None))


def _is_primary(look: Sample) -> bool:
    return look.values.get("role") == "primary" and look.values.get("accepts_writes") is True
