from dataclasses import replace

from chaoskit.checkers.availability import Availability
from chaoskit.model.verdict import Result


def only(findings):
    (finding,) = findings
    return finding


def test_passes_when_enough_customers_were_served(story):
    story.flow(0, 10)
    finding = only(Availability(journey="transfer", at_least=0.99).check(story.history()))
    assert finding.outcome is Result.PASSED
    assert finding.measures == {"availability": 1.0, "operations": 100}
    assert finding.summary == "100.00 % of 100 transfer operations were served (asked: at least 99 %)"


def test_fails_when_too_many_went_unserved(story):
    story.flow(0, 9)
    story.flow(9, 10, "info")
    finding = only(Availability(journey="transfer", at_least=0.91).check(story.history()))
    assert finding.outcome is Result.FAILED
    assert finding.measures["availability"] == 0.9


def test_a_share_that_was_not_reached_is_not_rounded_up_to_it(story):
    story.flow(0, 2000)
    story.operation(2000, "info")
    finding = only(Availability(journey="transfer", at_least=1.0).check(story.history()))
    assert finding.outcome is Result.FAILED
    assert finding.summary.startswith("99.99 %")


def test_a_short_outage_cannot_hide_in_a_long_run(story):
    story.flow(0, 50)
    story.flow(50, 51, "info")
    story.flow(51, 100)
    history = story.history()
    assert only(Availability(journey="transfer", at_least=0.99).check(history)).outcome is Result.PASSED
    finding = only(Availability(journey="transfer", at_least=0.99, window_s=5).check(history))
    assert finding.outcome is Result.FAILED
    assert finding.measures["availability"] == 0.8
    assert "in the worst 5 s, from 46.0 s on" in finding.summary


def test_a_valid_refusal_is_service(story):
    story.flow(0, 10, "fail", status=422, why="insufficient funds")
    assert only(Availability(journey="transfer", at_least=1.0).check(story.history())).outcome is Result.PASSED


def test_periods_follow_the_faults(story):
    story.flow(0, 10)
    story.flow(10, 20, "info")
    story.flow(20, 30)
    story.fault(10, healed=20)
    history = story.history()
    shares = {
        during: only(Availability(journey="transfer", at_least=0.5, during=during).check(history)).measures["availability"]
        for during in ("run", "before", "faults", "after")
    }
    assert shares == {"run": 200 / 300, "before": 1.0, "faults": 0.0, "after": 1.0}


def test_proves_nothing_without_enough_operations(story):
    story.flow(0, 0.4)
    for window_s in (None, 0.2):
        assert (
            only(Availability(journey="transfer", at_least=0.5, window_s=window_s).check(story.history())).outcome
            is Result.INCONCLUSIVE
        )


def test_proves_nothing_about_a_time_that_never_was(story):
    story.flow(0, 10)
    for during in ("faults", "after"):
        finding = only(Availability(journey="transfer", at_least=0.5, during=during).check(story.history()))
        assert finding.outcome is Result.INCONCLUSIVE
        assert finding.summary == f"availability of transfer ({during}): no fault was injected"
    assert only(Availability(journey="login", at_least=0.5).check(story.history())).outcome is Result.INCONCLUSIVE


def test_a_part_of_a_history_has_no_windows_beyond_its_end(story):
    """One failure just before the fault is one of fifty in its window, not one of a handful in a window that was cut off."""
    story.flow(0, 9.7)
    story.operation(9.7, "info")
    story.flow(9.8, 30)
    story.fault(10)
    part = story.history(drain=30).due_between(0, story.faults[0].injecting_ns)
    finding = only(Availability(journey="transfer", at_least=0.9, window_s=5).check(part))
    assert finding.outcome is Result.PASSED
    assert finding.measures["operations"] in (49, 50)


def test_an_operation_that_is_merely_open_does_not_close_the_gate_while_the_load_runs(story):
    story.flow(0, 10)
    story.operation(9.95, "info", took=None)
    running = replace(story.history(), load=None, complete=False)
    assert only(Availability(journey="transfer", at_least=1.0).check(running)).outcome is Result.PASSED
    assert only(Availability(journey="transfer", at_least=1.0).check(story.history())).outcome is Result.FAILED
