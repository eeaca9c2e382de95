"""Caps on what may be hurt, before a schedule begins and when a fault knows what it hits."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from chaoskit.engine.blast import Blast, breaches
from chaoskit.engine.schedule import plan
from chaoskit.faults.kill import Kill
from chaoskit.faults.partition import Partition
from chaoskit.faults.saturate import Saturate
from chaoskit.model import units
from chaoskit.model.errors import CannotInject
from chaoskit.model.experiment import EnvironmentChoice, Experiment, Injection, LoadShape
from chaoskit.model.policy import Limits
from chaoskit.model.topology import Command, GroupSpec, LinkSpec, Port, ServiceSpec, Topology


def never(*args, **more):
    raise NotImplementedError


DBS = ("db-1", "db-2", "db-3")
SHOP = Topology(
    name="shop",
    services=tuple(
        ServiceSpec(name=name, ports=(Port("http", b"?"),), command=lambda _: Command(argv=())) for name in ("till", "stock", *DBS)
    ),
    links=(
        LinkSpec(client="people", service="till", ports=("http",)),
        LinkSpec(client="till", service="stock", ports=("http",)),
        *(LinkSpec(client="stock", service=db, ports=("http",)) for db in DBS),
        LinkSpec(client="db-1", service="db-2", ports=("http",)),
        LinkSpec(client="db-2", service="db-1", ports=("http",)),
    ),
    groups=(GroupSpec(name="db", members=DBS, port="http", read_role=never),),
    entry=("till", "http"),
    journeys="nowhere:journeys",
    journey_names=("buy",),
)


def broken(limits, *faults):
    experiment = Experiment(
        title="t",
        environment=EnvironmentChoice(use="shop"),
        load=LoadShape(arrivals_per_s=1, duration_s=60, mix={"buy": 1}),
        faults=tuple(Injection(fault=fault, at_s=at_s, for_s=for_s) for fault, at_s, for_s in faults),
    )
    return [(breach.key, breach.text) for breach in breaches(plan(experiment, seed=1), SHOP, limits)]


ONE = Limits(services=1, source="the test")


def test_two_services_at_the_same_time_are_more_than_one():
    assert broken(ONE, (Kill(service="till"), 1, 10), (Kill(service="stock"), 5, 10)) == [
        (
            "services",
            "at 5 s faults[0] kill and faults[1] kill may hurt 2 services (stock, till) at the same time; it allows 1",
        )
    ]


def test_two_services_one_after_the_other_and_one_service_twice_are_one():
    assert broken(ONE, (Kill(service="till"), 1, 4), (Kill(service="stock"), 5, 10)) == []
    assert broken(ONE, (Kill(service="till"), 1, 10), (Partition(between=("people", "till")), 5, 10)) == []


def test_a_fault_without_an_end_counts_until_the_load_ends():
    assert broken(ONE, (Kill(service="till"), 1, None), (Kill(service="stock"), 50, 1))[0][0] == "services"
    assert broken(Limits(for_s=30), (Kill(service="till"), 20, None)) == [
        ("for", "faults[0] kill lasts 40 s; it allows 30 s for any fault")
    ]
    assert broken(Limits(for_s=40), (Kill(service="till"), 20, None)) == []


def test_every_fault_that_lasts_too_long_is_named():
    long = broken(Limits(for_s=5), (Saturate(times=2), 1, 6), (Kill(service="till"), 1, 5), (Kill(service="till"), 1, 7))
    assert [text.partition(" lasts")[0] for _, text in long] == ["faults[0] saturate", "faults[2] kill"]


def test_a_link_counts_for_the_service_that_is_called():
    assert broken(ONE, (Partition(between=("stock", "till")), 1, 10), (Kill(service="stock"), 2, 10)) == []
    assert broken(ONE, (Partition(between=("stock", "till")), 1, 10), (Kill(service="till"), 2, 10))


def test_a_link_both_ends_of_which_call_counts_for_both():
    assert "2 services (db-1, db-2)" in broken(ONE, (Partition(between=("db-1", "db-2")), 1, 10))[0][1]


def test_two_faults_on_a_role_may_hit_two_members():
    """After the first one another member has the role."""
    (found,) = broken(ONE, (Kill(service="db.primary"), 1, 10), (Kill(service="db.primary"), 5, 10))
    assert "2 services (2 of db)" in found[1]


def test_more_faults_on_a_group_than_it_has_members_hurt_all_of_them_and_no_more():
    kills = [(Kill(service="db.primary"), at_s, 30) for at_s in (1, 2, 3, 4)]
    assert broken(Limits(services=3), *kills) == []
    assert "3 services (3 of db)" in broken(Limits(services=2), *kills)[0][1]


def test_a_member_and_a_role_may_be_two_members():
    assert "2 services (db-1, 1 of db)" in broken(ONE, (Kill(service="db-1"), 1, 9), (Kill(service="db.standby"), 2, 9))[0][1]


def test_a_share_of_a_group():
    third = Limits(share_of_group=1 / 3)
    assert broken(third, (Kill(service="db-1"), 1, 9), (Kill(service="till"), 1, 9)) == []
    assert broken(third, (Kill(service="db-1"), 1, 9), (Kill(service="db-2"), 1, 9)) == [
        (
            "share_of_group",
            "at 1 s faults[0] kill and faults[1] kill may hurt 2 of the 3 members of db at the same time; it allows 33.3333%",
        )
    ]


def test_only_the_worst_moment_is_told_and_every_cap_is():
    kills = [(Kill(service=name), at_s, 30) for at_s, name in enumerate(("till", "db-1", "db-2"), start=1)]
    found = broken(Limits(services=1, share_of_group=0.5, for_s=10), *kills)
    assert [key for key, _ in found] == ["for", "for", "for", "services", "share_of_group"]
    assert "at 3 s" in found[3][1]


def test_a_fault_on_the_load_hurts_no_service_and_nothing_is_refused_without_limits():
    assert broken(Limits(services=0), (Saturate(times=9), 1, 5)) == []
    assert broken(Limits(), (Kill(service="till"), 1, None), (Kill(service="db-1"), 1, None)) == []


@dataclass(frozen=True, kw_only=True)
class Perhaps:
    """A fault of another team's with a service that may be left out."""

    kind: ClassVar[str] = "perhaps"
    needs: ClassVar[frozenset[str]] = frozenset()
    service: units.Service | None = None
    note: str = "till"


