import math
from dataclasses import replace

import pytest

from chaoskit.model import measures
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import Attempt, FaultRecord, History, LoadCounts, Operation, Outcome


def operation(due_s, *, took_s=0.01, outcome="ok", status=0, journey="transfer"):
    due_ns = round(due_s * 1e9)
    end_ns = None if took_s is None else due_ns + round(took_s * 1e9)
    attempt = Attempt(number=1, start_ns=due_ns, end_ns=end_ns, outcome=Outcome(outcome), status=status)
    return Operation(number=due_ns, journey=journey, due_ns=due_ns, attempts=(attempt,))


def flow(since, until, *, every=0.1, **how):
    return [operation(since + index * every, **how) for index in range(round((until - since) / every))]


def history(*operations, hit=None, healed=None, load=True):
    fault = FaultRecord(
        fault="faults[0] kill",
        kind="kill",
        targets=(),
        due_ns=0,
        injecting_ns=None if hit is None else round(hit * 1e9),
        healed_ns=None if healed is None else round(healed * 1e9),
    )
    count = len(operations)
    return History(
        operations=tuple(sorted(operations, key=lambda o: o.due_ns)),
        faults=(fault,),
        load=LoadCounts(scheduled=count, sent=count, finished=count, drained=True) if load else None,
        complete=load,
    )


def test_a_customer_was_not_served_by_what_the_load_sent_again_after_its_end():
    def resent(lost):
        again = Attempt(number=2, start_ns=100 * 10**9, end_ns=101 * 10**9, outcome=Outcome.OK, status=200, is_resent=True)
        return replace(lost, attempts=(*lost.attempts, again))

    told = history(*map(resent, flow(0, 3, outcome="info")), *flow(3, 6))
    assert measures.availability(told, "transfer") == 0.5
    assert measures.outage_s(told, "transfer") == pytest.approx(3.01)


@pytest.mark.parametrize(
    "outcome, status, is_served",
    [
        ("ok", 200, True),
        ("ok", 0, True),
        ("fail", 400, True),
        ("fail", 409, True),
        ("fail", 422, True),
        ("fail", 408, False),
        ("fail", 425, False),
        ("fail", 429, False),
        ("fail", 499, False),
        ("fail", 399, False),
        ("fail", 500, False),
        ("fail", 503, False),
        ("fail", 0, False),
        ("info", 422, False),
        ("info", 0, False),
    ],
)
def test_a_valid_refusal_is_service_and_nothing_else_that_is_not_ok(outcome, status, is_served):
    assert measures.is_served(operation(1, outcome=outcome, status=status)) is is_served


def test_the_outage_lasts_from_the_first_customer_in_vain_to_the_next_answer():
    run = history(*flow(1, 10), *flow(10, 18, outcome="info"), *flow(18, 30), hit=10)
    assert measures.outage_s(run, "transfer") == pytest.approx(8.01)


def test_the_longest_outage_counts():
    run = history(*flow(1, 10), *flow(10, 12, outcome="info"), *flow(12, 20), *flow(20, 25, outcome="info"), *flow(25, 30), hit=10)
    assert measures.outage_s(run, "transfer") == pytest.approx(5.01)


def test_an_outage_that_was_over_before_the_fault_is_not_its_doing():
    run = history(*flow(1, 5, outcome="info"), *flow(5, 30), hit=10)
    assert measures.outage_s(run, "transfer") == pytest.approx(0.01)


def test_an_outage_that_never_ended_lasts_to_the_end_of_the_load():
    run = history(*flow(1, 10), *flow(10, 30, outcome="info", took_s=None), hit=10)
    assert measures.outage_s(run, "transfer") == pytest.approx(19.9)


def test_customers_who_hung_and_were_served_late_waited_as_long():
    hung = [operation(10 + index / 10, took_s=6 - index / 10) for index in range(60)]
    run = history(*flow(1, 10), *hung, *flow(16, 30), hit=10)
    assert measures.outage_s(run, "transfer") == pytest.approx(6.0)


def test_nobody_in_vain_is_no_outage():
    assert measures.outage_s(history(*flow(1, 10), hit=20), "transfer") == 0.0
    assert measures.outage_s(history(*flow(1, 10), hit=5), "login") == 0.0
    assert measures.outage_s(History(), "transfer") == 0.0


def test_availability_is_a_share_of_those_who_were_due():
    run = history(*flow(0, 9), *flow(9, 10, outcome="info"), *flow(0, 1, journey="login", outcome="info"))
    assert measures.availability(run, "transfer") == 0.9
    assert measures.journeys(run) == ("transfer", "login")
    with pytest.raises(NotExercised, match="no operation of 'balance' was recorded"):
        measures.availability(run, "balance")


