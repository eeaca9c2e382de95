from dataclasses import replace

from chaoskit.model.topology import GroupSpec, RoleState
from chaoskit.probes.role import Role
from chaoskit.testing import FakeEnvironment, fake_topology


def read_role(member, address, *, timeout_s):
    assert address == ("127.0.0.1", 9)
    if member == "front":
        return RoleState(member=member, role="primary", accepts_writes=True, streaming=True)
    return RoleState(member=member, role="down", accepts_writes=None)


def test_every_member_is_asked_and_a_dead_one_is_a_value_not_an_error():
    group = GroupSpec(name="pair", members=("front", "back"), port="http", read_role=read_role)
    environment = FakeEnvironment(replace(fake_topology(), groups=(group,)))
    assert Role().look(environment) == (
        ("front", {"group": "pair", "role": "primary", "accepts_writes": True, "streaming": True, "detail": ""}),
        ("back", {"group": "pair", "role": "down", "accepts_writes": None, "streaming": False, "detail": ""}),
    )


def test_a_system_without_groups_has_no_samples():
    assert Role().look(FakeEnvironment()) == ()
