"""What arrays pass, and what they leave to the checks. That both say the same is seen to in `quickly` itself."""

from dataclasses import replace

import pytest

from chaoskit.checkers.money import Cash, Reconciled
from chaoskit.checkers.money.fast import certified, passing
from chaoskit.model.history import Dispensed, Outcome
from chaoskit.model.topology import Credit, Evidence, GroupLimit

PAY = {"ada": -100, "ben": 100}
MONEY = {
    "ack-durable",
    "at-most-once",
    "no-refused-effect",
    "no-phantom",
    "double-entry",
    "conserved",
    "balance-is-ledger",
    "version-chain",
    "no-overdraft",
    "order",
    "answer-stable",
}
"""What a history without looks, cash and other banks passes."""
SEEN = MONEY | {"observed-stays", "read-window", "snapshot"}
BOOKS = {"conserved", "balance-is-ledger", "version-chain", "no-overdraft"}


@pytest.fixture
def paid(story, bank):
    """A function that pays once more, is told the balance and its version, and gives the operation."""

    def pay(*attempts, at=1.0, key="", legs=PAY, books=1, **how):
        name = key or f"k{len(story.operations) + 1}"
        for _ in range(books):
            bank.book(name, legs)
        state = next(one for one in bank.ledger().accounts if one.account == "ada")
        shown = {"account": "ada", "balance": state.balance, "version": state.version}
        return story.operation(at, *attempts, key=name, legs=legs, **{"result": shown, "intent": name, **how})

    return pay


@pytest.fixture
def passed(story, bank, paid, quickly):
    """A function that gives the names of the checks that the run passes, in which there is one plain payment before all else."""
    paid(key="first")

    def judge(ledger=None, **changes):
        return set(quickly(bank.close(story, ledger, **changes)))

    return judge


def test_passes_plain_payments(passed, paid):
    paid(at=2)
    assert passed() == MONEY


def test_passes_looks_that_name_their_versions(passed, paid, story):
    story.look(0.1, "ada", 1000, 0)
    story.look(2, "ada", 900, 1)
    story.operation(2.1, journey="balance", result={"accounts": [{"account": "ben", "balance": 1100, "version": 1}]})
    assert passed() == SEEN


def test_leaves_looks_without_a_version_to_the_checks(passed, story):
    story.look(2, "ada", 900)
    assert passed() == MONEY


def test_looks_at_accounts_that_are_not_in_the_books_count_for_nothing(passed, story):
    story.look(2, "ada", 900, 1)
    story.look(3, "eve", 7, 7)
    story.operation(4, "fail", key="k9", legs={"eve": -7, "ada": 7})
    story.look(5, "eve", 7, 7)
    assert passed() == SEEN


NO_LOOKS = {
    "an answer that never came": {"took": None, "result": {"account": "ada", "balance": 7, "version": 1}},
    "a call under a key": {"key": "login", "result": {"account": "ada", "balance": 7, "version": 1}},
    "a payment without a key": {"legs": PAY, "result": {"account": "ada", "balance": 7, "version": 1}},
    "an answer that is no account": {"result": {"accounts": ["ada"]}},
    "an account without a name": {"result": {"account": ["ada"], "balance": 7, "version": 1}},
    "a balance in words": {"result": {"account": "ada", "balance": "7", "version": 1}},
}


@pytest.mark.parametrize("what", NO_LOOKS)
def test_what_is_no_look_does_not_make_looks_wrong(passed, story, what):
    story.look(2, "ada", 900, 1)
    story.operation(3, journey="balance", **NO_LOOKS[what])
    assert passed() == SEEN


@pytest.mark.parametrize("outcome", ["fail", "info"])
def test_what_an_answer_without_success_shows_is_no_look(passed, story, outcome):
    story.look(2, "ada", 900, 1)
    shown = story.look(3, "ada", 7, 1)
    story.operations[-1] = replace(shown, attempts=tuple(replace(one, outcome=Outcome(outcome)) for one in shown.attempts))
    assert passed() == SEEN


