"""Which member of a group is the primary, and whether it really takes writes. Asked of every member, not of a manager."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar

from chaoskit.model import units
from chaoskit.model.protocols import Environment
from chaoskit.model.topology import GroupSpec, RoleState


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """Sample the role of every member of every group: `role`, `accepts_writes` (tried and rolled back), `streaming`."""

    name: ClassVar[str] = "role"

    every_s: units.Seconds = 0.5
    timeout_s: units.Seconds = 0.8

    def look(self, environment: Environment) -> tuple[tuple[str, Mapping[str, str | float | bool | None]], ...]:
        asked = [(group, member) for group in environment.topology.groups for member in group.members]
        if not asked:
            return ()
        # One thread a member: a frozen member must not make the look at the living one late.
        with ThreadPoolExecutor(max_workers=len(asked), thread_name_prefix="chaoskit-role") as pool:
            states = pool.map(lambda pair: self._ask(environment, *pair), asked)
            return tuple((state.member, _values(group, state)) for (group, _), state in zip(asked, states, strict=True))

    def _ask(self, environment: Environment, group: GroupSpec, member: str) -> RoleState:
        return group.read_role(member, environment.address(member, group.port), timeout_s=self.timeout_s)


def _values(group: GroupSpec, state: RoleState) -> Mapping[str, str | float | bool | None]:
    return {
        "group": group.name,
        "role": state.role,
        "accepts_writes": state.accepts_writes,
        "streaming": state.streaming,
        "detail": state.detail,
    }
