import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.loads.schedule import Timetable, arrivals, draws, even_draws
from chaoskit.model.protocols import LoadPlan

MIX = {"transfer": 3.0, "balance": 5.0, "login": 0.0}


def plan(*, seed=1, rate=40.0, duration_s=60.0, steps=((0.0, 1.0),), mix=MIX) -> LoadPlan:
    return LoadPlan(
        url="http://127.0.0.1:1",
        journeys="m:f",
        options={},
        seed=seed,
        arrivals_per_s=rate,
        duration_s=duration_s,
        mix=mix,
        steps=steps,
        history="h",
    )


plans = st.builds(
    plan,
    seed=st.integers(0, 2**63),
    rate=st.floats(0.5, 200),
    duration_s=st.floats(0.5, 20),
    steps=st.lists(st.tuples(st.floats(0.1, 20), st.floats(0, 5)), max_size=4).map(
        lambda steps: ((0.0, 1.0), *((at, times) for at, times in sorted(dict(steps).items())))
    ),
)


@given(plans)
def test_the_same_plan_gives_the_same_arrivals(given_plan) -> None:
    assert list(arrivals(given_plan)) == list(arrivals(given_plan))


@given(plans)
def test_arrivals_are_numbered_in_order_within_the_duration(given_plan) -> None:
    found = list(arrivals(given_plan))
    assert [arrival.number for arrival in found] == list(range(len(found)))
    due = [arrival.due_s for arrival in found]
    assert due == sorted(due)
    assert all(0 <= at_s < given_plan.duration_s for at_s in due)


@given(plans)
def test_nobody_comes_while_the_rate_is_zero(given_plan) -> None:
    closed = [(start, end) for (start, times), (end, _) in itertools.pairwise((*given_plan.steps, (math.inf, 1.0))) if times == 0]
    assert not [a for a in arrivals(given_plan) for start, end in closed if start < a.due_s < end]


def test_another_seed_gives_other_arrivals() -> None:
    assert list(arrivals(plan(seed=1))) != list(arrivals(plan(seed=2)))


def test_a_journey_of_weight_zero_never_comes_and_others_by_their_weight() -> None:
    found = [journey for _, journey in itertools.islice(draws(7, MIX), 8000)]
    assert set(found) == {"transfer", "balance"}
    # Five standard deviations of a binomial count.
    assert abs(found.count("balance") - 5000) < 5 * math.sqrt(8000 * 5 / 8 * 3 / 8)


def test_the_order_of_the_mix_does_not_matter() -> None:
    assert list(arrivals(plan(mix={"a": 1, "b": 2}))) == list(arrivals(plan(mix={"b": 2, "a": 1})))


def test_the_rate_follows_the_steps() -> None:
    found = [a.due_s for a in arrivals(plan(rate=200, duration_s=30, steps=((0.0, 1.0), (10.0, 3.0), (20.0, 0.5))))]
    counts = [sum(start <= at_s < start + 10 for at_s in found) for start in (0, 10, 20)]
    assert all(abs(count - want) < 5 * math.sqrt(want) for count, want in zip(counts, (2000, 6000, 1000), strict=True))


@given(plans, st.floats(0, 20), st.floats(0.1, 10))
def test_a_surge_changes_times_only(given_plan, surge_at_s, times) -> None:
    """The n-th arrival keeps its journey, and what came before the surge keeps its time."""
    quiet = list(arrivals(given_plan))
    timetable = Timetable(given_plan)
    found, surged = [], False
    while timetable.due_s is not None or not surged:
        if not surged and (timetable.due_s is None or timetable.due_s >= surge_at_s):
            timetable.surge(times, at_s=surge_at_s)
            surged = True
            continue
        found.append((timetable.number, timetable.due_s, timetable.journey))
        timetable.advance()
    for (number, due_s, journey), arrival in zip(found, quiet, strict=False):
        assert (number, journey) == (arrival.number, arrival.journey)
        if arrival.due_s < surge_at_s:
            assert due_s == arrival.due_s
        elif times > 1:
            assert due_s <= arrival.due_s + 1e-9
        elif times < 1:
            assert due_s >= arrival.due_s - 1e-9


def test_a_surge_before_the_step_in_which_the_next_one_was_due() -> None:
    timetable = Timetable(plan(rate=1, duration_s=30, steps=((0.0, 0.001), (10.0, 1.0))), row=iter([(5.0, "pay"), (1.0, "pay")]))
    assert timetable.due_s == pytest.approx(10 + 5 - 0.01)
    timetable.surge(1000, at_s=5.0)
    assert timetable.due_s == pytest.approx(5 + 5 - 0.005)


def test_a_surge_of_ten_brings_ten_times_as_many_and_one_takes_it_back() -> None:
    timetable = Timetable(plan(rate=100, duration_s=30))
    turns = [(10.0, 10.0), (20.0, 1.0)]
    due = []
    while timetable.due_s is not None:
        if turns and timetable.due_s >= turns[0][0]:
            at_s, times = turns.pop(0)
            timetable.surge(times, at_s=at_s)
            continue
        due.append(timetable.due_s)
        timetable.advance()
    counts = [sum(start <= at_s < start + 10 for at_s in due) for start in (0, 10, 20)]
    assert all(abs(count - want) < 5 * math.sqrt(want) for count, want in zip(counts, (1000, 10_000, 1000), strict=True))


@pytest.mark.parametrize("rate, duration_s, count", [(1000, 5, 5000), (3, 1, 3), (0.7, 10, 7), (1, 1, 1), (1, 0.5, 1)])
def test_an_even_grid_begins_at_zero_and_has_no_one_too_many(rate, duration_s, count) -> None:
    timetable = Timetable(plan(rate=rate, duration_s=duration_s), row=even_draws("get"))
    due = []
    while timetable.due_s is not None:
        due.append(timetable.due_s)
        timetable.advance()
    assert due == pytest.approx([n / rate for n in range(count)])