def test_does_not_pass_a_wrong_look_beside_what_is_no_account(passed, story):
    story.look(2, "ada", 900, 1)
    story.operation(2, journey="balance", result={"accounts": ["ada", {"account": "ben", "balance": 7, "version": 1}]})
    assert passed() == MONEY


@pytest.mark.parametrize("at, balance, version", [(2, 1000, 0), (0.5, 900, 1), (2, 901, 1), (2, 900, 2), (2, 900, -1), (2, 999, 0)])
def test_does_not_pass_looks_that_are_wrong(passed, story, at, balance, version):
    story.look(at, "ada", balance, version, took=0.01)
    assert passed() == MONEY


def test_what_is_not_plain_is_judged_by_the_checks_themselves(passed, paid, bank):
    """Asked twice at once, again under a new key, with another body, refused after no answer, settled in every way."""
    paid("ok", "ok", at=2)
    paid("info", at=3, key="a-1", intent="a", books=0)
    paid(at=4, key="a-2", intent="a")
    paid(at=5, key="b")
    paid("fail", at=6, key="b", legs={"ada": -7, "ben": 7}, books=0)
    paid("info", "fail", at=7, books=0)
    paid("info", at=8)
    paid("fail", at=9, books=0)
    paid(at=10, legs={"ada": 0}, books=0)
    assert passed() == set()  # not settled
    bank.settled.update({"a-1": "tombstone", "k7": "refused", "k8": "applied"})
    assert passed() == MONEY


def test_what_was_refused_is_counted_also_where_nothing_in_the_ledger_was_told_done(paid, story, bank, quickly):
    paid("info", key="k1")
    bank.settled["k1"] = "applied"
    paid("fail", at=2, key="k2", books=0)
    paid("fail", at=3, key="k2", books=0)
    assert "no-refused-effect" in quickly(bank.close(story))


WRONG = {
    "ack-durable": {"books": 0},
    "at-most-once": {"books": 2},
    "no-refused-effect": {"attempts": ("fail",)},
}


@pytest.mark.parametrize("name", WRONG)
def test_does_not_pass_a_payment_that_is_wrong(passed, paid, name):
    wrong = dict(WRONG[name])
    paid(*wrong.pop("attempts", ()), at=2, **wrong)
    assert MONEY - passed() <= {name, "answer-stable"}
    assert name not in passed()


def test_does_not_pass_what_was_applied_by_the_bank_s_own_word_and_is_not_there(passed, paid, bank):
    paid("info", at=2, key="k2", books=0)
    bank.settled["k2"] = "applied"
    assert MONEY - passed() == {"ack-durable"}


@pytest.mark.parametrize("settled", ["refused", "tombstone"])
def test_does_not_pass_what_was_barred_and_is_there(passed, paid, bank, settled):
    paid("info", at=2, key="k2")
    bank.settled["k2"] = settled
    assert MONEY - passed() == {"no-refused-effect"}


def test_does_not_pass_what_nobody_asked_for(passed, bank):
    bank.book("nobody", PAY)
    assert MONEY - passed() == {"no-phantom"}


def test_does_not_pass_another_amount(passed, paid, bank):
    paid(at=2, key="k2", books=0)
    bank.book("k2", {"ada": -101, "ben": 101})
    assert MONEY - passed() == {"no-phantom"}


def test_does_not_pass_what_two_transactions_did_half_of_each(passed, paid, bank):
    paid(at=2, key="k2", books=0)
    bank.book("k2", {"ada": -100})
    bank.book("k2", {"ben": 100})
    assert MONEY - passed() == {"at-most-once", "double-entry"}


def test_does_not_pass_a_second_answer_that_is_another_one(passed, paid, story):
    paid("ok", "ok", at=2)
    first, second = story.operations[-1].attempts
    story.operations[-1] = replace(story.operations[-1], attempts=(first, replace(second, status=202)))
    assert MONEY - passed() == {"answer-stable"}


