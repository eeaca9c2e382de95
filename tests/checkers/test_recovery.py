import pytest

from chaoskit.checkers.recovery import Recovery
from chaoskit.model.verdict import Result

CHECK = Recovery(journey="transfer", within_s=5.0)


def only(findings):
    (finding,) = findings
    return finding


def test_counts_from_the_last_heal(story):
    story.flow(0, 10)
    story.flow(10, 23, "info")
    story.flow(23, 40, took=0.1)
    story.fault(10, healed=20)
    finding = only(CHECK.check(story.history()))
    assert finding.outcome is Result.PASSED
    assert finding.measures == {"recovery_s": pytest.approx(3.1)}
    assert finding.summary == "transfer was steady again 3.1 s after the last heal (asked: within 5 s)"


def test_counts_from_the_first_unserved_customer_when_nothing_is_healed(story):
    story.flow(0, 11)
    story.flow(11, 15, "info")
    story.flow(15, 40)
    story.fault(10, healed=60)
    finding = only(CHECK.check(story.history()))
    assert finding.outcome is Result.PASSED
    assert finding.measures == {"recovery_s": pytest.approx(4.01)}


def test_fails_when_it_takes_too_long(story):
    story.flow(0, 10)
    story.flow(10, 26, "info")
    story.flow(26, 40)
    story.fault(10, healed=20)
    assert only(CHECK.check(story.history())).outcome is Result.FAILED


def test_fails_when_it_does_not_last(story):
    story.flow(0, 10)
    story.flow(10, 21, "info")
    story.flow(21, 30)
    story.flow(30, 39, "info")
    story.flow(39, 40)
    story.fault(10, healed=20)
    assert only(CHECK.check(story.history())).outcome is Result.FAILED


def test_fails_when_the_last_customer_went_unserved(story):
    story.flow(0, 10)
    story.flow(20, 40)
    story.operation(40, "info")
    story.fault(10, healed=20)
    finding = only(CHECK.check(story.history()))
    assert finding.outcome is Result.FAILED
    assert finding.measures == {"recovery_s": None}


def test_customers_who_hung_until_then_are_part_of_the_wait(story):
    story.flow(0, 10)
    for index in range(80):
        story.operation(20 + index / 10, took=8.0 - index / 10)
    story.flow(28, 40)
    story.fault(10, healed=20)
    finding = only(CHECK.check(story.history()))
    assert finding.outcome is Result.FAILED
    assert finding.measures == {"recovery_s": pytest.approx(8.0)}


@pytest.mark.parametrize("unserved, outcome", [(1, Result.PASSED), (2, Result.FAILED)])
def test_a_few_failures_are_within_what_steady_means(story, unserved, outcome):
    """Of a hundred operations after the heal, right after the first one."""
    story.flow(0, 10)
    story.fault(10, healed=20)
    story.operation(20)
    story.flow(20.1, 20.1 + 0.1 * unserved, "info")
    story.flow(20.1 + 0.1 * unserved, 30)
    assert len([o for o in story.operations if o.due_ns >= story.faults[0].healed_ns]) == 100
    finding = only(Recovery(journey="transfer", within_s=0.05, steady=0.99).check(story.history()))
    assert finding.outcome is outcome


def test_the_customer_who_was_due_at_the_injection_counts(story):
    story.flow(0, 10)
    story.operation(10, "info")
    story.flow(10.1, 30)
    story.fault(10, healed=60)
    assert only(CHECK.check(story.history())).measures["recovery_s"] == pytest.approx(0.11)


@pytest.mark.parametrize("count, outcome", [(4, Result.INCONCLUSIVE), (5, Result.PASSED)])
def test_a_handful_of_customers_afterwards_is_the_least(story, count, outcome):
    story.flow(0, 10)
    story.fault(5, healed=11)
    story.flow(11.05, 11.05 + count * 0.1)
    assert only(CHECK.check(story.history())).outcome is outcome


def test_an_outage_that_nobody_noticed_took_no_time(story):
    story.flow(0, 40)
    story.fault(10, healed=60)
    finding = only(CHECK.check(story.history()))
    assert finding.outcome is Result.PASSED
    assert finding.measures["recovery_s"] < 0.1


def test_proves_nothing_without_a_fault(story):
    story.flow(0, 40)
    assert only(CHECK.check(story.history())).summary == "recovery of transfer: no fault was injected"
    assert only(CHECK.check(type(story)().history())).outcome is Result.INCONCLUSIVE


def test_proves_nothing_with_too_little_load_afterwards(story):
    story.flow(0, 20)
    story.fault(10, healed=19.7)
    assert only(CHECK.check(story.history())).outcome is Result.INCONCLUSIVE


def test_proves_nothing_when_the_load_ended_before_the_limit(story):
    story.flow(0, 10)
    story.flow(10, 24, "info")
    story.fault(10, healed=20)
    assert only(CHECK.check(story.history())).outcome is Result.INCONCLUSIVE


def test_since_failure_a_later_heal_does_not_hide_the_outage(story):
    story.flow(0, 11)
    story.flow(11, 19, "info")
    story.flow(19, 40)
    story.fault(10, healed=30)
    assert only(CHECK.check(story.history())).outcome is Result.PASSED
    since_failure = Recovery(journey="transfer", within_s=5.0, since="failure")
    finding = only(since_failure.check(story.history()))
    assert finding.outcome is Result.FAILED
    assert finding.measures == {"recovery_s": pytest.approx(8.01)}


def test_one_fault_that_is_not_healed_under_load_is_counted_from_the_failure(story):
    story.flow(0, 11)
    story.flow(11, 19, "info")
    story.flow(19, 40)
    story.fault(10, healed=60)
    story.fault(9, healed=20)
    assert only(CHECK.check(story.history())).outcome is Result.FAILED
