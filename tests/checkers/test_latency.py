from chaoskit.checkers.latency import Latency
from chaoskit.model.verdict import Result


def only(findings):
    (finding,) = findings
    return finding


def test_passes_when_the_percentile_is_fast_enough(story):
    story.flow(0, 9.9, took=0.01)
    story.operation(9.9, took=3.0)
    finding = only(Latency(journey="transfer", at_most_s=0.01, p=0.99).check(story.history()))
    assert finding.outcome is Result.PASSED
    assert finding.measures == {"latency_s": 0.01, "unserved_operations": 0, "operations": 100}
    assert finding.summary == (
        "the 99th percentile of 100 transfer operations was 10.0 ms (asked: at most 10 ms); 0 were not served"
    )


def test_fails_when_it_is_not(story):
    story.flow(0, 9.8, took=0.01)
    story.flow(9.8, 10, took=3.0)
    finding = only(Latency(journey="transfer", at_most_s=1.0, p=0.99).check(story.history()))
    assert finding.outcome is Result.FAILED
    assert finding.measures["latency_s"] == 3.0


def test_counts_from_the_due_time(story):
    story.flow(0, 10, took=0.01, late=2.0)
    assert only(Latency(journey="transfer", at_most_s=1.0).check(story.history())).measures["latency_s"] == 2.01


def test_what_never_ended_is_infinitely_slow(story):
    story.flow(0, 9)
    story.flow(9, 10, "info", took=None)
    finding = only(Latency(journey="transfer", at_most_s=1000.0).check(story.history()))
    assert finding.outcome is Result.FAILED
    assert finding.measures == {"latency_s": None, "unserved_operations": 10, "operations": 100}
    assert "was no answer (asked" in finding.summary


def test_an_error_does_not_become_fast_by_coming_early(story):
    story.flow(0, 10, "fail", took=0.001)
    assert only(Latency(journey="transfer", at_most_s=1.0).check(story.history())).outcome is Result.FAILED


def test_proves_nothing_without_enough_operations(story):
    story.flow(0, 0.4)
    assert only(Latency(journey="transfer", at_most_s=1.0).check(story.history())).outcome is Result.INCONCLUSIVE
    assert only(Latency(journey="transfer", at_most_s=1.0).check(type(story)().history())).outcome is Result.INCONCLUSIVE
