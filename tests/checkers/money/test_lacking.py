"""Ledgers that cannot show everything: what can be judged is judged, and what cannot proves nothing and names what is missing."""

import json
from dataclasses import replace

import pytest

from chaoskit.checkers.money import MONEY, Conserved, VersionChain
from chaoskit.checkers.money.certificate import certificate
from chaoskit.checkers.money.witness import witness
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import FinalReads, ledger_events, read_history
from chaoskit.model.topology import Evidence, LedgerState
from chaoskit.model.verdict import Result

PAY = {"ada": -100, "ben": 100}
EMPTY = {
    Evidence.KEYS: {},
    Evidence.BALANCES: {"balance": 0},
    Evidence.ACCOUNT_VERSIONS: {"version": 0},
    Evidence.POSTING_KEYS: {"key": ""},
    Evidence.VERSIONS: {"version": 0},
    Evidence.BALANCES_AFTER: {"balance_after": 0},
    Evidence.CLOSED_KEYS: {},
    Evidence.FENCE: {},
}
CHECKS = tuple(check for check in MONEY if check.name not in {"cash", "reconciled"})
"""No cash machine and no other bank takes part here."""
OF_ACCOUNTS = {Evidence.BALANCES, Evidence.ACCOUNT_VERSIONS}
LOOKS = {"observed-stays", "read-window", "snapshot"}


def without(state, *lacks):
    """The same ledger as a system would show it that has no such thing."""
    for lack in lacks:
        if lack is Evidence.POSTINGS:
            state = replace(state, postings=())
        elif lack in OF_ACCOUNTS:
            state = replace(state, accounts=tuple(replace(one, **EMPTY[lack]) for one in state.accounts))
        elif EMPTY[lack]:
            state = replace(state, postings=tuple(replace(one, **EMPTY[lack]) for one in state.postings))
    return replace(state, lacks=frozenset(lacks))


def finals(state, settled):
    return FinalReads(settled=settled, open_transactions=None if Evidence.FENCE in state.lacks else 0, first=state, second=state)


@pytest.fixture
def paid(story, bank):
    """Two payments, one of them answered twice, a refused one, and looks."""
    for number in (1, 2):
        shown = {"account": "ada", "balance": 1_000 - number * 100, "version": number}
        story.operation(number, *["ok"] * number, key=f"k{number}", intent=f"i{number}", legs=PAY, result=shown)
        bank.book(f"k{number}", PAY)
        story.look(number + 0.5, **shown)
    story.operation(3, "fail", key="k3", intent="i3", legs=PAY)
    return story


def judged(history):
    findings = [finding for check in CHECKS for finding in check.check(history)]
    return {finding.checker: finding for finding in findings}


def inconclusive(history):
    return {name for name, finding in judged(history).items() if finding.outcome is Result.INCONCLUSIVE}


def failed(history):
    return [name for name, finding in judged(history).items() if finding.outcome is Result.FAILED]


NEED_POSTING_KEYS = {"at-most-once", "no-phantom", "order"} | LOOKS
NEEDS = {
    Evidence.BALANCES: {"conserved", "balance-is-ledger", "version-chain", "no-overdraft"} | LOOKS,
    Evidence.VERSIONS: {"version-chain", "no-overdraft", "order"} | LOOKS,
    Evidence.ACCOUNT_VERSIONS: {"version-chain"},
    Evidence.BALANCES_AFTER: {"version-chain"},
    Evidence.FENCE: {check.name for check in CHECKS} - {"ack-durable", "no-refused-effect", "answer-stable"},
    Evidence.CLOSED_KEYS: set(),  # every customer was answered
}


@pytest.mark.parametrize("lack", NEEDS)
def test_what_needs_it_proves_nothing_and_names_it_and_the_rest_passes(paid, bank, lack):
    history = bank.close(paid, final=finals(without(bank.ledger(), lack), bank.settled))
    assert (inconclusive(history), failed(history)) == (NEEDS[lack], [])
    for name in NEEDS[lack]:
        assert judged(history)[name].summary == f"the ledger does not show {lack.value}, so nothing was proven"


def test_all_that_is_missing_is_named_at_once(paid, bank):
    state = without(bank.ledger(), Evidence.VERSIONS, Evidence.BALANCES_AFTER, Evidence.ACCOUNT_VERSIONS)
    (finding,) = VersionChain().check(bank.close(paid, final=finals(state, {})))
    missing = "versions of postings and versions of accounts and balances after postings"
    assert finding.summary == f"the ledger does not show {missing}, so nothing was proven"


def test_keys_alone_show_what_was_lost_and_what_was_refused(paid, bank):
    """A service that says of each key what became of it, and nothing else."""
    state = by_key(k1="applied", k2="applied", k3="refused")
    history = bank.close(paid, opening=None, final=finals(state, {}))
    assert failed(history) == []
    assert inconclusive(history) == {check.name for check in CHECKS} - {"ack-durable", "no-refused-effect", "answer-stable"}
    assert judged(history)["at-most-once"].summary == (
        "the ledger does not show postings and keys of postings and whether transactions are open, so nothing was proven"
    )


