"""What a certificate says of what has no place in it; `test_verify.py` has the rest."""

import json
from dataclasses import replace

import pytest

from chaoskit.checkers.money import books
from chaoskit.checkers.money.certificate import FORMAT, certificate
from chaoskit.checkers.money.fast import certified
from chaoskit.model.errors import NotExercised

PAY = {"ada": -100, "ben": 100}


def test_a_look_whose_version_is_not_sure_has_no_place_where_a_guess_would_prevent_the_order(story, bank):
    """ada goes 1000, 900, 1000, 900 without an answer; 900 fits twice, and as the first one it fits no order with ben's version."""
    for number, amount in enumerate((-100, 100, -100), start=1):
        story.operation(1, "info", key=f"k{number}", legs={"ada": amount, "ben": -amount})
        bank.settled[f"k{number}"] = "applied"
        bank.book(f"k{number}", {"ada": amount, "ben": -amount})
    rows = [{"account": "ada", "balance": 900}, {"account": "ben", "balance": 1100, "version": 3}]
    story.operation(2, journey="overview", result={"accounts": rows})
    found = certificate(bank.close(story))
    assert found["unplaced"] == [[4, 1]]
    assert [row[0] for row in found["order"]] == ["payment"] * 3


def test_a_key_that_was_answered_at_last_is_not_unknown(story, bank):
    story.operation(1, "info", key="k1", legs=PAY)
    story.operation(2, key="k1", legs=PAY)
    bank.settled["k1"] = "applied"
    bank.book("k1", PAY)
    assert certificate(bank.close(story))["unknown"] == {}


def test_the_same_history_has_the_same_certificate(story, bank):
    for number in range(5):
        story.operation(number, key=f"k{number}", legs=PAY)
        bank.book(f"k{number}", PAY)
    assert certificate(bank.close(story)) == certificate(bank.close(story))


def test_what_has_no_order_has_no_certificate(story, bank):
    for number in (1, 2):
        story.operation(number, key=f"k{number}", legs=PAY)
    for number in (2, 1):
        bank.book(f"k{number}", PAY)
    with pytest.raises(NotExercised):
        certificate(bank.close(story))


def test_what_was_not_read_to_its_end_has_no_certificate(story, bank):
    story.operation(1, key="k1", legs=PAY)
    with pytest.raises(NotExercised):
        certificate(bank.close(story, final=None))


def test_names_its_format_and_its_run(story, bank):
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", PAY)
    found = certificate(bank.close(story, run={"run": "r1"}))
    assert json.loads(json.dumps(found)) == {
        "certificate": FORMAT,
        "run": "r1",
        "order": [["payment", "t1", "k1"]],
        "unknown": {},
        "unplaced": [],
    }


def test_names_unknown_keys_that_nobody_had_to_settle(story, bank):
    """Such as a login's, which moves no money."""
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", PAY)
    story.operation(2, "info", journey="login", key="k2")
    assert certificate(bank.close(story))["unknown"] == {"k2": {"settled": "", "in_ledger": False}}


def test_a_long_history_is_certified_by_arrays(story, bank, monkeypatch):
    monkeypatch.setattr(books, "LONG", 1)
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", PAY)
    history = bank.close(story)
    found = certificate(history)
    assert (found["order"], found["unknown"], found["unplaced"]) == certified(history)
    assert "timeline" not in history.memo, "the checks had nothing to do"


def test_nothing_is_certified_of_a_ledger_from_before_or_of_payments_without_an_order(story, bank):
    story.operation(3, key="k1", legs=PAY)
    story.operation(1, key="k2", legs=PAY)
    bank.book("k1", PAY)
    bank.book("k2", PAY)
    history = bank.close(story)
    with pytest.raises(NotExercised, match=r"^the payments and looks have no order, so there is nothing to certify$"):
        certificate(history)
    bank.book("k0", PAY)
    with pytest.raises(NotExercised, match=r"^the ledger holds payments from before the run, which nobody can be asked about$"):
        certificate(replace(bank.close(story), earlier=frozenset({("t3", "k0")})))