def test_does_not_pass_a_leg_too_few(passed, paid, bank):
    paid(at=2, key="k2", books=0)
    bank.book("k2", {"ada": -100})
    assert MONEY - passed() == {"double-entry", "conserved"}


def test_does_not_pass_payments_that_do_not_add_up_to_nothing(passed, paid):
    paid(at=2, legs={"ada": -100, "ben": 101})
    assert MONEY - passed() == {"double-entry", "conserved"}


def test_does_not_pass_a_record_with_gaps(passed):
    assert MONEY - passed(complete=False) == {"no-phantom"}
    assert MONEY - passed(torn_lines=1) == {"no-phantom"}


def test_does_not_pass_an_answer_that_is_not_so_in_the_ledger(passed, paid):
    paid(at=2, result={"account": "ada", "balance": 7, "version": 2})
    assert MONEY - passed() == {"answer-stable"}


OTHERS = (
    {"account": "ada", "balance": 7, "version": 1},
    {"account": "ada", "balance": 7, "version": 99},
    {"account": "ada", "balance": 7, "version": 0},
    {"account": "ben", "balance": 7, "version": 0},
    {"account": "ben", "balance": 7, "version": 3},
    {"account": "eve", "balance": 7, "version": 1},
    {"account": ["ada"], "balance": 7, "version": 1},
    {"account": "ada", "balance": "7", "version": 2},
    {"account": "ada", "balance": 7},
)


@pytest.mark.parametrize("result", OTHERS)
def test_answers_about_other_payments_are_not_compared(passed, paid, result):
    paid(at=2, result=result)
    assert passed() == MONEY


@pytest.mark.parametrize("result", OTHERS)
def test_does_not_pass_a_wrong_answer_after_one_about_another_payment(passed, paid, result):
    paid(at=2, result=result)
    paid(at=3, result={"account": "ada", "balance": 7, "version": 3})
    assert MONEY - passed() == {"answer-stable"}


def test_an_account_that_was_opened_during_the_run_begins_with_nothing(passed, paid):
    paid(at=2, legs={"ada": -50, "eve": 50})
    assert passed() == MONEY


@pytest.mark.parametrize("how", [{"key": "login"}, {"key": "k2", "legs": {"ada": 0}}, {"legs": PAY}])
def test_what_moves_no_money_under_a_key_need_not_be_settled(passed, story, how):
    story.operation(2, "info", **how)
    assert passed() == MONEY


def test_of_two_effects_under_one_key_nobody_knows_which_was_told(passed, paid, bank):
    """The second one is booked after a payment that began when the answer about the first was there."""
    paid(at=2, key="twice")
    paid(at=3)
    bank.book("twice", PAY)
    assert MONEY - passed() == {"at-most-once"}


def test_does_not_pass_an_order_that_time_forbids(passed, paid, bank):
    paid(at=3, key="late")
    paid(at=2, key="early")
    assert MONEY - passed() == {"order"}


def spoilt(ledger, account, **changes):
    accounts = (replace(one, **changes) if one.account == account else one for one in ledger.accounts)
    return replace(ledger, accounts=tuple(accounts))


def test_does_not_pass_spoilt_accounts(passed, bank):
    ledger = bank.ledger()
    assert MONEY - passed(spoilt(ledger, "cid", balance=7)) == {"conserved", "balance-is-ledger"}
    assert MONEY - passed(spoilt(ledger, "cid", balance=-7)) == {"conserved", "balance-is-ledger", "no-overdraft"}
    assert MONEY - passed(spoilt(ledger, "cid", version=1)) == {"version-chain"}
    assert MONEY - passed(spoilt(ledger, "cid", lowest=1000)) == set()
    assert MONEY - passed(spoilt(ledger, "cid", lowest=1001)) == {"no-overdraft"}
    gone = replace(ledger, accounts=tuple(one for one in ledger.accounts if one.account != "cid"))
    assert MONEY - passed(gone) == {"conserved", "balance-is-ledger"}


