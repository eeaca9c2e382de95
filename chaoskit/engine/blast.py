"""Caps on what a run may hurt: on the whole schedule before anything is started, and again when a fault knows what it hits.

A fault on a link hurts the service that is called, and one between two services that call each other hurts both. A fault on the
load hurts no service. Before roles are resolved the worst is taken: two faults on a role may hit two members of its group.
"""

from __future__ import annotations

import typing
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from chaoskit.engine.schedule import Act, Schedule
from chaoskit.model.errors import CannotInject
from chaoskit.model.experiment import Injection
from chaoskit.model.policy import Limits
from chaoskit.model.protocols import Fault
from chaoskit.model.topology import GroupSpec, Topology
from chaoskit.model.units import Kind, Naming

LOAD = "load"
"""The target of faults that act on the load."""
_HAIR = 1e-9
"""A third, written as 33.3333333%, still allows one of three."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A cap that a schedule does not keep. `key` is its name in a document."""

    key: str
    text: str


class Blast:
    """Holds the caps at the moment of injection. Every one of *limits* holds."""

    def __init__(self, limits: Iterable[Limits], topology: Topology) -> None:
        self._limits = tuple(limits)
        self._topology = topology

    def check(self, targets: Iterable[str], already_hurt: Iterable[str]) -> None:
        """Whether *targets* may be hurt while *already_hurt* is: both as in `Aim.targets`. Raises `CannotInject`, naming each cap.

        A fault that is being healed has still hurt its target until its effect was seen to be gone.
        """
        before, more = _called(already_hurt), _called(targets)
        hurt = _Hurt(services=before | more)
        besides = f" besides {', '.join(sorted(before))}" if before else ""
        broken = [
            f"{text} would be hurt at the same time; limits.{key} of {limits.source} allows {allowed}"
            for limits in self._limits
            for key, text, allowed in _too_much(hurt, limits, self._topology)
        ]
        if broken and more - before:
            raise CannotInject(f"{', '.join(sorted(more - before))}{besides} may not be hurt: {'; '.join(broken)}")


def breaches(schedule: Schedule, topology: Topology, limits: Limits) -> tuple[Breach, ...]:
    """Where *schedule* may hurt more than *limits* allow: the worst moment of each cap, and every fault that lasts too long.

    Pure: it looks at the names that the faults' fields hold. What a fault hits without naming it is seen at its injection.
    """
    found = [
        Breach(key="for", text=f"{name} lasts {lasting_s:g} s; it allows {limits.for_s:g} s for any fault")
        for name, lasting_s in _lasting(schedule)
        if limits.for_s is not None and lasting_s > limits.for_s + _HAIR
    ]
    if limits.services is None and limits.share_of_group is None:
        return tuple(found)
    worst: dict[str, tuple[float, Breach]] = {}
    for at_s, open_ in _moments(schedule):
        hurt = _Hurt()
        for injection in open_.values():
            hurt = hurt.and_also(_hurt_by(injection.fault, topology))
        for key, text, allowed in _too_much(hurt, limits, topology):
            size = float(hurt.number(topology))
            if key not in worst or size > worst[key][0]:
                breach = Breach(
                    key=key, text=f"at {at_s:g} s {' and '.join(open_)} may hurt {text} at the same time; it allows {allowed}"
                )
                worst[key] = (size, breach)
    return (*found, *(breach for _, breach in worst.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hurt:
    """Services by name, and how many members of a group besides whose names are not known yet."""

    services: frozenset[str] = frozenset()
    members: Counter[str] = field(default_factory=Counter)

    def and_also(self, other: _Hurt) -> _Hurt:
        return _Hurt(services=self.services | other.services, members=self.members + other.members)

    def of(self, group: GroupSpec) -> int:
        """How many of a group's members, at most: an unknown one may be each that is not known to be hurt."""
        known = len(self.services.intersection(group.members))
        return min(len(group.members), known + self.members[group.name])

    def number(self, topology: Topology) -> int:
        """How many services, at most."""
        unknown = sum(self.of(group) - len(self.services.intersection(group.members)) for group in topology.groups)
        return len(self.services) + unknown

    def names(self, topology: Topology) -> str:
        unknown = {group.name: self.of(group) - len(self.services.intersection(group.members)) for group in topology.groups}
        return ", ".join([*sorted(self.services), *(f"{count} of {name}" for name, count in unknown.items() if count)])


def _too_much(hurt: _Hurt, limits: Limits, topology: Topology) -> Iterator[tuple[str, str, str]]:
    """Each cap that is not kept: its key, what is hurt, and what is allowed."""
    number = hurt.number(topology)
    if limits.services is not None and number > limits.services:
        yield "services", f"{number} services ({hurt.names(topology)})", str(limits.services)
    for group in topology.groups if limits.share_of_group is not None else ():
        assert limits.share_of_group is not None
        count, size = hurt.of(group), len(group.members)
        if count > limits.share_of_group * size + _HAIR:
            yield "share_of_group", f"{count} of the {size} members of {group.name}", f"{100 * limits.share_of_group:g}%"


def _moments(schedule: Schedule) -> Iterator[tuple[float, dict[str, Injection]]]:
    """What is injected after each injection, by the fault's name."""
    open_: dict[str, Injection] = {}
    for entry in schedule.entries:
        if entry.act is Act.HEAL:
            open_.pop(entry.fault, None)
        else:
            open_[entry.fault] = entry.injection
            yield entry.at_s, dict(open_)


def _lasting(schedule: Schedule) -> Iterator[tuple[str, float]]:
    healed = {entry.fault: entry.at_s for entry in schedule.entries if entry.act is Act.HEAL}
    for entry in schedule.entries:
        if entry.act is Act.INJECT:
            yield entry.fault, healed.get(entry.fault, schedule.ends_s) - entry.at_s


def _hurt_by(fault: Fault, topology: Topology) -> _Hurt:
    """What a fault may hurt, by the fields that hold the names of services."""
    services: set[str] = set()
    members: Counter[str] = Counter()
    for name in _named(fault, topology):
        group = topology.group_of(name.partition(".")[0])
        if group is not None and name not in topology.service_names:
            members[group.name] += 1
        else:
            services.add(name)
    return _Hurt(services=frozenset(services), members=members)


def _named(fault: Fault, topology: Topology) -> Iterator[str]:
    for name, hint in typing.get_type_hints(type(fault), include_extras=True).items():
        value = getattr(fault, name, None)
        if not _holds_services(hint):
            continue
        if isinstance(value, str):
            yield value
        elif isinstance(value, tuple):
            yield from _called_ends(value, topology)


def _called_ends(pair: tuple[str, str], topology: Topology) -> Iterator[str]:
    """Those of two ends that the other one calls."""
    for called, caller in (pair, pair[::-1]):
        services, clients = _may_be(called, topology), _may_be(caller, topology)
        if any(link.service in services and link.client in clients for link in topology.links):
            yield called


def _may_be(name: str, topology: Topology) -> set[str]:
    """The services, or the caller from outside, that a name or role may turn out to be."""
    group = topology.group_of(name.partition(".")[0])
    return {name} if group is None or name in topology.service_names else set(group.members)


def _holds_services(hint: object) -> bool:
    marks = getattr(hint, "__metadata__", ())
    if any(isinstance(mark, Naming) and mark.kind is Kind.SERVICE for mark in marks):
        return True
    return any(_holds_services(one) for one in typing.get_args(hint))


def _called(targets: Iterable[str]) -> frozenset[str]:
    """The services that targets hurt: the called end of a link."""
    return frozenset(target.rpartition(" -> ")[2] for target in targets if target != LOAD)
