"""Whom a role means, and when a group can lose its primary."""

import pytest

from chaoskit.environments.roles import is_complete, resolve
from chaoskit.model.topology import GroupSpec, RoleState, Topology


def state(member, role, *, writes=None, streaming=False):
    return RoleState(member=member, role=role, accepts_writes=writes, streaming=streaming)


def group_of(*states):
    by_name = {one.member: one for one in states}
    group = GroupSpec(
        name="pair", members=tuple(by_name), port="main", read_role=lambda member, _address, *, timeout_s: by_name[member]
    )
    return Topology(name="t", services=(), links=(), groups=(group,), entry=("a", "main"), journeys="", journey_names=())


def test_of_two_primaries_the_one_that_takes_writes_is_meant():
    topology = group_of(state("a", "primary", writes=False), state("b", "primary", writes=True))
    assert resolve(topology, "pair.primary", lambda service, _port: (service, 1)) == "b"


PRIMARY = state("a", "primary", writes=True, streaming=True)
STANDBY = state("b", "standby", writes=False)


@pytest.mark.parametrize(
    "states, complete",
    [
        ((PRIMARY, STANDBY), True),
        ((STANDBY, STANDBY), False),
        ((PRIMARY, PRIMARY), False),
        ((state("a", "primary", writes=None, streaming=True), STANDBY), False),
        ((state("a", "primary", writes=False, streaming=True), STANDBY), False),
        ((state("a", "primary", writes=True), STANDBY), False),
        ((PRIMARY, state("b", "down")), False),
    ],
)
def test_a_group_is_complete_when_it_can_lose_its_primary(states, complete):
    assert is_complete(states) is complete
