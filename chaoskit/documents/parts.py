"""Reads faults and checks: their names by the registry, their parameters by the annotations of their fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from chaoskit.documents.fields import Fields
from chaoskit.documents.parameters import Parameter, parameters
from chaoskit.documents.tree import Items, Node, Pairs, Scalar
from chaoskit.model.errors import ChaoskitError
from chaoskit.model.experiment import Injection
from chaoskit.model.protocols import Checker, Fault
from chaoskit.model.topology import Topology
from chaoskit.model.units import Kind, Unit
from chaoskit.registry import Registry, shown

T = TypeVar("T")

IF_ANY = "if_any"
"""The field of a check by which `money` asks for it only where the load has anything of its kind."""

_DURATION = f"a {Unit.DURATION.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What the rest of the document says. None where that could not be read: then nothing is checked against it."""

    topology: Topology | None = None
    mix: Mapping[str, float] | None = None
    duration_s: float | None = None


class Parts:
    """Reads the faults and checks of a document whose environment and load are *scope*."""

    def __init__(self, registry: Registry, fields: Fields, scope: Scope) -> None:
        self._registry = registry
        self._fields = fields
        self._scope = scope

    def faults(self, node: Node | None) -> tuple[Injection, ...]:
        injections = []
        for item in self._fields.items(node, "a list of faults"):
            if not isinstance(item, Pairs):
                self._fields.wrong(item, "expected a fault such as {fault: kill, service: core, at: 10s}")
                continue
            given = {key.text: value for key, value in item.pairs}
            kind = self._part_name(item, given.get("fault"), "fault")
            part = self._fields.look_up(given["fault"], self._registry.fault, kind) if kind else None
            timing = {"fault": "the name of a fault", "at": _DURATION, "for": _DURATION}
            values = self._parameters(item, part, timing, required=("at",)) if part else None
            if part is None and "at" not in given:
                self._fields.problems.add(item, f"'at' is missing; expected {_DURATION}")
            at_s = self._fields.quantity(given.get("at"), Unit.DURATION)
            for_s = self._fields.quantity(given.get("for"), Unit.DURATION, is_zero_allowed=False)
            if at_s is not None:
                self._within_load(given["at"], given.get("for"), at_s, for_s)
            fault: Fault | None = self._made(item, part, values) if part and values is not None else None
            if fault is not None and at_s is not None:
                injections.append(Injection(fault=fault, at_s=at_s, for_s=for_s))
        return tuple(injections)

    def _within_load(self, at: Node, lasting: Node | None, at_s: float, for_s: float | None) -> None:
        if self._scope.duration_s is None:
            return
        if at_s >= self._scope.duration_s:
            self._fields.wrong(
                at, f"is not within the load, which lasts {self._scope.duration_s:g}s; nothing would be seen of the fault"
            )
        elif lasting is not None and for_s is not None and at_s + for_s > self._scope.duration_s:
            self._fields.wrong(
                lasting, f"lets the fault end at {at_s + for_s:g}s, after the load, which lasts {self._scope.duration_s:g}s"
            )

    def checks(self, node: Node | None, *, is_empty_allowed: bool = True) -> tuple[Checker, ...]:
        found: dict[tuple[type, str], tuple[Node, Checker]] = {}
        items = self._fields.items(node, "a list of checks")
        if isinstance(node, Items) and not items and not is_empty_allowed:
            self._fields.problems.add(node, "the list is empty; expected a list of checks, such as [money]")
        for item in items:
            name_node: Node | None = item
            if isinstance(item, Pairs):
                name_node = next((value for key, value in item.pairs if key.text == "check"), None)
            elif not isinstance(item, Scalar):
                self._fields.wrong(item, "expected a check: a name such as money, or {check: …}")
                continue
            name = self._part_name(item, name_node, "check")
            parts = self._fields.look_up(name_node or item, self._registry.checks, name) if name else None
            for part in parts or ():
                values = self._parameters(item, part, {"check": "the name of a check"})
                if values is not None and name == "money" and any(one.field == IF_ANY for one in parameters(part)):
                    values[IF_ANY] = True
                checker: Checker | None = self._made(item, part, values) if values is not None else None
                if checker is None:
                    break
                # A dataclass's text shows all of its values; another team's need not be hashable.
                first, _ = found.setdefault((part, repr(checker)), (item, checker))
                if first is not item:
                    self._fields.problems.add(
                        item, f"the check {checker.name!r} stands at {first.where} already; leave one of them out"
                    )
        return tuple(checker for _, checker in found.values())

    def _part_name(self, item: Node, node: Node | None, key: str) -> str | None:
        if node is None:
            valid = self._registry.names("faults" if key == "fault" else "checks")
            self._fields.problems.add(item, f"{key!r} is missing; expected one of {', '.join(valid)}")
            return None
        return self._fields.name(node, expected=f"the name of a {key}")

    def _parameters(
        self, item: Node, part: type, own: Mapping[str, str], *, required: tuple[str, ...] = ()
    ) -> dict[str, object] | None:
        """The values of a part's fields; None when one of them is wrong or missing."""
        wanted = self._fields.look_up(item, parameters, part)
        if wanted is None:
            return None
        by_key = {parameter.key: parameter for parameter in wanted}
        before = len(self._fields.problems.found)
        values: dict[str, object] = {}
        given = {key.text: value for key, value in item.pairs} if isinstance(item, Pairs) else {}
        for name, node in given.items():
            if name in by_key:
                values[by_key[name].field] = self._parameter(node, by_key[name])
        expected = {**own, **{parameter.key: parameter.expected for parameter in wanted}}
        self._fields.keys(item, expected, required=[*required, *(parameter.key for parameter in wanted if parameter.is_required)])
        is_whole = len(self._fields.problems.found) == before and None not in values.values()
        return values if is_whole else None

    def _parameter(self, node: Node, parameter: Parameter) -> object:
        if parameter.unit is not None:
            return self._fields.quantity(node, parameter.unit)
        if parameter.is_pair:
            return self._pair(node, parameter)
        if parameter.plain is bool:
            return self._fields.flag(node)
        if parameter.plain is str:
            return self._fields.text(node)
        name = self._fields.name(node, expected=parameter.expected)
        if name is not None and parameter.words:
            self._fields.one_of(node, name, parameter.words, what=f"a {parameter.key}")
        elif name is not None and parameter.naming:
            self._named(node, name, parameter.naming)
        return name

    def _pair(self, node: Node, parameter: Parameter) -> tuple[str, str] | None:
        if not isinstance(node, Items) or len(node.nodes) != 2:
            self._fields.wrong(node, f"expected {parameter.expected}, such as [gateway, core]")
            return None
        names = [self._fields.name(one, expected="the name of a service") for one in node.nodes]
        if parameter.naming is None or names[0] is None or names[1] is None:
            return None
        # The callers of a link need not be services: customers are not.
        are_known = [
            self._is_caller(name) or self._named(one, name, parameter.naming)
            for one, name in zip(node.nodes, names, strict=True)
            if name
        ]
        if all(are_known) and self._scope.topology and parameter.naming is Kind.SERVICE:
            ends = [_members(self._scope.topology, name) for name in names if name]
            if not any(
                {link.client, link.service} == {a, b} for link in self._scope.topology.links for a in ends[0] for b in ends[1]
            ):
                others = sorted(f"{link.client} -> {link.service}" for link in self._scope.topology.links)
                self._fields.problems.add(
                    node, f"there is no link between {names[0]!r} and {names[1]!r}; expected two ends of one of {', '.join(others)}"
                )
        return names[0], names[1]

    def _is_caller(self, name: str) -> bool:
        return self._scope.topology is not None and any(link.client == name for link in self._scope.topology.links)

    def _named(self, node: Node, name: str, kind: Kind) -> bool:
        """Whether the environment has it, and, for a journey, whether the load does it: what nobody does cannot be judged."""
        if self._scope.topology is None:
            return True
        whose = f"of environment {self._scope.topology.name!r}"
        if kind is Kind.SERVICE:
            valid = (*self._scope.topology.service_names, *self._scope.topology.role_names)
            return self._fields.one_of(node, name, valid, what=f"a service or role {whose}")
        if kind is Kind.GROUP:
            return self._fields.one_of(
                node, name, tuple(group.name for group in self._scope.topology.groups), what=f"a group {whose}"
            )
        if not self._fields.one_of(node, name, self._scope.topology.journey_names, what=f"a journey {whose}"):
            return False
        if self._scope.mix is not None and not self._scope.mix.get(name):
            done = ", ".join(journey for journey, weight in self._scope.mix.items() if weight)
            self._fields.problems.add(
                node, f"{shown(name)} has no weight in load.mix, so nobody does it; expected one of {done}, or a weight"
            )
        return True

    def _made(self, item: Node, part: Callable[..., T], values: Mapping[str, object]) -> T | None:
        try:
            return part(**values)
        except (ChaoskitError, TypeError, ValueError) as error:  # a part may refuse what each field alone allows
            self._fields.problems.add(item, str(error))
            return None


def _members(topology: Topology, name: str) -> tuple[str, ...]:
    """The services that a name or role may turn out to be."""
    group = topology.group_of(name.partition(".")[0])
    return group.members if group else (name,)
