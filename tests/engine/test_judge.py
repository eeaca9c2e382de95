"""A history in, a verdict out."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from chaoskit.engine.judge import judge
from chaoskit.model.experiment import EnvironmentChoice, Experiment, LoadShape
from chaoskit.model.history import History, RunProblem
from chaoskit.model.verdict import Result, merge
from chaoskit.testing import FixedChecker

HISTORY = History(complete=True)


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
    assert result(History(), FixedChecker()) is Result.ERROR


def test_problems_of_the_run_come_before_findings_but_do_not_hide_them():
    history = History(complete=True, problems=(RunProblem(result="aborted", text="stopped: Ctrl-C"),))
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
