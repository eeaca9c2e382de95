"""What arrays can hold of a history, and what they leave to the checks because they cannot."""

from dataclasses import replace

import pytest

from chaoskit.checkers.money.fast.accounts import accounts
from chaoskit.checkers.money.fast.columns import MOST, Unfit, columns
from chaoskit.checkers.money.fast.order import of_all
from chaoskit.model.topology import Evidence

PAY = {"ada": -100, "ben": 100}


@pytest.fixture
def closed(story, bank):
    """A function that gives the run, in which there was one payment and one look, with these changes."""
    bank.book("k1", PAY)
    story.operation(1, key="k1", legs=PAY)
    story.look(2, "ada", 900, 1)

    def close(ledger=None, **changes):
        return bank.close(story, ledger, **changes)

    return close


def test_what_was_found_is_kept_with_the_history(closed):
    """Every check asks for it, and it takes longer than all they do with it."""
    history = closed()
    found = columns(history)
    assert columns(history) is found
    assert accounts(found) is accounts(found)
    assert of_all(found) is of_all(found)


def unread(history):
    return replace(history, final=replace(history.final, first=None, second=None))


def with_ledger(history, **changes):
    state = replace(history.final.first, **changes)
    return replace(history, final=replace(history.final, first=state, second=state))


def with_attempt(history, **changes):
    first, *others = history.operations
    attempt = replace(first.attempts[0], **changes)
    return replace(history, operations=(replace(first, attempts=(attempt,)), *others))


def with_legs(history, legs):
    first, *others = history.operations
    return replace(history, operations=(replace(first, legs=legs), *others))


def with_posting(history, number, **changes):
    rows = list(history.final.first.postings)
    rows[number] = replace(rows[number], **changes)
    return with_ledger(history, postings=tuple(rows))


