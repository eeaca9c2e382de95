"""Books as they were found at the beginning of a run, where nobody says what they held."""

import json
from dataclasses import replace

import pytest

from chaoskit.engine import opening
from chaoskit.engine.settle import settle
from chaoskit.model.errors import NotReady, UnreadableLedger
from chaoskit.model.history import History, read_history
from chaoskit.model.topology import AccountState, Evidence, LedgerState, Posting
from chaoskit.testing import FakeLedger


def books(*amounts, lacks=frozenset()):
    """Two accounts that held 100 and 0, and payments of these amounts under the keys k1, k2, …"""
    ada, ben, postings = 100, 0, []
    for number, amount in enumerate(amounts, start=1):
        ada, ben = ada - amount, ben + amount
        for account, change, after in (("ada", -amount, ada), ("ben", amount, ben)):
            one = Posting(
                transaction=f"t{number}", key=f"k{number}", account=account, version=number, amount=change, balance_after=after
            )
            postings.append(one)
    accounts = tuple(
        AccountState(account=account, kind="customer", balance=balance, version=len(amounts), lowest=0)
        for account, balance in (("ada", ada), ("ben", ben))
    )
    return LedgerState(read_from="one", accounts=accounts, postings=tuple(postings), lacks=lacks)


def stored(*events):
    return read_history([json.dumps(event) for event in events])


def test_books_that_nobody_has_used_open_with_what_they_show():
    history = stored(opening.found(FakeLedger(books())))
    assert (history.opening, history.earlier) == ({"ada": 100, "ben": 0}, frozenset())


def test_what_is_there_already_is_kept_apart_and_taken_off_the_balances():
    history = stored(opening.found(FakeLedger(books(10, 20))))
    assert history.opening == {"ada": 100, "ben": 0}
    assert history.earlier == {("t1", "k1"), ("t2", "k2")}


def test_balances_that_are_not_shown_are_not_made_up():
    state = books(10, lacks=frozenset({Evidence.BALANCES}))
    assert stored(opening.found(FakeLedger(state))).opening == {}


class Broken(FakeLedger):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def settle(self, keys, *, timeout_s):
        raise self.error

    def read(self, keys=(), *, timeout_s):
        raise self.error


@pytest.mark.parametrize("error", [NotReady("away"), UnreadableLedger("query postings: NULL was given")])
def test_a_ledger_that_cannot_be_read_is_known_before_anybody_is_let_in(error):
    with pytest.raises(type(error), match=str(error)):
        opening.found(Broken(error))


class Lines:
    def __init__(self):
        self.events = []

    def append(self, *events, sync=False):
        self.events += events


class Pause:
    def wait(self, seconds):
        assert seconds > 0


@pytest.mark.parametrize("error", [NotReady("away"), UnreadableLedger("query postings: NULL was given")])
def test_at_the_end_it_is_a_reason_why_nothing_can_be_said(error):
    lines = Lines()
    settle(Broken(error), History(), lines, Pause())
    assert stored(*lines.events).final.error == str(error)


def test_a_ledger_without_a_fence_says_so_in_the_record():
    class Fenceless(FakeLedger):
        def open_transactions(self, *, timeout_s):
            return None

    lines = Lines()
    settle(Fenceless(replace(books(), lacks=frozenset({Evidence.FENCE}))), History(), lines, Pause())
    final = stored(*lines.events).final
    assert (final.open_transactions, final.first.lacks, final.error) == (None, {Evidence.FENCE}, "")
