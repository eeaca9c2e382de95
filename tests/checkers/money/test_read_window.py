"""Looks at balances against literal ledgers: what each may show, and the one sentence when it may not."""

from dataclasses import replace

import pytest

from chaoskit.checkers.money import ReadWindow
from chaoskit.model.verdict import Finding, Result


@pytest.fixture
def paid(story, bank):
    """ada goes 1000, 900, 800, 900: at 1, 3 and 5 s, each within one second."""
    for number, amount in ((1, -100), (2, -100), (3, 100)):
        legs = {"ada": amount, "ben": -amount}
        story.operation(number * 2 - 1, key=f"k{number}", legs=legs, took=1.0)
        bank.book(f"k{number}", legs)
    return story


def check(story, bank):
    (finding,) = ReadWindow().check(bank.close(story))
    return finding


@pytest.mark.parametrize(
    "at, balance",
    [(0.5, 1000), (1.5, 1000), (1.5, 900), (2.5, 900), (3.5, 900), (3.5, 800), (4.5, 800), (5.5, 800), (5.5, 900), (7, 900)],
)
@pytest.mark.parametrize("is_named", [False, True])
def test_passes_for_what_the_account_may_have_held(paid, bank, at, balance, is_named):
    version = ({1000: 0, 900: 1, 800: 2}[balance] if at < 5 or balance == 800 else 3) if is_named else None
    paid.look(at, "ada", balance, version)
    assert check(paid, bank).outcome is Result.PASSED
    assert check(paid, bank).summary == "1 look at a balance, each of what the account held then"


@pytest.mark.parametrize(
    "at, shown, says",
    [
        (2.5, (1000,), "was out of date: 100 from ada to ben (transfer, key k1, answered 1.0 s into the load) was done before"),
        (7, (900, 1), "was out of date: 100 from ben to ada (transfer, key k3, answered 5.0 s into the load) was done before"),
        (
            2.2,
            (800,),
            "came too early: 100 from ada to ben (transfer, key k2, answered 3.0 s into the load) had not been asked for",
        ),
        (2.2, (777,), "was never so, whatever order things happened in"),
        (2.2, (900, 7), "was never so as version 7, whatever order things happened in"),
        (2.2, (900, 2), "was never so as version 2, whatever order things happened in"),
    ],
)
def test_fails_for_what_it_cannot_have_held(paid, bank, at, shown, says):
    paid.look(at, "ada", *shown)
    finding = check(paid, bank)
    assert finding.outcome is Result.FAILED
    assert says in finding.evidence[0]


def test_fails_when_a_later_look_shows_an_older_state(story, bank):
    """The payment was never answered: before and after it is both possible, but not in this order."""
    story.operation(1, "info", key="k1", legs={"ada": -100, "ben": 100})
    bank.settled["k1"] = "applied"
    bank.book("k1", {"ada": -100, "ben": 100})
    story.look(2, "ada", 900)
    story.look(3, "ada", 1000)
    assert ReadWindow().check(bank.close(story)) == (
        Finding(
            checker="read-window",
            outcome=Result.FAILED,
            summary="1 of 2 looks at a balance showed what the account did not hold then",
            evidence=(
                (
                    "account ada at 1,000 (balance, operation 3, answered 2.0 s into the load) went back:"
                    " account ada at 900 (balance, operation 2, answered 1.0 s into the load) was newer and over before"
                ),
            ),
            measures={"looks": 2, "stale_looks": 1, "early_looks": 0, "impossible_looks": 0},
            safety=True,
        ),
    )


@pytest.mark.parametrize("old_begins_first", [True, False])
def test_what_a_look_showed_binds_later_ones_whatever_older_state_another_one_showed_meanwhile(story, bank, old_begins_first):
    """Two looks at once show either side, the old one is answered last; then nobody may see the old state again."""
    story.operation(1, "info", key="k1", legs={"ada": -100, "ben": 100})
    bank.settled["k1"] = "applied"
    bank.book("k1", {"ada": -100, "ben": 100})
    old, new = (2.0, 2.1) if old_begins_first else (2.1, 2.0)
    story.look(old, "ada", 1000, took=3.0)
    story.look(new, "ada", 900, took=1.0)
    story.look(6, "ada", 1000)
    finding = check(story, bank)
    assert (finding.outcome, finding.measures["stale_looks"]) == (Result.FAILED, 1)


def test_two_looks_at_once_may_show_either_side(story, bank):
    """As during a failover: one sees the payment, one does not."""
    story.operation(1, "info", key="k1", legs={"ada": -100, "ben": 100})
    bank.settled["k1"] = "applied"
    bank.book("k1", {"ada": -100, "ben": 100})
    story.look(2, "ada", 900, took=1.0)
    story.look(2.5, "ada", 1000, took=1.0)
    assert check(story, bank).outcome is Result.PASSED


def test_a_key_that_was_sent_by_two_operations_was_asked_for_by_the_first_that_began(story, bank):
    story.operation(1, key="k1", legs={"ada": -100, "ben": 100}, late=5)
    story.operation(2, key="k1", legs={"ada": -100, "ben": 100}, took=6)
    bank.book("k1", {"ada": -100, "ben": 100})
    story.look(3, "ada", 900)
    assert check(story, bank).outcome is Result.PASSED