def test_keys_alone_convict_a_loss_a_repetition_and_a_refusal_with_effect(paid, bank):
    paid.operation(4, key="k4", intent="i1", legs=PAY)
    state = by_key(k1="applied", k2="absent", k3="applied", k4="applied")
    history = bank.close(paid, opening=None, final=finals(state, {}))
    assert failed(history) == ["ack-durable", "at-most-once", "no-refused-effect"]
    assert judged(history)["ack-durable"].measures["lost_amount"] == 100
    assert witness(history)["checker"] == "ack-durable"


def test_keys_alone_accuse_no_key_that_nobody_sent_or_that_was_sent_in_two_operations(paid, bank):
    paid.operation(4, "fail", key="k2", intent="i2", legs=PAY)
    state = by_key(k1="applied", k2="applied", k3="refused", k9="applied")
    history = bank.close(paid, opening=None, final=finals(state, {}))
    assert failed(history) == []


def test_a_ledger_without_anything_about_keys_says_nothing_about_promises(paid, bank):
    state = without(bank.ledger(), Evidence.KEYS, Evidence.POSTING_KEYS)
    history = bank.close(paid, final=finals(state, {}))
    assert inconclusive(history) == NEED_POSTING_KEYS | {"ack-durable", "no-refused-effect"}
    assert failed(history) == []


def test_an_unknown_key_that_cannot_be_closed_keeps_only_promises_judged(paid, bank):
    paid.operation(4, "info", key="k4", intent="i4", legs=PAY)
    state = without(bank.ledger(), Evidence.CLOSED_KEYS)
    history = bank.close(paid, final=finals(state, {}))
    assert inconclusive(history) == {check.name for check in CHECKS} - {"ack-durable", "no-refused-effect", "answer-stable"}
    assert judged(history)["conserved"].summary == (
        "1 operation without an answer was never settled and may still take effect: it closes no keys"
    )
    assert failed(bank.close(paid, final=finals(state, {"k4": "refused"}))) == []


def test_a_ledger_that_could_close_keys_and_did_not_is_not_spared(paid, bank):
    paid.operation(4, "info", key="k4", intent="i4", legs=PAY)
    assert inconclusive(bank.close(paid)) == {check.name for check in CHECKS}


def test_a_final_balance_below_the_limit_convicts_without_an_order(paid, bank):
    paid.operation(4, key="k4", legs={"ada": -5_000, "ben": 5_000})
    bank.book("k4", {"ada": -5_000, "ben": 5_000})
    history = bank.close(paid, final=finals(without(bank.ledger(), Evidence.VERSIONS), {}))
    assert failed(history) == ["no-overdraft"]


def test_balances_alone_show_whether_money_came_or_went(paid, bank):
    state = without(bank.ledger(), Evidence.POSTINGS, Evidence.POSTING_KEYS, Evidence.KEYS)
    assert "conserved" not in inconclusive(bank.close(paid, final=finals(state, {})))
    richer = replace(state, accounts=(replace(state.accounts[0], balance=10**6), *state.accounts[1:]))
    assert failed(bank.close(paid, final=finals(richer, {}))) == ["conserved"]
    untouched = replace(state, accounts=tuple(replace(one, balance=bank.opening[one.account]) for one in state.accounts))
    (finding,) = Conserved().check(bank.close(paid, final=finals(untouched, {})))
    assert finding.summary == "no account holds more or less than at the beginning, so nothing was proven"


def test_nothing_is_certified_that_was_not_shown(paid, bank):
    for lack in set(Evidence) - {Evidence.CLOSED_KEYS}:
        with pytest.raises(NotExercised, match="the ledger does not show"):
            certificate(bank.close(paid, final=finals(without(bank.ledger(), lack), {})))


@pytest.mark.parametrize("lack", Evidence)
def test_what_is_lacking_is_in_the_record(bank, lack):
    bank.book("k1", PAY)
    state = replace(without(bank.ledger(), lack), keys={"k1": "applied"})
    lines = [json.dumps(event) for event in ledger_events(state, read=1)]
    final = read_history(lines).final
    assert final is not None
    assert final.first == state


def by_key(**states):
    has = {Evidence.KEYS}
    return LedgerState(read_from="service", accounts=(), postings=(), keys=states, lacks=frozenset(set(Evidence) - has))


def test_what_was_in_the_ledger_before_the_run_is_nobodys_fault(paid, bank):
    history = earlier(bank.close(paid), "k1", "k2", asked="other")
    assert "no-phantom" not in failed(history)
    with pytest.raises(NotExercised, match="from before the run"):
        certificate(history)


def test_a_run_that_added_nothing_to_an_old_ledger_proves_nothing(paid, bank):
    history = earlier(bank.close(paid), "k1", "k2", asked="other")
    assert (
        judged(history)["conserved"].summary == "the ledger holds no postings but those from before the run, so nothing was proven"
    )


def test_a_key_that_an_earlier_run_has_used_proves_nothing(paid, bank):
    history = earlier(bank.close(paid), "k1")
    assert inconclusive(history) == {check.name for check in CHECKS}
    assert judged(history)["ack-durable"].summary == (
        "key 'k1' was in the ledger before the run, so nobody knows which payment it is of: take another seed"
    )


def earlier(history, *keys, asked=""):
    """The same, with these keys in the ledger before the run; *asked*, if given, goes before the keys that customers sent."""
    rows = {(one.transaction, one.key) for one in history.final.first.postings if one.key in keys}
    operations = tuple(replace(one, key=asked + one.key if one.key else "") for one in history.operations)
    return replace(history, earlier=frozenset(rows), operations=operations)
