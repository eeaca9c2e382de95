from dataclasses import replace

import pytest

from chaoskit.checkers.exercised import Exercised
from chaoskit.model.history import LoadCounts
from chaoskit.model.verdict import Result

CHECK = Exercised()


def only(findings):
    (finding,) = findings
    return finding


@pytest.fixture
def run(story):
    story.flow(0, 10)
    story.flow(10, 20, "info")
    story.flow(20, 30)
    return story


def test_passes_when_faults_bit_and_customers_were_there_all_along(run):
    run.fault(10, healed=20)
    finding = only(CHECK.check(run.history()))
    assert finding.outcome is Result.PASSED
    assert finding.summary == "every fault (1) bit and was healed; 300 operations, 33.33 % of them without a definite answer"
    assert finding.measures == {"operations": 300, "unknown_operations": 100, "late_s": 0.0}


def test_passes_when_the_fault_lasts_to_the_end_and_customers_are_served_again(run):
    run.fault(10, healed=35)
    assert only(CHECK.check(run.history())).outcome is Result.PASSED


def test_a_heal_that_is_not_due_yet_is_not_missing(run):
    run.fault(10)
    assert only(CHECK.check(run.history(complete=False))).outcome is Result.PASSED


@pytest.mark.parametrize("count, outcome", [(4, Result.INCONCLUSIVE), (5, Result.PASSED)])
def test_a_handful_of_customers_is_the_least(story, count, outcome):
    story.flow(0, count / 10)
    assert only(CHECK.check(story.history())).outcome is outcome


def test_passes_without_faults_when_none_was_planned(story):
    story.flow(0, 10)
    finding = only(CHECK.check(story.history()))
    assert finding.outcome is Result.PASSED
    assert finding.summary.startswith("no fault was planned")


@pytest.mark.parametrize(
    "fault, reason",
    [
        ({"at": None, "error": "no such service"}, "faults[0] kill was never injected: no such service"),
        ({"at": 10, "effect_seen": False, "healed": 20}, "faults[0] kill was injected but its effect was not seen: no sign of it"),
        ({"at": 10}, "faults[0] kill was not seen to be healed"),
    ],
)
def test_a_fault_that_did_not_bite_or_was_not_healed_proves_nothing(run, fault, reason):
    run.fault(fault.pop("at"), **fault)
    finding = only(CHECK.check(run.history()))
    assert finding.outcome is Result.INCONCLUSIVE
    assert finding.summary == reason


def test_a_fault_that_may_not_have_been_applied_proves_nothing(run):
    run.fault(10, healed=20)
    torn = replace(run.faults[0], injected_ns=None, error="timed out")
    finding = only(CHECK.check(run.history(faults=(torn,))))
    assert finding.summary == "faults[0] kill may not have been applied: timed out"


@pytest.mark.parametrize(
    "at, healed, reason",
    [
        (0.2, 20, "transfer: only 2 operations were ok before the first fault, 5 are needed"),
        (10, 29.8, "transfer: only 2 operations were ok after the last heal, 5 are needed"),
    ],
)
def test_a_journey_that_was_not_driven_on_both_sides_proves_nothing(run, at, healed, reason):
    run.fault(at, healed=healed)
    assert only(CHECK.check(run.history())).summary == reason


def test_a_fault_that_no_customer_met_proves_nothing(story):
    story.flow(0, 10)
    story.flow(20, 30)
    story.fault(11, healed=19)
    assert only(CHECK.check(story.history())).summary == "transfer: nobody tried while the faults were there"


def test_exactly_enough_is_enough(story):
    story.flow(0, 0.5)
    story.flow(10, 10.5)
    story.flow(10.5, 30, "info")
    story.fault(1, healed=35)
    assert only(CHECK.check(story.history())).outcome is Result.PASSED
    story.faults.clear()
    story.fault(1, healed=5)
    story.operation(3, "info")
    assert only(CHECK.check(story.history())).outcome is Result.PASSED


