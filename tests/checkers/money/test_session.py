from dataclasses import replace

import pytest

from chaoskit.checkers.money import ReadWindow, Session
from chaoskit.checkers.money.books import LOOKED_AT
from chaoskit.model.topology import Evidence
from chaoskit.model.verdict import Result

PAY = {"ada": -100, "ben": 100}


@pytest.fixture
def paid(story, bank):
    """Ada pays Ben, and is told."""
    story.operation(1, key="k1", legs=PAY, session="ada")
    bank.book("k1", PAY)
    return story


def check(story, bank):
    (finding,) = Session().check(bank.close(story))
    return finding


def test_passes_when_somebody_else_sees_it_later(paid, bank):
    paid.look(2, "ada", 900, session="ada")
    paid.look(2, "ben", 1000, session="ben")
    assert ReadWindow().check(bank.close(paid))[0].outcome is Result.FAILED
    finding = check(paid, bank)
    assert (finding.outcome, finding.summary) == (Result.PASSED, "2 looks, none of them less than the same customer knew")


def test_fails_when_a_customer_does_not_see_their_own_payment(paid, bank):
    paid.look(2, "ada", 1000, session="ada")
    finding = check(paid, bank)
    assert finding.outcome is Result.FAILED
    assert finding.evidence == (
        (
            "account ada at 1,000 (balance, operation 2, answered 1.0 s into the load) was out of date:"
            " 100 from ada to ben (transfer, key k1, answered 0.0 s into the load) was done before the customer asked"
        ),
    )


def test_fails_when_a_customer_sees_an_older_state_than_before(paid, bank):
    paid.look(2, "ben", 1100, session="ben")
    paid.look(3, "ben", 1000, session="ben")
    finding = check(paid, bank)
    assert (finding.checker, finding.outcome, finding.measures) == ("session", Result.FAILED, {"looks": 2, "old_looks": 1})
    assert finding.summary == "1 of 2 looks showed less than the same customer knew"


def test_what_another_customer_saw_does_not_bind(paid, bank):
    paid.look(2, "ben", 1100, session="cid")
    paid.look(3, "ben", 1000, session="ben")
    assert check(paid, bank).outcome is Result.PASSED


def test_a_key_that_two_customers_sent_binds_neither(paid, bank):
    paid.operation(5, key="k1", legs=PAY, session="ben")
    paid.look(2, "ada", 1000, session="ada")
    assert check(paid, bank).outcome is Result.PASSED


def test_a_payment_that_its_customer_was_not_told_of_does_not_bind(story, bank):
    story.operation(1, "info", key="k1", legs=PAY, session="ada")
    bank.settled["k1"] = "applied"
    bank.book("k1", PAY)
    story.look(2, "ada", 1000, session="ada")
    assert check(story, bank).outcome is Result.PASSED


def test_proves_nothing_when_nobody_is_known(paid, bank):
    paid.look(2, "ada", 1000)
    finding = check(paid, bank)
    assert (finding.checker, finding.outcome) == ("session", Result.INCONCLUSIVE)
    assert finding.summary == "no look at an account of the ledger is of a known customer, so nothing was proven"


def test_needs_nothing_of_a_ledger_but_what_looks_are_held_against(paid, bank):
    paid.look(2, "ada", 900, session="ada")
    ledger = bank.ledger()
    for lacking in Evidence:
        (finding,) = Session().check(bank.close(paid, replace(ledger, lacks=frozenset({lacking}))))
        # Every key has an answer, so there is none to be closed.
        assert (finding.outcome is Result.PASSED) is (lacking not in LOOKED_AT - {Evidence.CLOSED_KEYS})
