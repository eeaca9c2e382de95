from dataclasses import replace

from chaoskit.checkers.error_rate import ErrorRate
from chaoskit.model.verdict import Result

CHECK = ErrorRate(journey="transfer", above=0.5, for_s=5.0)


def only(findings):
    (finding,) = findings
    return finding


def running(story):
    return replace(story.history(), load=None, complete=False)


def test_passes_when_no_stretch_is_bad_enough(story):
    story.flow(0, 10)
    story.flow(10, 12.5, "info")
    story.flow(12.5, 30)
    finding = only(CHECK.check(story.history()))
    assert finding.outcome is Result.PASSED
    assert finding.measures == {"error_rate": 0.5, "operations": 50}


def test_fails_when_one_is(story):
    story.flow(0, 10)
    story.flow(10, 12.6, "info")
    story.flow(12.6, 30)
    finding = only(CHECK.check(story.history()))
    assert finding.outcome is Result.FAILED
    assert finding.measures["error_rate"] == 0.52
    assert finding.summary == (
        "52.00 % of 50 transfer operations were unserved in the worst 5 s, from 7.6 s on (asked: not more than 50 %)"
    )


def test_fails_while_the_load_still_runs(story):
    story.flow(0, 10)
    story.flow(10, 20, "fail")
    assert only(CHECK.check(running(story))).outcome is Result.FAILED


def test_an_operation_that_is_merely_open_aborts_nothing(story):
    """Fast failures end before slow successes: among what has ended in the last seconds, failures are too many."""
    story.flow(0, 10)
    for index in range(20):
        story.operation(10 + index * 0.2, "info", took=None)
        story.operation(10.1 + index * 0.2, *(["fail"] if index % 5 == 0 else ["info"]), took=0.001 if index % 5 == 0 else None)
    assert only(CHECK.check(running(story))).outcome is Result.PASSED


def test_what_stays_open_too_long_does_count(story):
    story.flow(0, 10)
    story.flow(10, 25, "info", took=None)
    assert only(CHECK.check(running(story))).outcome is Result.FAILED


def test_proves_nothing_before_the_first_whole_stretch(story):
    story.flow(0, 4.9, "fail")
    assert only(CHECK.check(running(story))).outcome is Result.INCONCLUSIVE
    assert only(CHECK.check(story.history())).outcome is Result.INCONCLUSIVE
    assert only(CHECK.check(type(story)().history())).outcome is Result.INCONCLUSIVE