def test_does_not_pass_spoilt_postings(passed, bank):
    ledger = bank.ledger()
    first, *others = ledger.postings
    assert MONEY - passed(replace(ledger, postings=(replace(first, version=2), *others))) >= {"version-chain"}
    assert MONEY - passed(replace(ledger, postings=(replace(first, balance_after=7), *others))) >= {"version-chain"}


def test_an_account_that_was_low_for_a_moment_is_not_passed(passed, paid):
    paid(at=2, legs={"ada": -950, "ben": 950})
    paid(at=3, legs={"ada": 950, "ben": -950})
    assert MONEY - passed() == {"no-overdraft"}


def test_copies_are_compared(passed, bank):
    bank.digests = {"one": "abc"}
    assert passed() == MONEY
    bank.digests["two"] = "abc"
    assert passed() == MONEY
    bank.digests["two"] = "abd"
    assert MONEY - passed() == {"version-chain"}


def test_accounts_with_a_limit_together(passed, bank):
    bank.lowest = None
    assert MONEY - passed() == {"no-overdraft"}  # nobody has one

    def limited(lowest, *accounts):
        return replace(bank.ledger(), limits=(GroupLimit(group="family", accounts=accounts, lowest=lowest),))

    assert passed(limited(1900, "ada", "ben")) == MONEY
    assert passed(limited(2900, "ada", "ben", "cid")) == MONEY
    assert MONEY - passed(limited(1901, "ada", "ben")) == {"no-overdraft"}  # for the check to say: it was never below
    assert MONEY - passed(limited(0, "ada", "eve")) == {"no-overdraft"}
    bank.lowest = 0
    assert passed(limited(1900, "ada", "ben")) == MONEY


def test_leaves_a_ledger_that_cannot_show_all_to_the_checks(passed, bank):
    assert passed(replace(bank.ledger(), lacks=frozenset({Evidence.FENCE}))) == set()


def test_leaves_a_ledger_from_before_the_run_to_the_checks(passed):
    assert passed(earlier=frozenset({("t0", "k0")})) == set()


def test_leaves_a_history_without_anything_to_compare_to_the_checks(passed, bank):
    assert passed(opening=None) == set()
    assert passed(replace(bank.ledger(), postings=())) == set()
    assert passed(operations=()) == set()


@pytest.mark.parametrize("amount", [1 << 61, 1 << 70])
def test_leaves_amounts_that_no_64_bits_hold_to_the_checks(passed, paid, amount):
    paid(at=2, legs={"ada": -amount, "ben": amount}, result={})
    assert passed() <= {"ack-durable"}


def test_leaves_a_transaction_under_two_keys_to_the_checks(passed, paid, bank):
    paid(at=2, key="k2")
    ledger = bank.ledger()
    one = tuple(replace(posting, transaction="t1") for posting in ledger.postings)
    assert passed(replace(ledger, postings=one)) == set()


def test_cash_is_judged_by_the_check_itself_on_its_own_part(passed, paid, story, bank):
    bank.opening["vault"] = 0

    def judge(*dispensed):
        ledger = bank.ledger()
        accounts = (replace(one, kind="vault", lowest=None) if one.account == "vault" else one for one in ledger.accounts)
        return passed(replace(ledger, accounts=tuple(accounts)), dispensed=dispensed)

    draw = {"ada": -50, "vault": 50}
    note = Dispensed(operation=2, key="k2", amount=50, at_ns=0)
    assert judge() == MONEY
    assert judge(note) == MONEY  # a note of nobody's
    paid(at=2, key="k2", legs=draw)
    assert judge() == MONEY  # no journal
    assert judge(note) == MONEY | {"cash"}
    assert judge(note, note) == MONEY  # for the check to accuse
    paid(at=3, key="k2-back", legs={"ada": 50, "vault": -50})
    story.operations[-1] = replace(story.operations[-1], reverses="k2")
    assert judge(replace(note, amount=0)) == MONEY | {"cash"}


