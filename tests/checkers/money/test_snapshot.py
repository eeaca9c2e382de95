"""Looks at several accounts against one order of payments. Each look here is right for every single account."""

import pytest

from chaoskit.checkers.money import ReadWindow, Snapshot
from chaoskit.model.verdict import Result

TO_BEN = {"ada": -100, "ben": 100}


def look(story, at, *shown, **how):
    """A customer sees several accounts in one answer: (account, balance) or (account, balance, version)."""
    named = [dict(zip(("account", "balance", "version"), one, strict=False)) for one in shown]
    story.operation(at, journey="overview", result={"accounts": named}, **how)


@pytest.fixture
def paid(story, bank):
    """Two payments over different accounts, at the same time, of which nobody was told."""
    bank.opening["dan"] = 1000
    for key, legs in (("k1", TO_BEN), ("k2", {"cid": -100, "dan": 100})):
        story.operation(1, "info", key=key, legs=legs)
        bank.settled[key] = "applied"
        bank.book(key, legs)
    return story


def check(story, bank):
    history = bank.close(story)
    assert ReadWindow().check(history)[0].outcome is Result.PASSED
    return Snapshot().check(history)[0]


def test_passes_when_all_looks_fit_one_order(paid, bank):
    look(paid, 2, ("ada", 900), ("ben", 1100), ("cid", 1000))
    look(paid, 3, ("ada", 900), ("cid", 900))
    finding = check(paid, bank)
    assert (finding.outcome, finding.summary) == (Result.PASSED, "2 looks and 2 payments in one order")


def test_fails_when_half_of_a_payment_was_seen(paid, bank):
    look(paid, 2, ("ada", 900), ("ben", 1000))
    finding = check(paid, bank)
    assert finding.outcome is Result.FAILED
    assert finding.summary == "what customers saw of several accounts fits no order of the payments"
    assert finding.evidence == (
        (
            "account ada at 900 (overview, operation 3, answered 1.0 s into the load)"
            " and account ben at 1,000 (overview, operation 3, answered 1.0 s into the load) came first,"
            " then 100 from ada to ben (transfer, key k1, answered 0.0 s into the load),"
            " as the versions of account ben say (0, 1);"
            " yet the last of them came before the first, as the versions of account ada say (1, 1)"
        ),
    )


def test_fails_when_two_looks_disagree_about_which_of_two_payments_was_first(paid, bank):
    look(paid, 2, ("ada", 900), ("cid", 1000), took=1.0)
    look(paid, 2.5, ("ada", 1000), ("cid", 900), took=1.0)
    finding = check(paid, bank)
    assert finding.outcome is Result.FAILED
    assert finding.measures == {"looks_ordered": 2, "looks_unsure": 0}


def test_fails_when_half_of_the_second_of_two_payments_was_seen(paid, bank):
    """ada has paid twice, and what the second payment gave cid is not there."""
    paid.operation(1, "info", key="k3", legs={"ada": -100, "cid": 100})
    bank.settled["k3"] = "applied"
    bank.book("k3", {"ada": -100, "cid": 100})
    look(paid, 2, ("ada", 800), ("cid", 900, 1))
    assert check(paid, bank).outcome is Result.FAILED


def test_a_look_may_show_what_was_asked_for_while_it_waited(paid, bank):
    look(paid, 0.5, ("ada", 900), ("ben", 1100), took=2.0)
    assert check(paid, bank).outcome is Result.PASSED


@pytest.fixture
def unsure(story, bank):
    """ada goes 1000, 900, 1000, 900 without an answer: 900 may be the first or the last."""
    for number, amount in enumerate((-100, 100, -100), start=1):
        legs = {"ada": amount, "ben": -amount}
        story.operation(1, "info", key=f"k{number}", legs=legs)
        bank.settled[f"k{number}"] = "applied"
        bank.book(f"k{number}", legs)
    return story


def test_a_guess_at_a_version_helps_to_find_an_order(unsure, bank):
    look(unsure, 2, ("ada", 900))
    finding = check(unsure, bank)
    assert finding.summary == "1 look and 3 payments in one order"
    assert finding.measures == {"looks_ordered": 1, "looks_unsure": 0}


def test_a_guess_at_a_version_that_would_prevent_the_order_is_left_out(unsure, bank):
    look(unsure, 2, ("ada", 900), ("ben", 1100, 3))
    look(unsure, 3, ("ben", 1100, 3))
    look(unsure, 4, ("ben", 1100, 3))
    finding = check(unsure, bank)
    assert finding.outcome is Result.PASSED
    assert finding.summary == "2 looks and 3 payments in one order; 1 look without a sure version left out"
    assert finding.measures == {"looks_ordered": 2, "looks_unsure": 1}


def test_a_guess_at_a_version_convicts_nobody(unsure, bank):
    """As the first 900 it would fit no order."""
    look(unsure, 2, ("ada", 900), ("ben", 1100, 3))
    history = bank.close(unsure)
    (finding,) = Snapshot().check(history)
    assert finding.outcome is Result.INCONCLUSIVE
    assert finding.summary == "no look has a sure place among the payments, so nothing was proven"


def test_proves_nothing_where_the_payments_have_no_order(story, bank):
    for number in (1, 2):
        story.operation(number, key=f"k{number}", legs=TO_BEN)
    for number in (2, 1):
        bank.book(f"k{number}", TO_BEN)
    story.look(3, "ada", 800)
    (finding,) = Snapshot().check(bank.close(story))
    assert finding.summary == "the payments alone have no order, so no look has a place in it"


def test_proves_nothing_when_nobody_looked(paid, bank):
    (finding,) = Snapshot().check(bank.close(paid))
    assert (finding.outcome, finding.is_absent) == (Result.INCONCLUSIVE, False)
    assert Snapshot(if_any=True).check(bank.close(paid))[0].is_absent


def test_fails_when_a_payment_was_seen_before_another_one_was_asked_for_that_came_before_it(story, bank):
    """ben's credit was seen at 3 s; by cid's versions it came after a payment that somebody asked for an hour later."""
    early, late = {"cid": -100, "ben": 100}, {"ada": -7, "cid": 7}
    story.operation(1, "info", key="early", legs=early)
    bank.settled["early"] = "applied"
    story.operation(3603, key="late", legs=late)
    bank.book("late", late)
    bank.book("early", early)
    story.look(3, "ben", 1100)
    finding = check(story, bank)
    assert finding.evidence == (
        (
            "7 from ada to cid (transfer, key late, answered 3602.0 s into the load) came first,"
            " then 100 from cid to ben (transfer, key early, answered 0.0 s into the load),"
            " as the versions of account cid say (1, 2),"
            " then account ben at 1,100 (balance, operation 3, answered 2.0 s into the load),"
            " as the versions of account ben say (1, 1);"
            " yet the last of them was over 3,599,990.0 ms before the first was asked for"
        ),
    )
