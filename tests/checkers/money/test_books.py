"""How the books tell of a payment, and what they open for."""

import pytest

from chaoskit.checkers.money import DoubleEntry, books
from chaoskit.checkers.money.books import gaps, open_books
from chaoskit.model.topology import Evidence
from chaoskit.model.verdict import Result


@pytest.mark.parametrize(
    "legs, how, says",
    [
        ({"ada": -100, "ben": 100}, {}, "100 from ada to ben (transfer, key k1, answered 0.0 s into the load)"),
        ({"ada": -100, "ben": 100}, {"took": None}, "100 from ada to ben (transfer, key k1, never answered)"),
        ({"ada": -1, "ben": 1}, {}, "1 from ada to ben (transfer, key k1, answered 0.0 s into the load)"),
        ({"ada": -7, "cid": 0, "ben": 7}, {}, "7 from ada to ben (transfer, key k1, answered 0.0 s into the load)"),
    ],
)
def test_says_who_paid_whom_and_when_the_customer_was_told(story, bank, legs, how, says):
    operation = story.operation(1, "ok", key="k1", legs=legs, **how)
    bank.book("k1", legs)
    assert open_books(bank.close(story)).says(operation) == says


@pytest.mark.parametrize(
    "changes, says",
    [
        ({}, ""),
        ({"complete": False}, "the run has no trailer: operations may be missing from the record"),
        ({"load": None}, "the load has no trailer: operations may be missing from the record"),
        ({"torn_lines": 1}, "1 line of the record cannot be read: operations may be missing from it"),
    ],
)
def test_says_why_operations_may_be_missing(story, bank, changes, says):
    story.operation(1, key="k1", legs={"ada": -100, "ben": 100})
    assert gaps(bank.close(story, **changes)) == says


def test_are_opened_once_however_many_checks_ask_and_whatever_they_need(story, bank):
    story.operation(1, key="k1", legs={"ada": -100, "ben": 100})
    bank.book("k1", {"ada": -100, "ben": 100})
    history = bank.close(story)
    opened = open_books(history, needs=frozenset({Evidence.KEYS, Evidence.FENCE}))
    assert open_books(history) is opened
    assert open_books(history) is opened


def test_say_that_an_empty_ledger_proves_nothing(story, bank):
    story.operation(1, key="k1", legs={"ada": -100, "ben": 100})
    (finding,) = DoubleEntry().check(bank.close(story))
    assert finding.summary == "the ledger holds no postings, so nothing was proven"


@pytest.mark.parametrize("operations, is_long", [(2, False), (3, True)])
def test_a_history_is_tried_as_arrays_from_so_many_operations_on(story, bank, monkeypatch, operations, is_long):
    monkeypatch.setattr(books, "LONG", 3)
    for number in range(operations):
        story.operation(number, key=f"k{number}", legs={"ada": -100, "ben": 100})
        bank.book(f"k{number}", {"ada": -100, "ben": 100})
    history = bank.close(story)
    (finding,) = DoubleEntry().check(history)
    assert finding.outcome is Result.PASSED
    assert ("columns" in history.memo, "books" in history.memo) == (is_long, not is_long)


def test_a_long_history_that_the_arrays_do_not_pass_is_judged_by_the_check(story, bank, monkeypatch):
    monkeypatch.setattr(books, "LONG", 1)
    story.operation(1, key="k1", legs={"ada": -100, "ben": 100})
    bank.book("k1", {"ada": -100})
    (finding,) = DoubleEntry().check(bank.close(story))
    assert finding.outcome is Result.FAILED
