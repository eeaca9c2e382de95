from dataclasses import replace

import pytest

from chaoskit.checkers.money import NoOverdraft, group_limit
from chaoskit.model.topology import Evidence, GroupLimit
from chaoskit.model.verdict import Result

EMPTY = {"ada": -1000, "ben": 1000}


def test_passes_when_an_account_goes_to_its_limit(story, bank):
    story.operation(1, key="k1", legs=EMPTY)
    bank.book("k1", EMPTY)
    (finding,) = NoOverdraft().check(bank.close(story))
    assert finding.outcome is Result.PASSED
    assert finding.summary == "3 accounts with a limit, none ever below it"
    assert finding.measures == {"accounts_below": 0, "groups_below": 0, "amount_below": 0}


def test_fails_when_it_was_below_for_a_moment(story, bank):
    for number, legs in enumerate((EMPTY, {"ada": -5, "cid": 5}, {"ada": 50, "ben": -50})):
        story.operation(number, key=f"k{number}", legs=legs)
        bank.book(f"k{number}", legs)
    (finding,) = NoOverdraft().check(bank.close(story))
    assert finding.outcome is Result.FAILED
    assert finding.evidence == ("account ada was at -5, lowest allowed 0",)
    assert finding.measures == {"accounts_below": 1, "groups_below": 0, "amount_below": 5}


def test_a_limit_may_be_below_nothing(story, bank):
    bank.lowest = -500
    for number, more in enumerate((1500, 1)):
        story.operation(number, key=f"k{number}", legs={"ada": -more, "ben": more})
        bank.book(f"k{number}", {"ada": -more, "ben": more})
        (finding,) = NoOverdraft().check(bank.close(story))
        assert finding.outcome is (Result.PASSED, Result.FAILED)[number]
    assert finding.evidence == ("account ada was at -501, lowest allowed -500",)


def test_an_account_without_a_limit_may_go_below(story, bank):
    story.operation(1, key="k1", legs={"clearing": -5, "ada": 5})
    bank.book("k1", {"clearing": -5, "ada": 5})
    whole = bank.ledger()
    accounts = tuple(replace(a, lowest=None) if a.account == "clearing" else a for a in whole.accounts)
    (finding,) = NoOverdraft().check(bank.close(story, replace(whole, accounts=accounts)))
    assert finding.outcome is Result.PASSED


def test_proves_nothing_when_nobody_has_a_limit_or_nothing_moved(story, bank):
    story.operation(1, key="k1", legs=EMPTY)
    assert NoOverdraft().check(bank.close(story))[0].outcome is Result.INCONCLUSIVE
    bank.book("k1", EMPTY)
    bank.lowest = None
    (finding,) = NoOverdraft().check(bank.close(story))
    assert finding.outcome is Result.INCONCLUSIVE
    assert finding.summary == "no account has a lowest balance, so nothing was proven"


def test_an_account_that_was_opened_during_the_run_begins_with_nothing(story, bank):
    for number, amount in enumerate((-5, 5)):
        story.operation(number, key=f"k{number}", legs={"eve": amount, "ada": -amount})
        bank.book(f"k{number}", {"eve": amount, "ada": -amount})
    (finding,) = NoOverdraft().check(bank.close(story))
    assert finding.evidence == ("account eve was at -5, lowest allowed 0",)


def test_names_first_what_was_furthest_below_accounts_and_groups_alike(story, bank):
    for number, (payer, amount) in enumerate((("ada", 1005), ("ben", 1300), ("cid", 1007))):
        legs = {payer: -amount, "dan": amount}
        story.operation(number, key=f"k{number}", legs=legs)
        bank.book(f"k{number}", legs)
    ledger = replace(bank.ledger(), limits=(GroupLimit(group="family", accounts=("ada", "cid"), lowest=0),))
    (finding,) = NoOverdraft().check(bank.close(story, ledger))
    assert finding.summary == "4 of 4 accounts and 1 group of accounts with a limit below it"
    assert [said.split(", lowest")[0] for said in finding.evidence] == [
        "account ben was at -300",
        "accounts ada, cid together are at -12",
        "account cid was at -7",
        "account ada was at -5",
    ]


def test_an_account_of_which_only_the_end_is_known_is_not_accused_of_its_way(story, bank):
    """Without versions nobody knows whether it was paid first, or had paid."""
    for number, legs in enumerate((EMPTY, {"ada": -5, "cid": 5}, {"ada": 50, "ben": -50})):
        story.operation(number, key=f"k{number}", legs=legs)
        bank.book(f"k{number}", legs)
    (finding,) = NoOverdraft().check(bank.close(story, replace(bank.ledger(), lacks=frozenset({Evidence.VERSIONS}))))
    assert finding.outcome is Result.INCONCLUSIVE


