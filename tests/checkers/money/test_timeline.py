"""When each effect can have happened, how each account went, and which answers showed one."""

from dataclasses import replace

import pytest

from chaoskit.checkers.money.books import open_books
from chaoskit.checkers.money.timeline import NEVER, timeline
from chaoskit.model.history import Outcome

PAY = {"ada": -100, "ben": 100}


@pytest.fixture
def line(story, bank):
    """A function that gives the timeline of the run, in which there is one payment before all else."""
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", PAY)

    def make(ledger=None):
        return timeline(open_books(bank.close(story, ledger)))

    return make


def test_is_made_once_however_many_checks_ask(line):
    made = line()
    assert timeline(made.books) is made


def test_an_effect_lies_between_the_question_and_the_answer_and_one_that_nobody_asked_for_at_any_time(line, story, bank):
    bank.book("nobody", PAY)
    asked, phantom = line().effects
    (attempt,) = story.operations[0].attempts
    assert asked[1:] == (story.operations[0], attempt.start_ns, attempt.end_ns)
    assert phantom.transaction.name == "t2"
    assert phantom[1:] == (None, 0, NEVER)


def test_every_account_has_a_way_from_its_opening_balance(line, bank):
    bank.book("k2", {"ada": -50, "eve": 50})
    whole = bank.ledger()
    made = line(replace(whole, accounts=tuple(one for one in whole.accounts if one.account != "cid")))
    assert {account: list(chain.balances) for account, chain in made.chains.items()} == {
        "ada": [1000, 900, 850],
        "ben": [1000, 1100],
        "cid": [1000],  # gone at the end, and had it all the same
        "eve": [0, 50],  # opened during the run
    }
    assert all(chain.is_whole for chain in made.chains.values())


@pytest.mark.parametrize(
    "changes, versions",
    [
        ({}, [1]),
        ({"result": {"account": "ada", "balance": 900, "version": "1"}}, [None]),
        ({"outcome": Outcome.FAIL}, []),
        ({"outcome": Outcome.INFO}, []),
        ({"end_ns": None}, []),
    ],
)
def test_an_ok_answer_shows_an_account_and_the_version_that_it_names(line, story, changes, versions):
    shown = story.look(2, "ada", 900, 1)
    story.operations[-1] = replace(shown, attempts=(replace(shown.attempts[0], **changes),))
    assert [sight.version for sight in line().sights] == versions