def test_every_journey_counts(run):
    run.flow(0, 9, journey="login")
    run.fault(10, healed=20)
    assert only(CHECK.check(run.history())).summary == "login: nobody tried while the faults were there"


def test_a_bank_that_never_came_back_proves_nothing_here(story):
    story.flow(0, 10)
    story.flow(10, 30, "info")
    story.fault(10, healed=35)
    assert only(CHECK.check(story.history())).summary == "transfer: only 0 operations were ok after the injection, 5 are needed"


def test_a_late_load_proves_nothing(story):
    story.flow(0, 9.8)
    story.flow(9.8, 10, late=0.06)
    finding = only(CHECK.check(story.history()))
    assert finding.outcome is Result.INCONCLUSIVE
    assert finding.summary == "the load was late, so latency is not the bank's: 60 ms at the 99th percentile"


def test_a_log_in_before_the_first_call_is_not_lateness_of_the_load(story):
    story.flow(0, 10, late=0.06)
    begun_on_time = tuple(replace(o, begun_ns=o.due_ns) for o in story.history().operations)
    assert only(CHECK.check(replace(story.history(), operations=begun_on_time))).outcome is Result.PASSED


@pytest.mark.parametrize(
    "load, reason",
    [
        (None, "the load has no trailer: it ended early, and what it had not yet written is missing"),
        (LoadCounts(scheduled=120, sent=100, finished=100, drained=True), "the load sent 100 of 120 scheduled operations"),
        (
            LoadCounts(scheduled=120, sent=120, finished=100, drained=True),
            "the record holds 100 of 120 operations that the load sent",
        ),
    ],
)
def test_a_load_that_did_not_do_its_part_proves_nothing(story, load, reason):
    story.flow(0, 10)
    assert only(CHECK.check(story.history(load=load))).summary == reason


def test_an_empty_history_proves_nothing(story):
    assert only(CHECK.check(story.history())).summary == "no operation was recorded"


def test_unreadable_lines_prove_nothing(story):
    story.flow(0, 10)
    assert only(CHECK.check(story.history(torn_lines=1))).summary == "1 line of the record cannot be read"


def test_containers_that_somebody_else_held_back_prove_nothing(run):
    """No fault limits the group that all containers are in, so whoever does has made the outcome."""
    run.fault(10, healed=20)
    for at, periods, throttled in ((0, 10, 4), (15, 160, 5), (30, 310, 64)):
        run.sample(at, "host", "containers", periods=periods, throttled=throttled)
    finding = only(CHECK.check(run.history()))
    assert finding.outcome is Result.INCONCLUSIVE
    assert finding.summary == (
        "the containers had to wait in 20 % of their time slices (60 of 300) for a CPU limit that no fault has set: "
        "give them the machine, or compare with a run on an idle one"
    )


@pytest.mark.parametrize(
    "last",
    [
        {"periods": 310, "throttled": 6},
        {"periods": 10, "throttled": 4},
        {"error": "no such group"},
        {"periods": "?", "throttled": 99},
    ],
)
def test_containers_that_were_hardly_held_back_or_not_seen_are_no_reason(run, last):
    run.fault(10, healed=20)
    run.sample(0, "host", "containers", periods=10, throttled=4)
    run.sample(30, "host", "containers", **last)
    assert only(CHECK.check(run.history())).outcome is Result.PASSED


def test_a_busy_machine_alone_is_no_reason_but_the_cause_of_a_late_load(story):
    story.flow(0, 30, late=0.07)
    for at in (0, 30):
        story.sample(at, "host", "host", processors=2.0, busy_s=100 + 1.9 * at, load_1m=9.0)
    late = only(CHECK.check(story.history()))
    assert late.outcome is Result.INCONCLUSIVE
    assert late.summary.endswith("70 ms at the 99th percentile (this machine's processors were busy for 95 % of the time)")
    story.operations.clear()
    story.flow(0, 30)
    assert only(CHECK.check(story.history())).outcome is Result.PASSED
