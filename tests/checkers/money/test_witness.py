"""What a person is shown of a violation: the records, few of them, and what is missing."""

import json
from dataclasses import replace

import pytest

from chaoskit.checkers.login import Login
from chaoskit.checkers.money.witness import witness
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import Credentials, Dispensed
from chaoskit.model.topology import Credit, Evidence
from chaoskit.model.verdict import Finding, Result

PAY = {"ada": -100, "ben": 100}


def test_a_lost_payment_comes_with_its_acknowledgement_and_no_posting(story, bank):
    story.operation(1, key="k1", intent="i1", legs=PAY)
    story.operation(2, "info", "ok", key="k12", intent="i2", legs=PAY, status=200, served_by="one", result={"balance": 800})
    bank.book("k1", PAY)
    found = witness(bank.close(story))
    assert json.loads(json.dumps(found)) == found
    assert (found["checker"], found["postings"], found["settled"]) == ("ack-durable", [], {})
    assert found["says"] == (
        "100 from ada to ben (transfer, key k12, answered 1.0 s into the load) was acknowledged and is not in the ledger"
    )
    (operation,) = found["operations"]
    assert (operation["operation"], operation["key"], operation["outcome"]) == (2, "k12", "ok")
    assert operation["attempts"][1] == {
        "attempt": 2,
        "began_at_s": 1.01,
        "ended_at_s": 1.02,
        "outcome": "ok",
        "status": 200,
        "why": "",
        "served_by": "one",
        "result": {"balance": 800},
    }


def test_cash_without_a_debit_comes_with_the_machines_journal_and_the_reversal(story, bank):
    bank.opening["vault"] = 0
    for key, legs, reverses in (("k1", {"ada": -100, "vault": 100}, ""), ("k1-back", {"ada": 100, "vault": -100}, "k1")):
        story.operation(1, key=key, intent=key, legs=legs)
        story.operations[-1] = replace(story.operations[-1], reverses=reverses)
        bank.book(key, legs)
    ledger = bank.ledger()
    ledger = replace(
        ledger,
        accounts=tuple(replace(one, kind="vault" if one.account == "vault" else one.kind, lowest=None) for one in ledger.accounts),
    )
    notes = Dispensed(operation=1, key="k1", amount=100, at_ns=story.operations[0].end_ns)
    found = witness(bank.close(story, ledger, dispensed=(notes,)))
    assert (found["checker"], [o["operation"] for o in found["operations"]]) == ("cash", [1, 2])
    assert found["operations"][1]["reverses"] == "k1"
    assert found["dispensed"] == [{"operation": 1, "key": "k1", "amount": 100, "at_s": 0.01}]
    assert [p["key"] for p in found["postings"]] == ["k1", "k1", "k1-back", "k1-back"]


def test_a_violation_that_is_not_about_money_names_its_operations_too(story):
    for at, credentials in (
        (1, Credentials(customer="ada", session="s1", ends=True)),
        (2, Credentials(customer="ada", session="s1")),
    ):
        story.operation(at, journey="login")
        story.operations[-1] = replace(story.operations[-1], credentials=credentials)
    history = story.history()
    (violation,) = Login().check(history)
    found = witness(history, violation)
    assert (found["checker"], found["postings"]) == ("login", [])
    assert [one["credentials"]["ends"] for one in found["operations"]] == [True, False]


def test_a_payment_that_happened_twice_comes_with_both_transactions(story, bank):
    story.operation(1, "info", key="k1", legs=PAY)
    bank.settled["k1"] = "applied"
    for _ in range(2):
        bank.book("k1", PAY)
    found = witness(bank.close(story))
    assert (found["checker"], found["settled"]) == ("at-most-once", {"k1": "applied"})
    assert [(p["transaction"], p["account"], p["amount"]) for p in found["postings"]] == [
        ("t1", "ada", -100),
        ("t1", "ben", 100),
        ("t2", "ada", -100),
        ("t2", "ben", 100),
    ]


def test_a_payment_of_nobody_comes_with_its_postings_alone(story, bank):
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", PAY)
    bank.book("nobody's", PAY)
    found = witness(bank.close(story))
    assert (found["checker"], found["operations"]) == ("no-phantom", [])
    assert {p["key"] for p in found["postings"]} == {"nobody's"}


def test_a_look_at_what_is_gone_comes_with_the_look_and_the_payment(story, bank):
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", PAY)
    story.operation(2, "info", key="k2", legs={"ada": -7, "ben": 7})
    bank.settled["k2"] = "tombstone"
    story.look(3, "ada", 893, 2)
    found = witness(bank.close(story))
    assert (found["checker"], found["postings"], found["settled"]) == ("observed-stays", [], {"k2": "tombstone"})
    assert [operation["operation"] for operation in found["operations"]] == [2, 3]


