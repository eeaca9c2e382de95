"""A history in, a verdict out."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from chaoskit.engine.judge import judge
from chaoskit.model.experiment import EnvironmentChoice, Experiment, LoadShape
from chaoskit.model.history import Attempt, FaultRecord, History, Operation, Outcome, RunProblem
from chaoskit.model.verdict import Finding, Result, merge
from chaoskit.testing import FixedChecker

OPERATION = Operation(number=1, journey="visit", due_ns=1, attempts=(Attempt(number=1, start_ns=1, end_ns=2, outcome=Outcome.OK),))
HISTORY = History(complete=True, operations=(OPERATION,))


def experiment(*expect, steady=()):
    load = LoadShape(arrivals_per_s=1, duration_s=30, mix={"visit": 1})
    choice = EnvironmentChoice(use="fake")
    return Experiment(title="t", environment=choice, load=load, expect=expect, steady_state=steady)


def result(history, *expect, steady=()):
    return judge(experiment(*expect, steady=steady), history, seed=1, reproduce="").result


def test_the_order_of_merging():
    passed, inconclusive, failed, aborted, error = Result
    assert merge([passed, inconclusive]) is inconclusive
    assert merge([failed, inconclusive]) is failed
    assert merge([failed, aborted]) is aborted
    assert merge([error, aborted, failed]) is error
    assert merge([]) is inconclusive


@pytest.mark.parametrize("outcome,code", [("passed", 0), ("failed", 1), ("inconclusive", 3), ("aborted", 4), ("error", 5)])
def test_exit_codes(outcome, code):
    assert Result(outcome).exit_code == code


def test_every_expectation_counts():
    assert result(HISTORY, FixedChecker(), FixedChecker()) is Result.PASSED
    assert result(HISTORY, FixedChecker(), FixedChecker(outcome=Result.FAILED)) is Result.FAILED
    assert result(HISTORY) is Result.INCONCLUSIVE


def test_a_history_without_an_end_is_an_error():
    assert result(replace(HISTORY, complete=False), FixedChecker()) is Result.ERROR
    assert result(History(), FixedChecker()) is Result.ERROR


def test_a_run_that_nobody_came_to_shows_nothing():
    assert result(replace(HISTORY, operations=()), FixedChecker()) is Result.INCONCLUSIVE


def test_what_was_answered_only_when_it_was_sent_again_is_counted_as_without_an_answer_and_as_settled():
    lost = Attempt(number=1, start_ns=1, end_ns=2)
    again = (
        Attempt(number=2, start_ns=5, end_ns=6, is_resent=True),
        Attempt(number=3, start_ns=7, end_ns=8, outcome=Outcome.OK, is_resent=True),
    )
    operations = (OPERATION, replace(OPERATION, attempts=(lost, *again)), replace(OPERATION, attempts=(lost, again[0])))
    verdict = judge(experiment(FixedChecker()), replace(HISTORY, operations=operations), seed=1, reproduce="")
    assert verdict.operations == {"info": 2, "ok": 1}
    assert verdict.settled == {"answered": 1}


HIT = FaultRecord(fault="f", kind="k", targets=(), due_ns=1, injecting_ns=1, effect_seen=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Says:
    """A checker that says this."""

    name: ClassVar[str] = "says"

    checker: str
    outcome: Result = Result.FAILED
    safety: bool = True

    def check(self, history):
        return (Finding(checker=self.checker, outcome=self.outcome, summary="so", safety=self.safety),)


@dataclass(frozen=True)
class Absent:
    """Has nothing to judge; `is_absent` says that nobody minds."""

    name: str
    is_absent: bool

    def check(self, history):
        return (Finding(checker=self.name, outcome=Result.INCONCLUSIVE, summary="nobody did", is_absent=self.is_absent),)


def test_what_was_to_be_judged_if_there_was_any_is_named_as_not_shown_and_weighs_nothing():
    checks = (FixedChecker(), Absent("one", is_absent=True), Absent("two", is_absent=True))
    verdict = judge(experiment(*checks), HISTORY, seed=1, reproduce="")
    assert (verdict.result, [finding.checker for finding in verdict.findings]) == (Result.PASSED, [FixedChecker.name])
    assert verdict.not_shown[0] == "one, two: nobody did"
    assert result(HISTORY, FixedChecker(), Absent("one", is_absent=False)) is Result.INCONCLUSIVE
    assert result(HISTORY, Absent("one", is_absent=True)) is Result.INCONCLUSIVE, "nothing was shown at all"


def test_what_may_follow_from_an_earlier_violation_about_money_says_so():
    expect = (
        Says(checker="takeover", safety=False),
        Says(checker="fine", outcome=Result.PASSED),
        Says(checker="lost"),
        Says(checker="unclear", outcome=Result.INCONCLUSIVE),
        Says(checker="seen"),
        Says(checker="latency", safety=False),
        Says(checker="order"),
    )
    verdict = judge(experiment(*expect), replace(HISTORY, faults=(HIT,)), seed=1, reproduce="")
    assert {f.checker: f.summary for f in verdict.findings if f.summary != "so"} == {
        "seen": "so (may follow from lost: look there first)",
        "order": "so (may follow from lost: look there first)",
    }


@pytest.mark.parametrize("injecting_ns,effect_seen", [(None, False), (5, False)])
def test_a_fault_that_did_not_bite_shows_nothing_whatever_the_checks_say(injecting_ns, effect_seen):
    fault = FaultRecord(fault="f", kind="k", targets=(), due_ns=1, injecting_ns=injecting_ns, effect_seen=effect_seen)
    assert result(replace(HISTORY, faults=(fault,)), FixedChecker()) is Result.INCONCLUSIVE
    bit = replace(fault, injecting_ns=5, effect_seen=True)
    assert result(replace(HISTORY, faults=(bit,)), FixedChecker()) is Result.PASSED


def test_problems_of_the_run_come_before_findings_but_do_not_hide_them():
    history = replace(HISTORY, problems=(RunProblem(result="aborted", text="stopped: Ctrl-C"),))
    verdict = judge(experiment(FixedChecker(outcome=Result.FAILED)), history, seed=1, reproduce="")
    assert verdict.result is Result.ABORTED
    assert [finding.outcome for finding in verdict.findings] == [Result.FAILED]


def test_a_steady_state_that_was_not_there_is_inconclusive_not_failed():
    assert result(HISTORY, FixedChecker(), steady=(FixedChecker(outcome=Result.FAILED),)) is Result.INCONCLUSIVE


@dataclass(frozen=True)
class Breaks:
    name: ClassVar[str] = "breaks"

    def check(self, history):
        raise ZeroDivisionError("oops")


@dataclass(frozen=True)
class SaysNothing:
    name: ClassVar[str] = "says-nothing"

    def check(self, history):
        return ()


@pytest.mark.parametrize("checker,complaint", [(Breaks(), "ZeroDivisionError: oops"), (SaysNothing(), "said nothing")])
def test_a_checker_that_breaks_or_says_nothing_never_passes(checker, complaint):
    verdict = judge(experiment(checker), HISTORY, seed=1, reproduce="")
    assert verdict.result is Result.INCONCLUSIVE
    assert complaint in verdict.findings[0].summary