@pytest.mark.parametrize(
    "share, value",
    [(0.0, 1), (0.5, 50), (0.07, 7), (0.99, 99), (0.991, 100), (1.0, 100)],
)
def test_nearest_rank(share, value):
    assert measures.nearest_rank(range(1, 101), share) == value


def test_nearest_rank_of_what_never_came():
    assert measures.nearest_rank([1.0, math.inf], 0.5) == 1.0
    assert measures.nearest_rank([1.0, math.inf], 0.51) == math.inf
    with pytest.raises(NotExercised):
        measures.nearest_rank([], 0.5)


def test_periods():
    run = history(*flow(1, 30), hit=10, healed=20)
    end_ns = run.operations[-1].due_ns + 1
    assert measures.period(run, "run") == (1_000_000_000, end_ns)
    assert measures.period(run, "before") == (1_000_000_000, 10_000_000_000)
    assert measures.period(run, "faults") == (10_000_000_000, 20_000_000_000)
    assert measures.period(run, "after") == (20_000_000_000, end_ns)
    assert measures.period(history(*flow(1, 30), hit=10), "faults") == (10_000_000_000, end_ns)


@pytest.mark.parametrize(
    "run, during",
    [
        (History(), "run"),
        (history(*flow(1, 30)), "faults"),
        (history(*flow(1, 30)), "after"),
        (history(*flow(1, 30), hit=10), "after"),
        (history(*flow(1, 30), hit=10, healed=60), "after"),
    ],
)
def test_a_period_that_never_was(run, during):
    with pytest.raises(NotExercised):
        measures.period(run, during)


def test_the_worst_window_is_found_wherever_it_lies():
    """Compared with trying every window on a grid as fine as the due times."""
    bad = {12, 13, 15, 40, 41, 42, 43, 60, 61, 63, 64, 66}
    operations = [operation(index / 10, outcome="info" if index in bad else "ok") for index in range(100)]
    for window_s in (0.5, 0.7, 1.0, 2.3):
        found = measures.worst_window(operations, window_s=window_s, from_ns=0, to_ns=10_000_000_000)
        tried = []
        for start in range(0, 10_000 - round(window_s * 1000) + 1, 50):
            inside = [o for o in operations if start * 1_000_000 <= o.due_ns < start * 1_000_000 + window_s * 1e9]
            if len(inside) >= measures.FEWEST_OPERATIONS:
                tried.append(sum(map(measures.is_served, inside)) / len(inside))
        assert found.share == min(tried)


def test_five_operations_are_enough_for_a_share_and_four_are_not():
    assert measures.service(flow(0, 0.5), from_ns=0, to_ns=1).share == 1.0
    with pytest.raises(NotExercised, match="only 4 operations"):
        measures.service(flow(0, 0.4), from_ns=0, to_ns=1)


def test_a_window_as_long_as_the_period_fits():
    found = measures.worst_window(flow(0, 10), window_s=10, from_ns=0, to_ns=10_000_000_000)
    assert found == measures.Service(from_ns=0, to_ns=10_000_000_000, due=100, served=100)


def test_no_window_fits():
    operations = flow(0, 10)
    with pytest.raises(NotExercised):
        measures.worst_window(operations, window_s=20, from_ns=0, to_ns=10_000_000_000)
    with pytest.raises(NotExercised):
        measures.worst_window(operations, window_s=0.3, from_ns=0, to_ns=10_000_000_000)


def test_while_the_load_runs_what_is_merely_open_is_left_out():
    operations = [*flow(0, 10), operation(2.05, took_s=None, outcome="info"), operation(9.5, took_s=None, outcome="info")]
    assert len(measures.due(history(*operations), "transfer")) == 102
    assert len(measures.due(history(*operations, load=False), "transfer")) == 101
    # The load has ended, and the end of the run is still to come.
    assert len(measures.due(replace(history(*operations), complete=False), "transfer")) == 102


def test_who_was_under_way_when_it_broke_does_not_count_as_before():
    run = history(*flow(0, 9.9), operation(9.9, took_s=3, outcome="info"), operation(9.95, took_s=None, outcome="info"), hit=10)
    assert all(measures.is_served(o) for o in measures.due(run, "transfer", "before"))


def test_who_was_left_without_an_answer_long_before_it_broke_does_count():
    run = history(*flow(0, 8), operation(8, took_s=5, outcome="info"), operation(9.5, took_s=0.2, outcome="info"), hit=10)
    assert [measures.is_served(o) for o in measures.due(run, "transfer", "before")] == [True] * 80 + [False] * 2
