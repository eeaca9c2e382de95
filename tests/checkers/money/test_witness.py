"""What a person is shown of a violation: the records, few of them, and what is missing."""

import json
from dataclasses import replace

import pytest

from chaoskit.checkers.login import Login
from chaoskit.checkers.money.witness import witness
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import Credentials, Dispensed

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
