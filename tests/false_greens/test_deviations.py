"""What went wrong for a while counts, whatever came after it, unless the document allows it; and no share leaves 0 to 100 %."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaoskit.checkers.availability import Availability
from chaoskit.checkers.error_rate import ErrorRate
from chaoskit.checkers.exercised import Exercised
from chaoskit.faults.kill import Kill
from chaoskit.model import measures
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import Attempt, FaultRecord, History, LoadCounts, Operation, Outcome
from chaoskit.model.verdict import Result

MS = 1_000_000


@pytest.mark.parametrize("at_least,result", [(0.99, Result.FAILED), (0.4, Result.PASSED)])
def test_three_bad_parts_of_eight_are_no_pass_unless_a_budget_allows_them(world, inject, at_least, result):
    check = Availability(journey="visit", at_least=at_least)
    verdict = world.run(inject(Kill(service="back"), at_s=0.4, for_s=0.6), expect=(check,), steady=(), duration_s=1.6)
    assert verdict.result is result
    assert 0.4 < verdict.availability["visit"] < 0.9


def test_each_of_three_undos_is_tried_when_the_first_one_raises(new_world, inject):
    world = new_world(services=("front", "back", "third"))
    # Healed side by side at the end of the load, the last injected first: that one refuses.
    world.environment.services["third"].refuses = frozenset({"start"})
    names = ("front", "back", "third")
    verdict = world.run(*(inject(Kill(service=name), at_s=0.3 + 0.05 * n, for_s=None) for n, name in enumerate(names)))
    assert verdict.result is Result.ERROR
    assert [problem for problem in verdict.problems if "may still be there" in problem]
    assert {name: world.environment.services[name].state for name in names} == {
        "front": "running",
        "back": "running",
        "third": "killed",
    }
    assert sorted(world.undo_states()).count("healed") == 2


def test_nothing_of_several_faults_is_begun_when_the_steady_state_is_not_there(world, inject):
    world.environment.services["back"].state = "killed"
    verdict = world.run(*(inject(Kill(service=name), at_s=at_s) for name, at_s in (("front", 0.3), ("front", 0.6))))
    assert verdict.result is Result.INCONCLUSIVE
    assert world.undo_states() == ["opened", "closed"]
    assert world.environment.services["front"].calls == []
    assert world.environment.undone == []


def test_requests_that_all_fail_while_a_fault_is_there_are_an_outage_and_not_a_gap(world, inject):
    """The worst window is one in which everybody failed; a tool that only looks at answers would see nothing there."""
    check = Availability(journey="visit", at_least=0.5, during="faults")
    verdict = world.run(inject(Kill(service="back"), at_s=0.4, for_s=0.4), expect=(check,), duration_s=1.2)
    assert verdict.result is Result.FAILED
    assert verdict.rto_s > 0.2


outcomes = st.lists(st.sampled_from(Outcome), min_size=0, max_size=60)


@settings(max_examples=200, deadline=None)
@given(
    ends=outcomes,
    gaps=st.lists(st.integers(0, 400), min_size=60, max_size=60),
    cut=st.tuples(st.integers(0, 8_000), st.integers(0, 4_000)),
    window_s=st.sampled_from([None, 0.5, 1.0, 3.0]),
)
def test_a_share_is_never_below_0_nor_above_1_however_a_service_flaps(ends, gaps, cut, window_s):
    due, operations = 0, []
    for number, (outcome, gap) in enumerate(zip(ends, gaps, strict=False)):
        due += gap * MS
        attempt = Attempt(number=1, start_ns=due, end_ns=due + gap * MS, outcome=outcome, status=500)
        operations.append(Operation(number=number, journey="visit", due_ns=due, attempts=(attempt,)))
    begun_ns, lasts_ns = cut[0] * MS, cut[1] * MS
    fault = FaultRecord(
        fault="faults[0] kill", kind="kill", targets=("a",), due_ns=begun_ns, injecting_ns=begun_ns, injected_ns=begun_ns,
        effect_seen=True, healed_ns=begun_ns + lasts_ns,
    )  # fmt: skip
    count = len(operations)
    load = LoadCounts(scheduled=count, sent=count, finished=count, drained=True)
    history = History(operations=tuple(operations), faults=(fault,), load=load, complete=True)
    shares = []
    for during in ("run", "before", "faults", "after"):
        for check in (
            Availability(journey="visit", at_least=0.5, window_s=window_s, during=during),
            ErrorRate(journey="visit", above=0.5, for_s=window_s or 2.0),
        ):
            for name in ("availability", "error_rate"):
                shares += [value for f in check.check(history) if (value := f.measures.get(name)) is not None]
    try:
        shares.append(measures.availability(history, "visit"))
    except NotExercised:
        assert not operations
    assert all(0.0 <= share <= 1.0 for share in shares)
    assert Exercised().check(dataclasses.replace(history, operations=()))[0].outcome is Result.INCONCLUSIVE
