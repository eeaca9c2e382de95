from dataclasses import replace

import pytest

from chaoskit.checkers.money import ReadWindow, Staleness
from chaoskit.checkers.money.books import LOOKED_AT
from chaoskit.model.topology import Evidence
from chaoskit.model.verdict import Result

PAY = {"ada": -100, "ben": 100}


@pytest.fixture
def paid(story, bank):
    """ada has 900 from 1 s on; the customer is told at 1.01 s."""
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", PAY)
    return story


def check(story, bank, **parameters):
    (finding,) = Staleness(**parameters).check(bank.close(story))
    return finding


def test_passes_for_a_look_that_is_behind_by_less_than_was_promised(paid, bank):
    paid.look(2, "ada", 1000, 0)
    assert ReadWindow().check(bank.close(paid))[0].outcome is Result.FAILED
    finding = check(paid, bank, within_s=1.0)
    assert (finding.outcome, finding.summary) == (Result.PASSED, "1 look at a balance, none more than 1 s behind")


def test_fails_for_a_look_that_is_further_behind(paid, bank):
    paid.look(2.1, "ada", 1000, 0)
    finding = check(paid, bank, within_s=1.0)
    assert finding.outcome is Result.FAILED
    assert finding.evidence == (
        (
            "account ada at 1,000 (balance, operation 2, answered 1.1 s into the load) was out of date:"
            " 100 from ada to ben (transfer, key k1, answered 0.0 s into the load) was done before the customer asked"
        ),
    )
    assert finding.measures == {"looks": 1, "late_looks": 1}
    assert (finding.checker, finding.summary) == ("staleness", "1 of 1 look at a balance more than 1 s behind")


def test_looks_at_different_copies_need_not_agree(paid, bank):
    paid.look(1.2, "ada", 900, 1, served_by="one")
    paid.look(1.4, "ada", 1000, 0, served_by="two")
    assert check(paid, bank, within_s=1.0).outcome is Result.PASSED


def test_what_is_wrong_but_not_old_is_for_other_checks(paid, bank):
    paid.look(0.5, "ada", 900, 1)  # before it was asked for
    paid.look(2, "ada", 7)
    assert check(paid, bank, within_s=1.0).outcome is Result.PASSED


def test_only_the_named_member_is_judged(paid, bank):
    paid.look(9, "ada", 1000, 0, served_by="two")
    assert check(paid, bank, within_s=1.0, served_by="two").outcome is Result.FAILED
    finding = check(paid, bank, within_s=1.0, served_by="one")
    assert (finding.outcome, finding.summary) == (
        Result.INCONCLUSIVE,
        "no look at an account of the ledger was answered by one",
    )


def test_proves_nothing_when_nobody_looked(paid, bank):
    finding = check(paid, bank, within_s=1.0)
    assert (finding.checker, finding.outcome) == ("staleness", Result.INCONCLUSIVE)
    assert finding.summary == "no look at an account of the ledger was answered"


def test_looks_need_not_agree_with_each_other_even_where_time_would_allow_it(paid, bank):
    """The first look was over before the second began, and both copies were within their time."""
    paid.look(1.2, "ada", 900, 1)
    paid.look(1.4, "ada", 1000, 0)
    assert check(paid, bank, within_s=1.0).measures == {"looks": 2, "late_looks": 0}


def test_needs_nothing_of_a_ledger_but_what_looks_are_held_against(paid, bank):
    paid.look(2, "ada", 900, 1)
    ledger = bank.ledger()
    for lacking in Evidence:
        (finding,) = Staleness(within_s=1.0).check(bank.close(paid, replace(ledger, lacks=frozenset({lacking}))))
        # Every key has an answer, so there is none to be closed.
        assert (finding.outcome is Result.PASSED) is (lacking not in LOOKED_AT - {Evidence.CLOSED_KEYS})


def test_two_copies_may_disagree_within_the_time(story, bank):
    """Nobody was told of the payment. One copy shows it, and after that another one does not."""
    story.operation(1, "info", key="k1", legs=PAY)
    bank.settled["k1"] = "applied"
    bank.book("k1", PAY)
    story.look(2, "ada", 900, 1)
    story.look(3, "ada", 1000, 0)
    assert ReadWindow().check(bank.close(story))[0].outcome is Result.FAILED
    assert check(story, bank, within_s=1.0).outcome is Result.PASSED
