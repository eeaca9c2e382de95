"""What is drawn fits the system, and shrinks to fewer, shorter and later faults."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from chaoskit.documents import read_text
from chaoskit.documents.parameters import parameters
from chaoskit.engine.blast import breaches
from chaoskit.engine.guard import LOAD_CAPABILITIES
from chaoskit.engine.schedule import plan
from chaoskit.faults.kill import Kill
from chaoskit.faults.latency import Latency
from chaoskit.faults.packet_loss import PacketLoss
from chaoskit.faults.partition import Partition
from chaoskit.model.errors import UsageError
from chaoskit.model.experiment import EnvironmentChoice, Experiment, Injection, LoadShape, Step
from chaoskit.model.policy import Limits
from chaoskit.model.topology import GroupSpec, RoleState, Topology
from chaoskit.registry import Part, Registry
from chaoskit.strategies import as_document, faults, loads, schedules
from chaoskit.testing import FakeEnvironment, fake_topology

# No database: the bugs here are made up, and none of them is to be tried first in the next session.
minimal = settings(max_examples=2000, database=None, derandomize=True)
quickly = settings(max_examples=80, deadline=None)
MOST_S = 60.0
LOAD_S = 15.1
"""Of its ends, many are above it by a hair when they are added up."""


def never_asked(member: str, address: tuple[str, int], *, timeout_s: float) -> RoleState:
    raise AssertionError("strategies ask nobody")


def shop() -> Topology:
    """Three services, two of which back each other up."""
    plain = fake_topology(services=("till", "store-1", "store-2"))
    group = GroupSpec(name="store", members=("store-1", "store-2"), port="http", read_role=never_asked)
    return dataclasses.replace(plain, groups=(group,), journey_names=("buy", "look"))


def experiment(schedule: tuple[Injection, ...], load: LoadShape, limits: Limits | None = None) -> Experiment:
    return Experiment(title="t", environment=EnvironmentChoice(use="shop"), load=load, faults=schedule, limits=limits or Limits())


def written(schedule: tuple[Injection, ...], load: LoadShape) -> str:
    """The document that says the same, as whoever found it would write it down."""
    profile = ", ".join(f"{{at: {step.at_s:g}s, times: {step.times:g}}}" for step in load.steps)
    mix = ", ".join(f"{name}: {weight:g}" for name, weight in load.mix.items())
    return f"""\
chaoskit: 1
title: drawn
environment: shop
load: {{arrivals_per_s: {load.arrivals_per_s:g}, duration: {load.duration_s:g}s, mix: {{{mix}}}, profile: [{profile}]}}
expect: [exercised]
{as_document(schedule)}"""


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry([Part(kind="environments", name="shop", target=shop)])


@quickly
@given(data=st.data())
def test_whatever_is_drawn_is_a_document_that_is_valid_and_says_the_same(data, registry):
    load = data.draw(loads(shop()))
    schedule = data.draw(schedules(shop(), load=load))
    read = read_text(written(schedule, load), registry=registry)
    assert [injection.fault for injection in read.faults] == [injection.fault for injection in schedule]
    for one, other in zip(read.faults, schedule, strict=True):
        assert (one.at_s, one.for_s) == pytest.approx((other.at_s, other.for_s))
    assert (read.load.mix, read.load.arrivals_per_s) == (load.mix, load.arrivals_per_s)


def test_a_schedule_is_written_without_what_is_there_by_default():
    schedule = (
        Injection(fault=Partition(between=("till", "store-1"), direction="answers"), at_s=5.685, for_s=1.5),
        Injection(fault=Latency(between=("till", "2: #"), add_s=0.25), at_s=6.0),
        Injection(fault=PacketLoss(between=("a", "b"), share=0.125, port="80"), at_s=0.0, for_s=60.0),
    )
    assert (
        as_document(schedule)
        == """\
faults:
  - {fault: partition, between: [till, store-1], direction: answers, at: 5.685s, for: 1.5s}
  - {fault: latency, between: [till, "2: #"], add: 0.25s, at: 6s}
  - {fault: packet-loss, between: [a, b], share: 12.5%, port: "80", at: 0s, for: 60s}