def test_a_reversal_and_a_note_are_about_cash_also_without_a_vault(passed, paid, story):
    paid(at=2, key="k2")
    assert passed(dispensed=(Dispensed(operation=2, key="k2", amount=100, at_ns=0),)) == MONEY  # for the check to accuse
    story.operations[-1] = replace(story.operations[-1], reverses="k1")
    assert passed() == MONEY


def part_of(check, history):
    """The keys of the operations, of the postings and of the second reading, that *check* itself was given to judge."""
    given = []

    def judge(books):
        given.append(books.history)
        return check._judge(books)

    assert passing(check.name, history, judge)
    (part,) = given
    reads = (part.final.first, part.final.second)
    return {one.key for one in part.operations}, *({posting.key for posting in state.postings} for state in reads)


@pytest.mark.parametrize("check, kind", [(Cash(), "vault"), (Reconciled(), "clearing")])
def test_cash_and_other_banks_are_judged_on_nothing_else(story, bank, paid, check, kind):
    bank.opening[kind] = 0
    paid(key="k1")
    paid(at=2, key="k2", legs={"ada": -50, kind: 50})
    ledger = bank.ledger()
    accounts = tuple(replace(one, kind=kind, lowest=None) if one.account == kind else one for one in ledger.accounts)
    ledger = replace(ledger, accounts=accounts, credits=(Credit(key="k2", account="other-7", amount=50),))
    history = bank.close(story, ledger, dispensed=(Dispensed(operation=2, key="k2", amount=50, at_ns=0),))
    assert part_of(check, history) == ({"k2"}, {"k2"}, {"k2"})


def test_other_banks_are_judged_by_the_check_itself_on_their_own_part(passed, paid, bank):
    bank.opening["clearing"] = 0

    def judge(*arrived):
        ledger = bank.ledger()
        accounts = (replace(one, kind="clearing", lowest=None) if one.account == "clearing" else one for one in ledger.accounts)
        return passed(replace(ledger, accounts=tuple(accounts), credits=arrived))

    assert judge() == MONEY
    paid(at=2, key="k2", legs={"ada": -50, "clearing": 50})
    came = Credit(key="k2", account="other-7", amount=50)
    assert judge(came) == MONEY | {"reconciled"}
    assert judge() == MONEY
    assert judge(came, came) == MONEY


def test_knows_nothing_of_checks_of_others(story, bank, paid):
    paid()
    history = bank.close(story)
    assert passing("theirs", history, None) is None
    assert passing("order", history, None) is not None


def test_a_certificate_names_every_payment_and_look_and_what_became_of_unknown_keys(story, bank, paid):
    paid("info", key="k1")
    story.look(0.1, "ada", 1000, 0)
    story.operation(3, journey="balance", result={"accounts": [{"account": "ben", "balance": 1100, "version": 1}]})
    paid("info", at=4, key="k4", books=0)
    bank.settled |= {"k1": "applied", "k4": "tombstone"}
    order, unknown, unplaced = certified(bank.close(story))
    assert order == [["look", 2, 1, {"ada": 0}], ["payment", "t1", "k1"], ["look", 3, 1, {"ben": 1}]]
    assert unknown == {"k1": {"settled": "applied", "in_ledger": True}, "k4": {"settled": "tombstone", "in_ledger": False}}
    assert unplaced == []


def test_a_certificate_also_names_unknown_keys_that_nobody_had_to_settle(story, bank, paid):
    """Such as a login's, which moves no money."""
    paid(key="k1")
    story.operation(2, "info", journey="login", key="k2")
    assert certified(bank.close(story))[1] == {"k2": {"settled": "", "in_ledger": False}}


def test_a_certificate_that_takes_the_checks_is_left_to_them(story, bank, paid):
    paid()
    story.look(2, "ada", 900)
    assert certified(bank.close(story)) is None