def test_a_group_that_cannot_be_judged_does_not_excuse_another_one(story, bank):
    bank.lowest = None
    story.operation(1, key="k1", legs={"ada": -2500, "cid": 2500})
    bank.book("k1", {"ada": -2500, "cid": 2500})
    unknown = GroupLimit(group="firm", accounts=("ben", "nobody"), lowest=0)
    family = GroupLimit(group="family", accounts=("ada", "ben"), lowest=0)
    (finding,) = NoOverdraft().check(bank.close(story, replace(bank.ledger(), limits=(unknown, family))))
    assert finding.outcome is Result.FAILED
    assert finding.evidence == ("accounts ada, ben together are at -500, lowest allowed 0",)


@pytest.fixture
def together(story, bank):
    """A function that judges payments `(begins, ends, legs)`; ada and ben, with 1,000 each, may not be below 0 together."""
    bank.lowest = None

    def judge(*payments, lowest=0, **changes):
        for number, (begins, ends, legs) in enumerate(payments):
            story.operation(begins, key=f"k{number}", legs=legs, took=ends and ends - begins)
            bank.book(f"k{number}", legs)
        limits = (GroupLimit(group="family", accounts=("ada", "ben"), lowest=lowest),)
        (finding,) = NoOverdraft().check(bank.close(story, replace(bank.ledger(), limits=limits, **changes)))
        return finding

    return judge


def pay(payer, amount, payee="cid"):
    return {payer: -amount, payee: amount}


def test_one_of_two_may_be_overdrawn_as_long_as_both_hold_enough(together):
    finding = together((1, 2, pay("ada", 2000)))
    assert (finding.outcome, finding.summary) == (Result.PASSED, "1 group of accounts with a limit, none ever below it")


def test_fails_when_both_together_end_below(together):
    """Write skew: each of two payments at once found enough, since neither saw the other."""
    finding = together((1, 2, pay("ada", 1500)), (1, 2, pay("ben", 1500)))
    assert finding.outcome is Result.FAILED
    assert finding.evidence == ("accounts ada, ben together are at -1,000, lowest allowed 0",)
    assert finding.measures == {"accounts_below": 0, "groups_below": 1, "amount_below": 1000}


def test_fails_when_it_was_below_for_a_moment_in_every_order(together):
    finding = together((1, 2, pay("ada", 1500)), (1, 2, pay("ben", 1500)), (3, 4, pay("cid", 1000, "ada")))
    assert finding.outcome is Result.FAILED
    (said,) = finding.evidence
    assert said.startswith(
        "accounts ada, ben together were at -1,000, lowest allowed 0, after 1,500 from ben to cid (transfer, key k1,"
    )
    assert said.endswith("into the load): whatever came first of all that was at once")


def test_a_credit_that_was_at_once_with_the_debits_may_have_come_first(together):
    payments = ((1, 2, pay("ada", 1500)), (1, 2, pay("ben", 1500)), (1.5, 4, pay("cid", 1000, "ada")))
    # In the ledger the credit is ada's second version, and may still be before ben's debit.
    assert together(*payments).outcome is Result.PASSED


def test_a_credit_that_nobody_was_told_of_may_have_come_early_but_not_before_it_was_asked_for(together, story, bank):
    assert (
        together((1, 2, pay("ada", 1500)), (3, 4, pay("ben", 1500)), (2.5, None, pay("cid", 1000, "ada"))).outcome is Result.PASSED
    )


def test_a_credit_that_was_asked_for_after_the_debits_excuses_nothing(together):
    payments = ((1, 2, pay("ada", 1500)), (3, 4, pay("ben", 1500)), (4.5, None, pay("cid", 1000, "ada")))
    assert together(*payments).outcome is Result.FAILED


def test_a_transfer_between_the_two_changes_nothing_and_holds_both_accounts_to_one_order(together):
    payments = ((1, 9, pay("ada", 1500)), (1, 9, pay("ben", 300, "ada")), (1, 9, pay("ben", 500)), (1, 9, pay("cid", 100, "ben")))
    assert together(*payments).outcome is Result.PASSED


def test_a_group_may_have_a_limit_above_or_below_nothing(together):
    assert together((1, 2, pay("ada", 1500)), lowest=500).outcome is Result.PASSED


def test_fails_one_below_a_limit_above_nothing(together):
    assert together((1, 2, pay("ada", 1501)), lowest=500).outcome is Result.FAILED


def test_a_group_with_a_broken_history_is_not_judged(together, bank):
    bank.book("k0", pay("ada", 2500))
    bank.book("k1", pay("cid", 2500, "ben"))
    whole = bank.ledger()
    broken = tuple(replace(posting, version=7) if posting.account == "ben" else posting for posting in whole.postings)
    finding = together((1, 2, pay("cid", 5, "ada")), postings=broken)
    assert finding.outcome is Result.INCONCLUSIVE
    assert "1 group of accounts could not be judged: family: one of its accounts has a broken history" in finding.summary


