"""The early look at the books: what is known then, whom it convicts, and that nothing is injected where no fault was needed."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from chaoskit.checkers.money import MONEY, AckDurable, AnswerStable, AtMostOnce, NoRefusedEffect
from chaoskit.engine import early, store
from chaoskit.engine.guard import StopFlag
from chaoskit.engine.judge import judge
from chaoskit.engine.live import Cast
from chaoskit.engine.runner import run
from chaoskit.faults.kill import Kill
from chaoskit.model.errors import NotReady
from chaoskit.model.experiment import EnvironmentChoice, Experiment, Injection, LoadShape
from chaoskit.model.history import Attempt, EarlyRead, FaultRecord, FinalReads, History, Operation, Outcome
from chaoskit.model.journey import Habit
from chaoskit.model.topology import AccountState, LedgerState, Posting
from chaoskit.model.verdict import Finding, Result
from chaoskit.testing import FakeEnvironment, FakeLedger, FakeLoad, FixedChecker, SilentProgress

OK, FAIL, INFO = Outcome.OK, Outcome.FAIL, Outcome.INFO
LEGS = {"ada": -10, "ben": 10}


def attempt(number, start_ns, end_ns=None, outcome=INFO):
    return Attempt(number=number, start_ns=start_ns, end_ns=end_ns, outcome=outcome)


def pays(number, *attempts, key=""):
    key = key or f"k{number}"
    return Operation(number=number, journey="transfer", due_ns=number, attempts=attempts, intent=key, key=key, legs=LEGS)


def booked(*keys):
    """A ledger in which a payment was carried out for each key."""
    postings = tuple(
        posting
        for version, key in enumerate(keys, start=1)
        for posting in (
            Posting(
                transaction=f"t{version}", key=key, account="ada", version=version, amount=-10, balance_after=100 - 10 * version
            ),
            Posting(transaction=f"t{version}", key=key, account="ben", version=version, amount=10, balance_after=10 * version),
        )
    )
    accounts = (
        AccountState(account="ada", kind="customer", balance=100 - 10 * len(keys), version=len(keys), lowest=0),
        AccountState(account="ben", kind="customer", balance=10 * len(keys), version=len(keys), lowest=0),
    )
    return LedgerState(read_from="db", accounts=accounts, postings=postings)


def experiment(*expect, habits=None):
    load = LoadShape(
        arrivals_per_s=1, duration_s=30, mix={"transfer": 1}, habits={Habit.DOUBLE_TAP: 0.1} if habits is None else habits
    )
    faults = (Injection(fault=Kill(service="back"), at_s=10),)
    return Experiment(title="t", environment=EnvironmentChoice(use="fake"), load=load, faults=faults, expect=expect)


def history(*operations, ledger, begun_ns=100, **more):
    opening = {"ada": 100, "ben": 0}
    return History(opening=opening, operations=operations, early=EarlyRead(begun_ns=begun_ns, ledger=ledger), complete=True, **more)


def convicting(told):
    return [
        check.name
        for check in early.checks(experiment(*MONEY))
        for finding in check.check(early.known_early(told))
        if finding.outcome is Result.FAILED
    ]


def test_only_checks_that_can_judge_a_moving_ledger_are_asked_and_only_where_customers_have_habits():
    asked = early.checks(experiment(*MONEY))
    assert [type(check) for check in asked] == [AckDurable, AtMostOnce, NoRefusedEffect, AnswerStable]
    assert early.checks(experiment(*MONEY, habits={})) == ()
    assert early.checks(experiment(FixedChecker())) == ()


def test_right_books_are_not_accused_by_what_is_under_way():
    told = history(
        pays(1, attempt(1, 1, 50, OK)),
        pays(2, attempt(1, 90)),  # in the ledger, and its answer is still to come
        pays(3, attempt(1, 95)),  # not yet in the ledger
        pays(4, attempt(1, 98, 120, OK)),  # acknowledged after the reading had begun, and not seen by it
        pays(5, attempt(1, 60, 70, FAIL)),
        pays(6, attempt(1, 90, 130, FAIL)),
        ledger=booked("k1", "k2"),
    )
    assert convicting(told) == []
    known = early.known_early(told)
    assert [operation.outcome for operation in known.operations] == [OK, INFO, INFO, INFO, FAIL, INFO]
    assert convicting(replace(told, early=replace(told.early, begun_ns=10**9))) == ["ack-durable"]


@pytest.mark.parametrize(
    "operation, ledger, checker",
    [
        (pays(1, attempt(1, 1, 50, OK), attempt(2, 2, 51, OK)), booked("k1", "k1"), "at-most-once"),
        (pays(1, attempt(1, 1), attempt(2, 2)), booked("k1", "k1"), "at-most-once"),
        (pays(1, attempt(1, 1, 50, OK)), booked(), "ack-durable"),
        (pays(1, attempt(1, 1, 50, FAIL)), booked("k1"), "no-refused-effect"),
    ],
)
def test_what_can_never_become_right_convicts(operation, ledger, checker):
    told = history(operation, pays(2, attempt(1, 3, 40, OK)), ledger=replace(ledger, postings=(*ledger.postings, *also("k2"))))
    assert convicting(told) == [checker]


def also(key):
    """The postings of one more payment, which the early checks need not be able to put in order."""
    return (
        Posting(transaction="t-also", key=key, account="ada", version=99, amount=-10, balance_after=0),
        Posting(transaction="t-also", key=key, account="ben", version=99, amount=10, balance_after=0),
    )


def test_a_conviction_says_that_no_fault_was_needed_whatever_the_final_books_say():
    payment = pays(1, attempt(1, 1, 50, OK))
    end = booked("k1")
    told = history(payment, ledger=booked(), final=FinalReads(open_transactions=0, first=end, second=end))
    verdict = judge(experiment(AckDurable()), told, seed=1, reproduce="")
    assert verdict.result is Result.FAILED
    early_one, final = verdict.findings
    assert (early_one.outcome, final.outcome) == (Result.FAILED, Result.PASSED)
    assert early_one.summary.endswith(" before anything was injected (no fault was needed)")


def test_what_was_wrong_early_and_is_wrong_at_the_end_is_one_finding():
    payment = pays(1, attempt(1, 1, 50, OK), attempt(2, 2, 51, OK))
    twice = booked("k1", "k1")
    hit = FaultRecord(fault="f", kind="kill", targets=(), due_ns=200, injecting_ns=200, effect_seen=True)
    final = FinalReads(open_transactions=0, first=twice, second=twice)
    told = history(payment, ledger=twice, final=final, faults=(hit,))
    (finding,) = judge(experiment(AtMostOnce()), told, seed=1, reproduce="").findings
    assert finding.summary.endswith(" (no fault was needed)")
    # Without the early reading nobody knows whether the fault was needed.
    (finding,) = judge(experiment(AtMostOnce()), replace(told, early=None), seed=1, reproduce="").findings
    assert "no fault" not in finding.summary


@dataclass(frozen=True)
class Early:
    """A check of money that finds wrong what the test tells it to, and keeps what it was asked about."""

    name: ClassVar[str] = "early"
    is_sound_early: ClassVar[bool] = True
    is_wrong: bool
    asked: list

    def check(self, history):
        self.asked.append(history)
        outcome = Result.FAILED if self.is_wrong else Result.PASSED
        return (Finding(checker=self.name, outcome=outcome, summary="so", safety=True),)


class Unreadable(FakeLedger):
    """Cannot be read the first time."""

    reads = 0

    def read(self, keys=(), *, timeout_s):
        self.reads += 1
        if self.reads == 1:
            raise NotReady("ledger: nobody is the primary")
        return super().read(keys, timeout_s=timeout_s)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


class World:
    def __init__(self, tmp_path):
        self.tmp_path = tmp_path
        self.progress = SilentProgress()

    def run(self, check, *, ledger, habits=None):
        environment = FakeEnvironment(ledger=ledger)
        load = LoadShape(
            arrivals_per_s=100, duration_s=1.0, mix={"visit": 1}, habits={Habit.DOUBLE_TAP: 0.1} if habits is None else habits
        )
        about = Experiment(
            title="t",
            environment=EnvironmentChoice(use="fake"),
            load=load,
            faults=(Injection(fault=Kill(service="back"), at_s=0.5, for_s=0.2),),
            expect=(check,),
            document="title: t\n",
        )
        folder = store.RunFolder.create(self.tmp_path, about, seed=1)
        cast = Cast(environment=environment, load=FakeLoad(), probes=(), progress=self.progress, stop=StopFlag())
        verdict = run(about, cast, folder=folder, seed=1, reproduce="chaoskit run x")
        return verdict, environment, folder.read_history()


def test_a_baseline_that_is_wrong_is_convicted_and_nothing_is_injected(world):
    verdict, environment, told = world.run(Early(True, []), ledger=FakeLedger(booked("k1")))
    assert verdict.result is Result.FAILED
    assert verdict.problems[0] == "no fault was needed, so nothing was injected: early: so"
    assert environment.services["back"].calls == []
    assert told.first_injected_ns is None
    assert told.final.error == ""
    (finding,) = verdict.findings
    assert finding.summary == "so (no fault was needed)"


def test_a_baseline_that_is_right_is_broken_as_planned(world):
    check = Early(False, [])
    verdict, environment, told = world.run(check, ledger=FakeLedger(booked("k1")))
    assert verdict.result is Result.PASSED
    assert environment.services["back"].calls == ["kill", "start"]
    assert told.early.begun_ns < told.first_injected_ns
    assert (told.early.ledger, told.early.error) == (booked("k1"), "")
    assert check.asked[0].final.first == booked("k1")


def test_a_ledger_that_cannot_be_read_early_is_told_and_judged_at_the_end(world):
    verdict, _, told = world.run(Early(False, []), ledger=Unreadable(booked("k1")))
    assert verdict.result is Result.PASSED
    assert (told.early.ledger, told.early.error) == (None, "ledger: nobody is the primary")
    assert "whether the money was right before the first fault: ledger: nobody is the primary" in verdict.not_shown


def test_without_habits_the_books_are_left_alone_until_the_end(world):
    check = Early(True, [])
    verdict, environment, told = world.run(check, ledger=FakeLedger(booked("k1")), habits={})
    assert (verdict.result, told.early) == (Result.FAILED, None)
    assert environment.services["back"].calls == ["kill", "start"]
