from dataclasses import replace

import pytest

from chaoskit.checkers.money import Reconciled
from chaoskit.checkers.money.witness import witness
from chaoskit.model.topology import Credit, Evidence
from chaoskit.model.verdict import Result

OUT = {"ada": -100, "clearing": 100}


@pytest.fixture
def interbank(story, bank):
    """A function that gives the findings of a run in which ada paid 100 to another bank, whose book has these credits."""
    bank.opening["clearing"] = 0

    def judge(*credits_, unsent=(), booked=1, says=None):
        story.operation(1, key="k1", legs=OUT)
        for _ in range(booked):
            bank.book("k1", OUT)
        whole = bank.ledger()
        accounts = tuple(replace(a, kind="clearing", lowest=None) if a.account == "clearing" else a for a in whole.accounts)
        ledger = replace(whole, accounts=accounts, credits=credits_, unsent=unsent)
        history = bank.close(story, ledger)
        return says(history) if says else Reconciled().check(history)[0]

    return judge


def credit(key="k1", amount=100):
    return Credit(key=key, account="other-7", amount=amount)


SAYS = "100 from ada to clearing (transfer, key k1, answered 0.0 s into the load)"


def test_passes_when_what_left_arrived_once(interbank):
    finding = interbank(credit())
    assert (finding.outcome, finding.summary) == (Result.PASSED, "1 payment to other banks, each of them arrived once")
    assert set(finding.measures.values()) == {0}


def test_fails_when_it_never_arrived(interbank):
    finding = interbank()
    assert finding.outcome is Result.FAILED
    assert finding.summary == "100 left for other banks and never arrived, 0 too much arrived there"
    assert finding.evidence == (f"{SAYS} left once and never arrived",)
    assert finding.measures["never_arrived"] == 1
    assert finding.measures["never_arrived_amount"] == 100


def test_fails_when_it_arrived_twice(interbank):
    finding = interbank(credit(), credit())
    assert finding.outcome is Result.FAILED
    assert finding.measures["arrived_too_much"] == 1
    assert finding.evidence == (f"{SAYS} left once and arrived twice",)
    assert finding.measures["arrived_too_much_amount"] == 100


def test_what_the_other_bank_has_booked_bears_witness(interbank):
    said = interbank(credit(), credit("k9"), credit(), says=witness)
    assert said["checker"] == "reconciled"
    assert said["credits"] == [{"key": "k1", "account": "other-7", "amount": 100}] * 2


def test_fails_when_it_arrived_and_is_not_in_this_banks_books(interbank):
    finding = interbank(credit(), booked=0)
    assert finding.evidence == (f"{SAYS} never left and arrived once",)


def test_fails_when_something_arrived_that_nobody_sent(interbank):
    finding = interbank(credit(), credit("k9", 7))
    assert finding.evidence == ("a payment under key k9, which no customer sent, never left and arrived once",)


def test_fails_when_another_amount_arrived(interbank):
    finding = interbank(credit(amount=90))
    assert finding.evidence == (f"{SAYS} left once with 100 and arrived once with 90",)
    assert (finding.measures["never_arrived_amount"], finding.measures["arrived_too_much_amount"]) == (100, 90)


def test_fails_when_two_left_under_one_key_and_one_arrived(interbank):
    assert interbank(credit(), booked=2).evidence == (f"{SAYS} left twice and arrived once",)


def test_the_dearest_comes_first(story, bank):
    bank.opening["clearing"] = 0
    for number, amount in enumerate((10, 500), start=1):
        story.operation(number, key=f"k{number}", legs={"ada": -amount, "clearing": amount})
        bank.book(f"k{number}", {"ada": -amount, "clearing": amount})
    whole = bank.ledger()
    accounts = tuple(replace(a, kind="clearing") if a.account == "clearing" else a for a in whole.accounts)
    (finding,) = Reconciled().check(bank.close(story, replace(whole, accounts=accounts, credits=())))
    assert [text.split(" ")[0] for text in finding.evidence] == ["500", "10"]


def test_proves_nothing_of_what_still_waits_to_be_sent(interbank):
    finding = interbank(unsent=("k1",))
    assert (finding.outcome, finding.is_absent) == (Result.INCONCLUSIVE, False)
    assert "1 payment to other banks still waited to be sent when the books were read: k1" in finding.summary


def test_names_the_first_three_that_wait(interbank, bank):
    for key in ("k2", "k3", "k4"):
        bank.book(key, OUT)
    finding = interbank(unsent=("k1", "k2", "k3", "k4"))
    assert finding.summary == "4 payments to other banks still waited to be sent when the books were read: k1, k2, k3"


def test_needs_no_versions_of_the_ledger(interbank):
    def judge(history):
        ledger = replace(history.final.first, lacks=frozenset({Evidence.VERSIONS}))
        return Reconciled().check(replace(history, final=replace(history.final, first=ledger, second=ledger)))[0]

    assert interbank(credit(), says=judge).outcome is Result.PASSED


def test_what_left_with_one_amount_and_arrived_with_another_is_apart_by_both(interbank, bank):
    bank.book("k2", {"ada": -150, "clearing": 150})
    said = interbank(credit(amount=90)).evidence
    assert [one.split("key ")[1].split(",")[0] for one in said] == ["k1", "k2"]


def test_what_waits_excuses_nothing_else(interbank):
    finding = interbank(credit("k9", 7), unsent=("k1",))
    assert finding.outcome is Result.FAILED
    assert len(finding.evidence) == 1


def test_what_arrived_and_waits_to_be_struck_off_is_fine(interbank):
    assert interbank(credit(), unsent=("k1",)).outcome is Result.PASSED


def test_proves_nothing_when_nobody_read_the_other_book_or_nothing_left(story, bank):
    story.operation(1, key="k1", legs={"ada": -100, "ben": 100})
    bank.book("k1", {"ada": -100, "ben": 100})
    for credits_, says in ((None, "no other bank's book was read"), ((), "no payment left for another bank")):
        for if_any in (False, True):
            ledger = replace(bank.ledger(), credits=credits_)
            (finding,) = Reconciled(if_any=if_any).check(bank.close(story, ledger))
            assert (finding.outcome, finding.is_absent) == (Result.INCONCLUSIVE, if_any)
            assert says in finding.summary


def test_what_is_odd_is_said_of_each_amount_and_time(interbank):
    says = interbank(credit(), credit(amount=1), credit(), credit(), credit(amount=1)).evidence
    assert says == (f"{SAYS} left once with 100 and arrived 3 times with 100 and arrived twice with 1",)


def test_credits_under_a_key_that_nobody_sent_are_told(interbank):
    says = interbank(credit(), credit(key="k9", amount=1)).evidence
    assert says == ("a payment under key k9, which no customer sent, never left and arrived once",)


def test_what_came_back_through_a_clearing_account_did_not_leave(interbank, bank):
    bank.book("k7", {"ada": 0, "clearing": 0})
    bank.book("k8", {"ada": 100, "clearing": -100})
    assert interbank(credit()).outcome is Result.PASSED


def test_the_smallest_amount_counts(interbank, bank):
    bank.book("k7", {"ada": -1, "clearing": 1})
    assert interbank(credit()).measures["never_arrived_amount"] == 1
