"""The payments must have an order: literal histories of two or three of them."""

from dataclasses import replace

import pytest

from chaoskit.checkers.money import Order
from chaoskit.model.verdict import Finding, Result

PAY = {"ada": -100, "ben": 100}


def test_passes_when_the_ledger_has_the_order_in_which_customers_were_told(story, bank):
    for number in (1, 2, 3):
        story.operation(number, key=f"k{number}", legs=PAY)
        bank.book(f"k{number}", PAY)
    (finding,) = Order().check(bank.close(story))
    assert finding.outcome is Result.PASSED
    assert finding.summary == "3 payments in one order that agrees with every account and with time"
    assert finding.measures == {"payments_ordered": 3}


def test_fails_when_a_payment_is_booked_before_one_that_was_over_when_it_was_asked_for(story, bank):
    for number in (1, 2):
        story.operation(number, key=f"k{number}", legs=PAY)
    for number in (2, 1):
        bank.book(f"k{number}", PAY)
    assert Order().check(bank.close(story)) == (
        Finding(
            checker="order",
            outcome=Result.FAILED,
            summary="the payments cannot have happened one after the other",
            evidence=(
                (
                    "100 from ada to ben (transfer, key k2, answered 1.0 s into the load) came first,"
                    " then 100 from ada to ben (transfer, key k1, answered 0.0 s into the load),"
                    " as the versions of account ada say (1, 2);"
                    " yet the last of them was over 990.0 ms before the first was asked for"
                ),
            ),
            measures={"payments_ordered": 0},
            safety=True,
        ),
    )


def test_fails_when_time_and_accounts_contradict_each_other_only_together(story, bank):
    """k1 was over before k2 began. Neither shares an account with the other, but k3 does with both."""
    story.operation(1, key="k1", legs={"ada": -1, "vault": 1})
    story.operation(2, key="k2", legs={"ben": -1, "cid": 1})
    story.operation(0, key="k3", legs={"ben": -1, "ada": 1}, took=5)
    for key, legs in (("k2", {"ben": -1, "cid": 1}), ("k3", {"ben": -1, "ada": 1}), ("k1", {"ada": -1, "vault": 1})):
        bank.book(key, legs)
    (finding,) = Order().check(bank.close(story))
    assert finding.outcome is Result.FAILED
    assert finding.evidence[0].count(", then ") == 2
    assert finding.evidence[0].endswith("; yet the last of them was over 990.0 ms before the first was asked for")


def test_two_payments_at_once_may_be_in_either_order(story, bank):
    for number in (1, 2):
        story.operation(number, key=f"k{number}", legs=PAY, took=1.0)  # the second is asked for as the first is answered
    for number in (2, 1):
        bank.book(f"k{number}", PAY)
    (finding,) = Order().check(bank.close(story))
    assert finding.outcome is Result.PASSED


def test_a_payment_without_an_answer_may_have_happened_at_any_later_time(story, bank):
    story.operation(1, "info", key="k1", legs=PAY)
    story.operation(2, key="k2", legs=PAY)
    bank.settled["k1"] = "applied"
    for number in (2, 1):
        bank.book(f"k{number}", PAY)
    (finding,) = Order().check(bank.close(story))
    assert finding.outcome is Result.PASSED


def test_a_payment_without_an_answer_cannot_have_happened_before_it_was_asked_for(story, bank):
    story.operation(1, key="k1", legs=PAY)
    story.operation(2, "info", key="k2", legs=PAY)
    bank.settled["k2"] = "applied"
    for number in (2, 1):
        bank.book(f"k{number}", PAY)
    (finding,) = Order().check(bank.close(story))
    assert finding.outcome is Result.FAILED


def test_which_of_two_effects_an_answer_was_about_is_not_guessed(story, bank):
    """Twice in the ledger is for `at-most-once`; the second effect came after the answer and accuses nobody here."""
    story.operation(1, key="k1", legs=PAY)
    story.operation(2, key="k2", legs=PAY)
    for key in ("k1", "k2", "k1"):
        bank.book(key, PAY)
    (finding,) = Order().check(bank.close(story))
    assert finding.outcome is Result.PASSED


def test_the_first_of_two_answers_is_when_the_customer_knew(story, bank):
    story.operation(1, "ok", "ok", key="k1", legs=PAY, took=4.0)  # at 5 and at 9
    story.operation(6, key="k2", legs=PAY)
    for key in ("k2", "k1"):
        bank.book(key, PAY)
    (finding,) = Order().check(bank.close(story))
    assert finding.outcome is Result.FAILED


def test_two_payments_with_the_same_version_have_no_order_by_it(story, bank):
    """A fork is for `version-chain`."""
    for number in (1, 2):
        story.operation(number, key=f"k{number}", legs=PAY)
    for number in (2, 1):
        bank.book(f"k{number}", PAY)
    ledger = bank.ledger()
    forked = replace(ledger, postings=tuple(replace(posting, version=1) for posting in ledger.postings))
    (finding,) = Order().check(bank.close(story, forked))
    assert finding.outcome is Result.PASSED


def test_proves_nothing_without_postings(story, bank):
    story.operation(1, "fail", key="k1", legs=PAY)
    (finding,) = Order().check(bank.close(story))
    assert finding.outcome is Result.INCONCLUSIVE


@pytest.mark.parametrize("times, says", [((1.0, 9.0, 2.0), "(3, 5)"), ((9.0, 1.0, 10.0), "(1, 3)")])
def test_the_order_of_payments_with_several_postings_of_one_account_is_told_by_those_farthest_apart(story, bank, times, says):
    """t1 has ada's versions 1 and 2, t3 has 4 and 5; t2 stands between, and was asked for last or before the first."""
    for number, at in enumerate(times, start=1):
        story.operation(at, key=f"k{number}", legs=PAY)
        bank.book(f"k{number}", PAY)
    rows = []
    for posting in bank.ledger().postings:
        if posting.account == "ada" and posting.key != "k2":
            rows += [replace(posting, amount=-40), replace(posting, amount=-60)]
        else:
            rows.append(posting)
    held = {"ada": 1000, "ben": 1000}
    versions = dict.fromkeys(held, 0)
    for index, posting in enumerate(rows):
        versions[posting.account] += 1
        held[posting.account] += posting.amount
        rows[index] = replace(posting, version=versions[posting.account], balance_after=held[posting.account])
    (finding,) = Order().check(bank.close(story, replace(bank.ledger(), postings=tuple(rows))))
    assert finding.outcome is Result.FAILED
    assert f"as the versions of account ada say {says}; yet" in finding.evidence[0]


def test_an_answer_from_before_its_question_has_no_place_in_any_order(story, bank):
    story.operation(2, key="k1", legs=PAY, took=-1.5)
    bank.book("k1", PAY)
    (finding,) = Order().check(bank.close(story))
    assert finding.outcome is Result.FAILED
    assert finding.evidence[0].endswith(" came first; yet it was over 1,500.0 ms before the first was asked for")
