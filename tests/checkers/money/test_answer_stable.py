from dataclasses import replace

import pytest

from chaoskit.checkers.money import AnswerStable
from chaoskit.model.verdict import Result

PAY = {"ada": -100, "ben": 100}
TOLD = {"account": "ada", "balance": 900, "version": 1, "served_by": "ledger-db-1"}


def check(story, bank):
    (finding,) = AnswerStable().check(bank.close(story))
    return finding


@pytest.fixture
def paid(story, bank):
    story.operation(1, "ok", "ok", key="k1", legs=PAY, result=TOLD)
    bank.book("k1", PAY)
    return story


def spoil(story, **changes):
    """Change the second answer."""
    operation = story.operations[0]
    first, second = operation.attempts
    story.operations[0] = replace(operation, attempts=(first, replace(second, **changes)))


def test_passes_when_the_same_key_gets_the_same_answer(paid, bank):
    finding = check(paid, bank)
    assert finding.outcome is Result.PASSED
    assert finding.summary == "2 answers about payments as in the ledger, 1 key answered again"


def test_who_carried_the_answer_may_change(paid, bank):
    spoil(paid, result={**TOLD, "served_by": "ledger-db-2"})
    assert check(paid, bank).outcome is Result.PASSED


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"result": {**TOLD, "version": 2}}, "was answered again, and not the same: version 1 and 2"),
        ({"result": {}}, "not the same: account 'ada' and None, balance 900 and None, version 1 and None"),
        ({"status": 202}, "was answered again, and not the same: 0 and 202"),
    ],
)
def test_fails_when_it_gets_another_one(paid, bank, changes, says):
    spoil(paid, **changes)
    finding = check(paid, bank)
    assert finding.outcome is Result.FAILED
    assert finding.summary.endswith(" about payments that did not stay true")
    assert finding.summary.startswith("1 answer " if finding.measures["unstable_answers"] == 1 else "2 answers ")
    assert says in finding.evidence[0]


def test_fails_when_another_payment_is_accepted_under_a_used_key(paid, bank):
    paid.operation(2, key="k1", intent="other", legs={"ada": -5, "ben": 5})
    finding = check(paid, bank)
    assert finding.outcome is Result.FAILED
    assert finding.evidence == (
        (
            "5 from ada to ben (transfer, key k1, answered 1.0 s into the load) was accepted under the key of"
            " 100 from ada to ben (transfer, key k1, answered 0.0 s into the load)"
        ),
    )


def test_another_payment_that_is_refused_under_a_used_key_is_fine(paid, bank):
    paid.operation(2, "fail", key="k1", intent="other", legs={"ada": -5, "ben": 5}, status=422)
    assert check(paid, bank).outcome is Result.PASSED


def test_fails_when_the_ledger_has_another_balance_than_was_told(story, bank):
    story.operation(1, key="k1", legs=PAY, result={**TOLD, "balance": 950})
    bank.book("k1", PAY)
    assert check(story, bank).evidence == (
        (
            "100 from ada to ben (transfer, key k1, answered 0.0 s into the load) left account ada at 950 by its answer,"
            " and at 900 by the ledger (version 1)"
        ),
    )


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"account": "ada", "balance": 900},
        {"account": "ada", "balance": 800, "version": 2},
        {"account": "ada", "version": 1},
        {"account": "ada", "balance": "900", "version": 1},
        {"account": ["ada"], "balance": 900, "version": 1},
    ],
)
def test_proves_nothing_when_nobody_asked_twice_and_no_answer_names_its_own_version(story, bank, told):
    story.operation(1, key="k1", legs=PAY, result=told)
    bank.book("k1", PAY)
    finding = check(story, bank)
    assert finding.outcome is Result.INCONCLUSIVE
    assert finding.summary == "no key was answered twice and no answer names a version of the ledger, so nothing was proven"
    assert not finding.is_absent
    assert AnswerStable(if_any=True).check(bank.close(story))[0].is_absent