MORE_OR_LESS = "the ledger cannot show all, or shows more than the run"
ODD = {
    "no final reads": (lambda h: replace(h, final=None), "the ledger was not read"),
    "nothing read": (unread, "the ledger was not read"),
    "a ledger without a fence": (lambda h: with_ledger(h, lacks=frozenset({Evidence.FENCE})), MORE_OR_LESS),
    "payments from before": (lambda h: replace(h, earlier=frozenset({("t0", "k0")})), MORE_OR_LESS),
    "no opening balances": (lambda h: replace(h, opening=None), "there is nothing to compare"),
    "no postings": (lambda h: with_ledger(h, postings=()), "there is nothing to compare"),
    "no accounts": (lambda h: with_ledger(h, accounts=()), "there is nothing to compare"),
    "nobody came": (lambda h: replace(h, operations=()), "an operation without an attempt"),
    "nothing was sent": (
        lambda h: replace(h, operations=(replace(h.operations[0], attempts=()),)),
        "an operation without an attempt",
    ),
    "two keys": (lambda h: with_posting(h, 1, key="k2"), "a transaction under several keys"),
    "only looks": (lambda h: replace(h, operations=h.operations[1:]), "no operation was to move money"),
    "a payment of nothing": (lambda h: with_legs(h, {"ada": 0}), "no operation was to move money"),
    "a large amount": (lambda h: with_posting(h, 0, amount=-MOST), "amounts whose sum is too large"),
    "a large wish": (lambda h: with_legs(h, {"ada": -MOST, "ben": MOST}), "amounts whose sum is too large"),
    "amounts that are large together": (lambda h: with_posting(h, 0, amount=MOST // 2), "amounts whose sum is too large"),
    "a large balance": (lambda h: replace(h, opening={"ada": MOST, "ben": 0}), "amounts whose sum is too large"),
    "a debt as large": (lambda h: replace(h, opening={"ada": -MOST, "ben": 0}), "amounts whose sum is too large"),
    "open transactions": (
        lambda h: replace(h, final=replace(h.final, open_transactions=1)),
        "transactions were still open when the ledger was read: 1",
    ),
    "no time": (lambda h: with_attempt(h, start_ns=0), "times that no clock gives"),
    "a time before all clocks": (lambda h: with_attempt(h, start_ns=-MOST), "times that no clock gives"),
    "a time after all clocks": (lambda h: with_attempt(h, end_ns=MOST), "times that no clock gives"),
}


@pytest.mark.parametrize("what", ODD)
def test_says_what_does_not_fit_each_time_it_is_asked(closed, what):
    change, why = ODD[what]
    history = change(closed())
    for _ in range(2):
        with pytest.raises(Unfit, match=f"^{why}$"):
            columns(history)


def test_holds_times_from_the_first_to_the_last_that_a_clock_gives(closed):
    found = columns(with_attempt(closed(), start_ns=1 - MOST, end_ns=MOST - 1))
    assert (found.started[0], found.ended[0]) == (1 - MOST, MOST - 1)


def test_holds_amounts_up_to_the_largest_sum(closed):
    """Two postings of 100 that were asked for as 100 can make 400, however they are added up."""
    assert columns(replace(closed(), opening={"ada": MOST - 401, "ben": 0})).opening[0] == MOST - 401
    with pytest.raises(Unfit, match="too large"):
        columns(replace(closed(), opening={"ada": MOST - 400, "ben": 0}))


@pytest.mark.parametrize(
    "change, why",
    [({"version": 2}, "versions twice or missing"), ({"balance_after": 7}, "balances that do not follow")],
)
def test_says_what_is_odd_about_an_account(closed, change, why):
    with pytest.raises(Unfit, match=f"^{why}$"):
        accounts(columns(with_posting(closed(), 0, **change)))


@pytest.mark.parametrize(
    "shown, why",
    [
        ((900, 2), "a look at a version that the account never had"),
        ((900, -1), "a look at a version that the account never had"),
        ((901, 1), "a look at a balance that the account never held"),
        ((999, 0), "a look at a balance that the account never held"),
        ((900, None), "a look that names no version"),
    ],
)
def test_says_which_look_has_no_order_each_time_it_is_asked(closed, story, shown, why):
    story.look(3, "ada", *shown)
    found = columns(closed())
    for _ in range(2):
        with pytest.raises(Unfit, match=f"^{why}$"):
            of_all(found)


class Desk:
    """Who asked for what, and what is booked for it."""

    def __init__(self, story, bank):
        self.story, self.bank = story, bank

    def ask(self, key, *attempts, legs=PAY, books=None, settled="", **how):
        """One operation, for which the transactions *books* are there: when none are given, what it asked for if that was done."""
        self.story.operation(len(self.story.operations) + 1, *attempts, key=key, legs=legs, **{"intent": f"i-{key}", **how})
        is_done = "ok" in attempts or settled == "applied"
        for done in books if books is not None else [legs] * is_done:
            self.bank.book(key, done)
        if settled:
            self.bank.settled[key] = settled

    def plain(self):
        return columns(self.bank.close(self.story)).plain.tolist()


@pytest.fixture
def desk(story, bank):
    return Desk(story, bank)


def test_what_was_asked_for_once_and_is_there_as_asked_or_rightly_not_is_plain(desk):
    desk.ask("done", "ok")
    desk.ask("done at last", "info", "ok")
    desk.ask("done without an answer", "info", settled="applied")
    desk.ask("refused", "fail")
    desk.ask("barred", "info", settled="tombstone")
    desk.ask("not applied", "info", settled="refused")
    desk.ask("the smallest amount", "ok", legs={"ada": -1, "ben": 1})
    desk.ask("an account left alone", "ok", legs={**PAY, "cid": 0}, books=[PAY])
    desk.ask("nothing", "ok", legs={"ada": 0}, books=[])
    desk.ask("between three", "ok", legs={"cid": -3, "ada": 1, "ben": 2})
    assert desk.plain() == [True] * 10


ODD_ONES = {
    "twice under its key": [("fail",), ("fail",)],
    "done and not there": [("ok",)],
    "refused and there": [("fail", PAY)],
    "barred and there": [("info", PAY)],
    "there twice": [("ok", PAY, PAY)],
    "there in two halves": [("ok", {"ada": -100}, {"ben": 100})],
    "there with another amount": [("ok", {"ada": -101, "ben": 101})],
    "there with another account": [("ok", {"ada": -100, "cid": 100})],
    "there with an account too few": [("ok", {"ada": -100})],
    "there with an account too many": [("ok", {**PAY, "cid": 0})],
}


@pytest.mark.parametrize("what", ODD_ONES)
@pytest.mark.parametrize("comes_first", [True, False])
def test_what_is_odd_is_not_plain_and_takes_one_along_that_is_there(desk, what, comes_first):
    """So that the check which judges it has something in the ledger to judge. That is the first one that was told ok."""

    def ask_odd():
        for outcome, *books in ODD_ONES[what]:
            desk.ask("odd", outcome, books=books, settled="tombstone" if outcome == "info" else "")

    def ask_others():
        desk.ask("refused", "fail")
        desk.ask("k1", "ok")
        desk.ask("k2", "ok")

    for ask in (ask_odd, ask_others) if comes_first else (ask_others, ask_odd):
        ask()
    odd, others = [False] * len(ODD_ONES[what]), [True, False, True]
    assert desk.plain() == (odd + others if comes_first else others + odd)


def test_two_keys_for_one_intent_are_both_odd(desk):
    desk.ask("a", "info", intent="i1", settled="tombstone")
    desk.ask("b", "ok", intent="i1")
    desk.ask("c", "ok")
    desk.ask("d", "ok")
    assert desk.plain() == [False, False, False, True]


def test_an_operation_that_was_answered_twice_is_odd(desk):
    desk.ask("a", "ok", "ok")
    desk.ask("b", "ok")
    desk.ask("c", "ok")
    assert desk.plain() == [False, False, True]


def test_a_look_is_neither_plain_nor_odd(desk, story):
    desk.ask("a", "ok")
    story.look(2, "ada", 900, 1, intent="i-a")
    desk.ask("b", "ok")
    story.look(5, "ada", 800, 2, intent="its own")
    assert desk.plain() == [True, False, True, False]
    assert columns(desk.bank.close(story)).rest is None


def test_a_transaction_with_one_account_twice_and_another_one_not_at_all_is_odd(desk, story, bank):
    for key in ("a", "b", "c"):
        desk.ask(key, "ok")
    *others, ada, ben = bank.ledger().postings
    ledger = replace(bank.ledger(), postings=(*others, ada, replace(ben, account="ada", amount=-100, version=4, balance_after=600)))
    assert columns(bank.close(story, ledger)).plain.tolist() == [False, True, False]