def test_the_smallest_version_that_fits_is_taken(paid, bank):
    """900 at 3.5 s is version 1, not 3: otherwise 800 afterwards would go back."""
    paid.look(3.2, "ada", 900)
    paid.look(3.6, "ada", 800)
    assert check(paid, bank).outcome is Result.PASSED


def test_answers_that_come_in_another_order_than_they_were_asked_for(paid, bank):
    """The first look is over last: it says nothing about the second one."""
    paid.look(1.1, "ada", 900, took=5.0)
    paid.look(1.2, "ada", 1000, took=0.1)
    paid.look(1.4, "ada", 1000, took=0.1)
    assert check(paid, bank).outcome is Result.PASSED


def test_a_look_that_was_tried_again_counts_from_its_own_attempt(paid, bank):
    """The operation began before the payment, the attempt that was answered began after it."""
    paid.look(0.5, "ada", 1000, took=2.0)
    paid.operation(0.5, "info", "ok", journey="balance", took=2.0, result={"account": "ada", "balance": 1000})
    assert check(paid, bank).measures["stale_looks"] == 1


def test_accounts_that_are_not_in_the_books_are_nobodys_business(paid, bank):
    paid.look(1, "elsewhere", 5)
    finding = check(paid, bank)
    assert (finding.checker, finding.outcome) == ("read-window", Result.INCONCLUSIVE)
    assert finding.summary == "no answer showed an account of the ledger and its balance"


def test_looks_at_an_account_with_a_broken_history_are_counted_beside_those_that_are_right(paid, bank):
    paid.look(7, "ada", 900)
    paid.look(8, "ben", 1100)
    ledger = bank.ledger()
    broken = tuple(replace(one, balance_after=7) if one.account == "ada" else one for one in ledger.postings)
    (finding,) = ReadWindow().check(bank.close(paid, replace(ledger, postings=broken)))
    assert finding.outcome is Result.PASSED
    assert finding.summary == (
        "1 look at a balance, each of what the account held then; 1 at accounts with a broken history were not judged"
    )


@pytest.mark.parametrize(
    "how",
    [
        {"result": {"account": "ada", "balance": "7"}},
        {"result": {"account": ["ada"], "balance": 7}},
        {"result": {"account": "ada", "balance": True}},
        {"result": {"accounts": ["ada", "ben"]}},
        {"result": {"account": "ada", "balance": 7}, "legs": {"ada": -1, "ben": 1}},
        {"result": {"account": "ada", "balance": 7}, "key": "k9"},
    ],
)
def test_what_is_no_look_is_not_taken_for_one(paid, bank, how):
    """What the bank answers to a payment, and what is no balance."""
    if "key" in how:
        bank.settled["k9"] = "applied"
    paid.operation(7, **how)
    assert check(paid, bank).outcome is Result.INCONCLUSIVE


def test_proves_nothing_when_nobody_looked(paid, bank):
    finding = check(paid, bank)
    assert finding.outcome is Result.INCONCLUSIVE
    assert (finding.summary, finding.is_absent) == ("nobody looked at a balance", False)


@pytest.mark.parametrize(
    "how, is_absent",
    [
        ({"journey": "login"}, True),
        ({"journey": "balance", "result": {"account": "nobodys", "balance": 5}}, False),
        ({"journey": "balance", "attempts": ("fail",)}, False),
        ({"journey": "balance", "attempts": ("info",)}, False),
    ],
)
def test_may_be_left_out_only_where_the_load_has_no_look_up(paid, bank, how, is_absent):
    """A look-up that was never answered, or shows some other account, is one that cannot be judged."""
    paid.operation(7, *how.get("attempts", ()), **{name: value for name, value in how.items() if name != "attempts"})
    (finding,) = ReadWindow(if_any=True).check(bank.close(paid))
    assert (finding.outcome, finding.is_absent) == (Result.INCONCLUSIVE, is_absent)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda posting: None if posting.version == 2 else posting,
        lambda posting: replace(posting, version=min(posting.version, 2)),
        lambda posting: replace(posting, balance_after=7),
    ],
    ids=["a version is missing", "a version twice", "balances do not follow"],
)
def test_proves_nothing_about_an_account_with_a_broken_history(paid, bank, spoil):
    paid.look(7, "ada", 900)
    ledger = bank.ledger()
    broken = replace(ledger, postings=tuple(spoilt for posting in ledger.postings if (spoilt := spoil(posting))))
    (finding,) = ReadWindow().check(bank.close(paid, broken))
    assert finding.outcome is Result.INCONCLUSIVE
    assert finding.summary == "every account that was looked at has a broken history, so no look can be judged"


def test_one_answer_is_enough_for_a_journey_that_shows_no_balance(paid, bank):
    """And a payment whose legs nobody knows is no look-up."""
    paid.operation(7, "ok", journey="login")
    paid.operation(8, "fail", journey="login")
    paid.operation(9, "fail", journey="pay", key="k9")
    (finding,) = ReadWindow(if_any=True).check(bank.close(paid))
    assert finding.is_absent
