"""Which version a look that no order explains has shown, and what makes it impossible."""

import pytest

from chaoskit.checkers.money.books import open_books
from chaoskit.checkers.money.reads import Fault, reads
from chaoskit.checkers.money.timeline import timeline


@pytest.fixture
def misplaced(story, bank):
    """A function that gives the only look that has no place: its fault, its version, and the keys that forbid it.

    ada goes 1000, 900, 800, 700: at 1, 3 and 5 s, each within one second.
    """
    for number in (1, 2, 3):
        legs = {"ada": -100, "ben": 100}
        story.operation(number * 2 - 1, key=f"k{number}", legs=legs, took=1.0)
        bank.book(f"k{number}", legs)

    def judge():
        (one,) = reads(timeline(open_books(bank.close(story)))).misplaced
        return one.fault, one.version, [operation.key for operation in one.because]

    return judge


def test_a_look_that_is_out_of_date_showed_what_was_before_the_last_change_that_was_told(misplaced, story):
    story.look(4.5, "ada", 1000)
    assert misplaced() == (Fault.STALE, 0, ["k2"])


def test_a_look_that_came_too_early_showed_what_had_not_been_asked_for(misplaced, story):
    """The second payment was asked for as the answer came, which is at once; so it is the third that makes it impossible."""
    story.look(2, "ada", 700, took=1.0)
    assert misplaced() == (Fault.EARLY, 3, ["k3"])


def test_a_look_that_went_back_showed_what_was_before_an_earlier_look(misplaced, story):
    story.look(3.2, "ada", 800, took=0.1)
    story.look(3.4, "ada", 900, took=0.1)
    assert misplaced() == (Fault.BACK, 1, [])


def test_a_look_at_what_never_was_has_the_version_that_it_names(misplaced, story):
    story.look(3.2, "ada", 777, 2)
    assert misplaced() == (Fault.NEVER, 2, [])
