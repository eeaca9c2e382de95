"""How the books tell of a payment, and what they open for."""

import pytest

from chaoskit.checkers.money.books import gaps, open_books


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