def test_there_is_no_witness_of_a_right_ledger(story, bank):
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", PAY)
    with pytest.raises(NotExercised):
        witness(bank.close(story))


def test_every_part_of_a_witness_has_its_name(story, bank):
    """Others read it by these names."""
    story.operation(1, "info", "fail", key="k1", intent="i1", legs=PAY, why="timeout")
    bank.settled["k1"] = "applied"
    for _ in range(2):
        bank.book("k1", PAY)
    ledger = bank.ledger()
    credit = Credit(key="k1", account="other-7", amount=100)
    history = bank.close(
        story,
        replace(ledger, credits=(credit, replace(credit, key="k2"))),
        run={"run": "r1"},
        dispensed=(
            Dispensed(operation=1, key="k1", amount=7, at_ns=story.operations[0].start_ns + 1_500_000_001),
            Dispensed(operation=2, key="k2", amount=7, at_ns=1),
        ),
    )
    found = witness(history)
    assert {name: found[name] for name in ("witness", "run", "checker", "settled", "credits", "dispensed")} == {
        "witness": 1,
        "run": "r1",
        "checker": "at-most-once",
        "settled": {"k1": "applied"},
        "credits": [{"key": "k1", "account": "other-7", "amount": 100}],
        "dispensed": [{"operation": 1, "key": "k1", "amount": 7, "at_s": 1.5}],
    }
    assert found["postings"][0] == {
        "transaction": "t1",
        "key": "k1",
        "account": "ada",
        "version": 1,
        "amount": -100,
        "balance_after": 900,
    }
    (operation,) = found["operations"]
    attempt = {"attempt": 1, "began_at_s": 0.0, "outcome": "info", "status": 0, "why": "timeout", "served_by": "", "result": {}}
    assert operation["attempts"][0].items() >= attempt.items()
    assert {name: value for name, value in operation.items() if name != "attempts"} == {
        "operation": 1,
        "journey": "transfer",
        "intent": "i1",
        "key": "k1",
        "legs": PAY,
        "reverses": "",
        "credentials": None,
        "outcome": "info",
    }


def test_a_run_without_a_name_or_a_ledger_still_has_a_witness(story):
    story.operation(1, key="k1", legs=PAY)
    story.operation(2, key="k2", legs=PAY)
    violation = Finding(checker="theirs", outcome=Result.FAILED, summary="", evidence=("operation 2 was wrong",))
    found = witness(story.history(), violation)
    assert (found["run"], found["postings"], found["credits"]) == ("", [], [])
    assert [one["operation"] for one in found["operations"]] == [2]


def test_what_a_ledger_cannot_show_does_not_hide_the_rest_of_it(story, bank):
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", PAY)
    ledger = replace(
        bank.ledger(),
        credits=(Credit(key="k1", account="other-7", amount=5),),
        lacks=frozenset({Evidence.ACCOUNT_VERSIONS}),
    )
    violation = Finding(checker="theirs", outcome=Result.FAILED, summary="", evidence=("what has key k1 is wrong",))
    found = witness(bank.close(story, ledger), violation)
    assert [len(found["postings"]), len(found["credits"])] == [2, 1]


def test_reversals_of_other_payments_are_no_part_of_it(story, bank):
    for number, reverses in ((1, ""), (2, "k1"), (3, "k9")):
        story.operation(number, key=f"k{number}", legs=PAY)
        story.operations[-1] = replace(story.operations[-1], reverses=reverses)
    bank.book("k2", PAY)
    bank.book("k3", PAY)
    found = witness(bank.close(story))
    assert (found["checker"], [one["operation"] for one in found["operations"]]) == ("ack-durable", [1, 2])


def test_nothing_to_bear_witness_of_is_said(story, bank):
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", PAY)
    with pytest.raises(NotExercised, match=r"^no money check is violated, so there is nothing to bear witness of$"):
        witness(bank.close(story))


def test_an_attempt_that_was_never_answered_has_no_end(story, bank):
    story.operation(0, key="k0", legs=PAY)
    bank.book("k0", PAY)
    story.operation(1, "info", key="k1", legs=PAY, took=None)
    bank.settled["k1"] = "applied"
    found = witness(bank.close(story))
    assert found["checker"] == "ack-durable"
    assert [one["ended_at_s"] for one in found["operations"][0]["attempts"]] == [None]