"""
    )


@quickly
@given(data=st.data())
def test_a_schedule_fits_into_its_time_and_keeps_its_limits(data):
    within_s = data.draw(st.floats(0.1, 600))
    end_s = data.draw(st.sampled_from((0.5, 0.75, 1.0))) * within_s
    if end_s - within_s / 10 < 0.4:
        return
    limits = data.draw(
        st.sampled_from(
            (
                Limits(),
                Limits(services=1),
                Limits(share_of_group=0.5),
                Limits(for_s=within_s / 20),
                Limits(services=2, share_of_group=0.5),
            )
        )
    )
    at_most = data.draw(st.integers(1, 6))
    schedule = data.draw(schedules(shop(), within_s=within_s, not_after_s=end_s, limits=limits, at_most=at_most))
    assert 1 <= len(schedule) <= at_most
    assert list(schedule) == sorted(schedule, key=lambda injection: injection.at_s)
    for injection in schedule:
        assert injection.for_s is not None
        assert injection.for_s > 0
        assert injection.at_s >= round(within_s / 10, 3)
        assert injection.at_s + injection.for_s <= round(end_s, 3)
    load = LoadShape(arrivals_per_s=1, duration_s=within_s, mix={"buy": 1})
    assert breaches(plan(experiment(schedule, load), seed=0), shop(), limits) == ()


def test_no_fault_ends_after_the_load_by_a_hair():
    """0.1 + 0.2 is more than 0.3; a reader of documents refuses that."""
    drawn = schedules(shop(), within_s=LOAD_S, not_before_s=0.0, not_after_s=LOAD_S, at_most=1)
    with pytest.raises(NoSuchExample):
        find(drawn, lambda schedule: schedule[0].at_s + schedule[0].for_s > LOAD_S, settings=minimal)


@quickly
@given(schedule=schedules(shop(), within_s=MOST_S, at_most=6))
def test_nothing_is_healed_by_the_healing_of_something_else(schedule):
    def names(injection):
        fault = injection.fault
        between = getattr(fault, "between", None)
        members = {"store.primary": {"store-1", "store-2"}, "store.standby": {"store-1", "store-2"}}
        if between:
            return {frozenset(between)}
        service = getattr(fault, "service", "load")
        return members.get(service, {service})

    for one, other in itertools.combinations(schedule, 2):
        if one.at_s < other.at_s + other.for_s and other.at_s < one.at_s + one.for_s:
            assert not names(one) & names(other), (one, other)


@quickly
@given(fault=faults(FakeEnvironment(shop())))
def test_an_environment_suffers_only_what_it_is_capable_of(fault):
    environment = FakeEnvironment(shop())
    assert fault.needs <= environment.capabilities | LOAD_CAPABILITIES


@quickly
@given(fault=faults(shop(), capabilities=frozenset({"cut", "kill"}), kinds=["partition", "kill", "latency"]))
def test_a_topology_suffers_what_it_is_said_to_be_capable_of(fault):
    assert fault.needs <= {"cut", "kill"}


@pytest.mark.parametrize("kind", [name for name in Registry().names("faults") if name != "fill-disk"])
def test_every_kind_can_be_drawn_with_and_without_its_options(kind):
    drawn = find(faults(shop(), kinds=[kind]), lambda _fault: True, settings=minimal)
    assert drawn.kind == kind
    for parameter in parameters(type(drawn)):
        default = next(field for field in dataclasses.fields(drawn) if field.name == parameter.field).default
        if not parameter.is_required and parameter.plain is not str:
            other = find(
                faults(shop(), kinds=[kind]),
                lambda fault, name=parameter.field, default=default: getattr(fault, name) != default,
                settings=minimal,
            )
            assert other.kind == kind


def shrunk(bug, **more: object) -> tuple[Injection, ...]:
    return find(schedules(shop(), within_s=MOST_S, **more), bug, settings=minimal)


def test_shrinks_to_one_short_late_fault():
    (only,) = shrunk(lambda _schedule: True)
    assert only == Injection(fault=Kill(service="till"), at_s=44.025, for_s=0.975)
    assert only.at_s + only.for_s == MOST_S * 3 / 4


def test_shrinks_to_the_faults_that_matter():
    """Trouble when two things are down at the same time, however many others there are."""

    def both_stores_are_hurt(schedule):
        hurt = {getattr(injection.fault, "service", "") for injection in schedule}
        return {"store-1", "store-2"} <= hurt

    found = shrunk(both_stores_are_hurt, at_least=1, at_most=6)
    assert [injection.fault for injection in found] == [Kill(service="store-1"), Kill(service="store-2")] or [
        injection.fault for injection in found
    ] == [Kill(service="store-2"), Kill(service="store-1")]
    assert all(injection.for_s == 0.975 and injection.at_s == 44.025 for injection in found)


def test_shrinks_to_the_shortest_time_that_is_long_enough():
    (only,) = shrunk(lambda schedule: any(injection.for_s >= 10 for injection in schedule))
    assert 10 <= only.for_s < 11
    assert only.at_s + only.for_s == pytest.approx(MOST_S * 3 / 4)


def test_shrinks_to_the_latest_time_that_is_early_enough():
    (only,) = shrunk(lambda schedule: any(injection.at_s <= 20 for injection in schedule))
    assert 19 < only.at_s <= 20
    assert only.for_s == pytest.approx(0.975, abs=0.002)


def test_shrinks_to_the_plain_form_of_a_fault():
    (only,) = shrunk(lambda schedule: any(isinstance(injection.fault, Partition) for injection in schedule))
    assert only.fault == Partition(between=("till", "store-1"))


def test_a_load_shrinks_to_few_customers_of_one_kind_at_a_steady_rate():
    assert find(loads(shop()), lambda _load: True, settings=minimal) == LoadShape(
        arrivals_per_s=5.0, duration_s=10.0, mix={"buy": 1.0, "look": 0.0}
    )
    rush = find(loads(shop()), lambda load: len(load.steps) > 1, settings=minimal)
    assert rush.steps == (Step(at_s=0.0, times=1.0), Step(at_s=1.0, times=2.0))
    assert find(loads(shop()), lambda load: load.mix["look"] > 0, settings=minimal).mix == {"buy": 1.0, "look": 1.0}


WRONG = {
    "no time": (lambda: schedules(shop()), "either load or within_s"),
    "two times": (
        lambda: schedules(shop(), within_s=5.0, load=LoadShape(arrivals_per_s=1, duration_s=6, mix={})),
        "either load or within_s",
    ),
    "before the load": (lambda: schedules(shop(), within_s=10.0, not_before_s=-1.0), "expected a time within the load"),
    "after the load": (lambda: schedules(shop(), within_s=10.0, not_after_s=11.0), "expected a time within the load"),
    "nothing between": (lambda: schedules(shop(), within_s=10.0, not_before_s=8.0), "expected a time within the load"),
    "less than least": (lambda: schedules(shop(), within_s=10.0, at_least=3, at_most=2), "at_least not above at_most"),
    "a blink": (lambda: schedules(shop(), within_s=0.1), "too short for faults"),
    "shorter than a step": (lambda: schedules(shop(), within_s=10.0, longest_s=0.01), "expected more for longest_s"),
    "no such kind": (lambda: faults(shop(), kinds=["kil"]), "Did you mean 'kill'"),
    "nothing fits": (
        lambda: faults(shop(), kinds=["crash"], capabilities=frozenset({"kill"})),
        "none of crash can be done to fake",
    ),
    "nothing that is known": (lambda: faults(shop(), kinds=["fill-disk"]), "none of fill-disk can be done"),
    "no links": (lambda: faults(fake_topology(services=("alone",)), kinds=["partition"]), "none of partition can be done"),
    "no such journey": (lambda: loads(shop(), journeys=["buuy"]), "buuy of fake; expected some of buy, look"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_drawn_is_told(case):
    make, complaint = WRONG[case]
    with pytest.raises(UsageError) as caught:
        find(make(), lambda _drawn: True, settings=minimal)
    assert complaint in str(caught.value)
