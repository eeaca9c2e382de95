"""Who in a group has which role now: all members are asked at once, so that a dead one costs no more than the limit."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from chaoskit.model.errors import Unsupported
from chaoskit.model.topology import GroupSpec, RoleState, Topology

ASK_S = 1.0  # a healthy member answers in 20 ms; a fault that waits longer than this for its target is late anyway


def read_roles(
    group: GroupSpec, address: Callable[[str, str], tuple[str, int]], *, timeout_s: float = ASK_S
) -> tuple[RoleState, ...]:
    """The state of every member, in the order of the group. Blocks up to *timeout_s*."""

    def ask(member: str) -> RoleState:
        return group.read_role(member, address(member, group.port), timeout_s=timeout_s)

    with ThreadPoolExecutor(len(group.members), thread_name_prefix="chaoskit-role") as crew:
        return tuple(crew.map(ask, group.members))


def resolve(topology: Topology, name: str, address: Callable[[str, str], tuple[str, int]]) -> str:
    """The service that *name* means now. Of two primaries it is the one that takes writes. Raises `Unsupported`."""
    if name in topology.service_names:
        return name
    group_name, _, role = name.partition(".")
    group = topology.group_of(group_name)
    if group is None or role not in group.roles:
        valid = (*topology.service_names, *topology.role_names)
        near = difflib.get_close_matches(name, valid, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise Unsupported(f"{name!r} is not a service or role of {topology.name!r} ({', '.join(valid)}).{hint}")
    states = read_roles(group, address)
    holders = sorted((state for state in states if state.role == role), key=lambda state: not state.accepts_writes)
    if not holders:
        seen = ", ".join(f"{state.member} is {state.role}" for state in states)
        raise Unsupported(f"nobody is {name} now: {seen}. Inject when the group is complete, or name a service.")
    return holders[0].member


def is_complete(states: tuple[RoleState, ...]) -> bool:
    """Whether the group can lose its primary: one that takes writes, its standby confirming them, and nobody down."""
    primaries = [state for state in states if state.role == "primary"]
    nobody_down = all(state.role != "down" for state in states)
    return len(primaries) == 1 and primaries[0].accepts_writes is True and primaries[0].streaming and nobody_down


def describe(states: tuple[RoleState, ...]) -> str:
    return "; ".join(
        f"{one.member}: {one.role}, accepts writes: {one.accepts_writes}, streaming: {one.streaming}"
        + (f" ({one.detail})" if one.detail else "")
        for one in states
    )