def test_optional_services_count_and_other_text_does_not():
    assert broken(Limits(services=0), (Perhaps(), 1, 2)) == []
    assert broken(Limits(services=0), (Perhaps(service="stock"), 1, 2))[0][1].startswith("at 1 s faults[0] perhaps may hurt 1 serv")


def test_at_the_injection_the_services_that_are_really_hit_are_counted():
    blast = Blast((ONE, Limits(services=5, share_of_group=0.5, source="the policy")), SHOP)
    blast.check(("db-1",), ())
    blast.check(("stock -> db-1",), ("db-1",))
    blast.check(("load",), ("db-1",))
    with pytest.raises(CannotInject) as caught:
        blast.check(("stock -> db-2",), ("db-1", "load"))
    assert str(caught.value) == (
        "db-2 besides db-1 may not be hurt: 2 services (db-1, db-2) would be hurt at the same time; limits.services of the test "
        "allows 1; 2 of the 3 members of db would be hurt at the same time; limits.share_of_group of the policy allows 50%"
    )


def test_a_target_that_is_no_service_of_the_topology_counts_as_one():
    with pytest.raises(CannotInject, match="elsewhere"):
        Blast((ONE,), SHOP).check(("elsewhere",), ("till",))


def test_without_limits_everything_may_be_hurt():
    Blast((), SHOP).check(("till", "stock", *DBS), ("till",))