def test_what_could_have_been_in_too_many_orders_is_not_guessed(story, bank):
    """Many accounts, all of whose payments were at once."""
    bank.lowest = None
    names = [f"a{number}" for number in range(12)]
    bank.opening |= dict.fromkeys(names, 10)
    for number, name in enumerate(names * 3):
        legs = pay(name, 5) if number < 24 else pay("cid", 5, name)
        story.operation(1, key=f"k{number}", legs=legs, took=50)
        bank.book(f"k{number}", legs)
    limits = (GroupLimit(group="firm", accounts=tuple(names), lowest=40),)
    (finding,) = NoOverdraft().check(bank.close(story, replace(bank.ledger(), limits=limits)))
    assert finding.outcome is Result.INCONCLUSIVE
    assert finding.summary.endswith("firm: too much happened to it at once to try every order")


@pytest.mark.parametrize("most, outcome", [(8, Result.PASSED), (7, Result.INCONCLUSIVE)])
def test_gives_up_after_so_many_states_of_all_accounts_together(together, monkeypatch, most, outcome):
    """Four payments one after the other: before each there is one state, of two accounts."""
    monkeypatch.setattr(group_limit, "MOST_STATES", most)
    payments = ((1, 2, pay("ada", 1500)), (3, 4, pay("ben", 500)), (5, 6, pay("cid", 600, "ada")), (7, 8, pay("ben", 600)))
    assert together(*payments).outcome is outcome


def test_a_group_that_came_to_its_limit_and_not_below_is_right(together):
    """Each of the two is at its lowest at another time, so that the way has to be followed."""
    payments = ((1, 2, pay("ada", 1500)), (3, 4, pay("ben", 500)), (5, 6, pay("cid", 600, "ada")), (7, 8, pay("ben", 600)))
    assert together(*payments).outcome is Result.PASSED


def test_a_group_that_came_to_its_limit_first_may_still_have_been_below_later(together):
    payments = ((1, 2, pay("ada", 1500)), (3, 4, pay("ben", 500)), (5, 6, pay("cid", 600, "ada")), (7, 8, pay("ben", 700)))
    finding = together(*payments, (9, 10, pay("cid", 200, "ada")))
    assert finding.outcome is Result.FAILED
    assert finding.measures["amount_below"] == 100


def test_a_payment_that_lowers_nothing_is_right_also_below_the_limit(together):
    payments = ((1, 2, {"ada": -100, "ben": 100}), (3, 4, pay("cid", 600, "ada")))
    assert together(*payments, lowest=2500).outcome is Result.PASSED


def other_way(bank, there, back):
    """The postings of two transfers between ada and ben, in that order for her and the other way round for him."""
    bank.book("k0", there)
    bank.book("k1", back)
    a1, b1, a2, b2 = bank.ledger().postings
    bank.transactions.clear()
    last = b1.balance_after + back["ben"]
    return a1, replace(b2, version=1, balance_after=last - there["ben"]), a2, replace(b1, version=2, balance_after=last)


def test_a_group_whose_payments_have_no_order_is_not_judged(together, bank):
    there, back = {"ada": -1500, "ben": 1500}, {"ada": 100, "ben": -100}
    finding = together((1, 9, there), (1, 9, back), lowest=600, postings=other_way(bank, there, back))
    assert finding.outcome is Result.INCONCLUSIVE
    assert finding.summary == "1 group of accounts could not be judged: family: its payments have no order at all"


def test_a_group_with_enough_while_each_is_at_its_lowest_needs_no_order(together, bank):
    there, back = {"ada": -1500, "ben": 1500}, {"ada": 100, "ben": -100}
    # -500 of ada and 900 of ben, in whatever order.
    finding = together((1, 9, there), (1, 9, back), lowest=400, postings=other_way(bank, there, back))
    assert finding.outcome is Result.PASSED


def test_how_far_a_group_was_below_is_measured(together):
    finding = together((1, 2, pay("ada", 1500)), (1, 2, pay("ben", 1700)), (3, 4, pay("cid", 1000, "ada")), lowest=-300)
    assert finding.measures == {"accounts_below": 0, "groups_below": 1, "amount_below": 900}


def test_a_group_below_its_limit_by_what_nobody_asked_for_says_so(story, bank):
    bank.lowest = None
    for key, legs in (("nobody", pay("ada", 2500)), ("k1", pay("cid", 1000, "ada"))):
        bank.book(key, legs)
    story.operation(1, key="k1", legs=pay("cid", 1000, "ada"))
    limits = (GroupLimit(group="family", accounts=("ada", "ben"), lowest=0),)
    (finding,) = NoOverdraft().check(bank.close(story, replace(bank.ledger(), limits=limits)))
    assert finding.outcome is Result.FAILED
    assert " after a payment that no customer asked for: whatever came first" in finding.evidence[0]


def test_a_group_whose_postings_have_no_order_is_judged_by_where_it_ended(together):
    unordered = frozenset({Evidence.VERSIONS})
    finding = together((1, 2, pay("ada", 1500)), (1, 2, pay("ben", 1500)), (3, 4, pay("cid", 1000, "ada")), lacks=unordered)
    assert finding.outcome is Result.INCONCLUSIVE
