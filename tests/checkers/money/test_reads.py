"""Which version a look that no order explains has shown, and what makes it impossible."""

from dataclasses import replace

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


@pytest.fixture
def to_and_fro(story, bank):
    """A function that gives all reads. ada goes 1000, 900, 1000, 900, 1000: at 1, 3, 5 and 7 s, each within one second."""
    for number, amount in enumerate((-100, 100, -100, 100), start=1):
        legs = {"ada": amount, "ben": -amount}
        story.operation(number * 2 - 1, key=f"k{number}", legs=legs, took=1.0)
        bank.book(f"k{number}", legs)

    def judge(ledger=None, **how):
        return reads(timeline(open_books(bank.close(story, ledger))), **how)

    return judge


@pytest.mark.parametrize(
    "at, took, version, is_sure",
    [
        (0.5, 0.1, 0, True),  # before anything else was asked for
        (1.5, 2.0, 0, False),  # or 2, which was asked for while it waited
        (2.5, 1.0, 2, True),  # the first change had been told, the third not been asked for
        (2.5, 5.0, 2, False),  # or 4
        (8.5, 0.1, 4, True),
    ],
)
def test_a_look_is_sure_where_no_other_version_fits(to_and_fro, story, at, took, version, is_sure):
    story.look(at, "ada", 1000, took=took)
    (placed,) = to_and_fro().placed
    assert (placed.version, placed.is_sure) == (version, is_sure)


def test_a_look_that_began_in_the_next_moment_after_an_answer_must_know_of_it(to_and_fro, story):
    story.look(2.0, "ada", 1000, took=0.1)
    story.look(2.000_000_001, "ben", 1000, took=0.1)
    found = to_and_fro()
    assert [one.sight.account for one in found.placed] == ["ada"]
    assert [one.fault for one in found.misplaced] == [Fault.STALE]


def test_looks_at_accounts_with_a_broken_history_are_counted_and_the_others_placed(to_and_fro, story, bank):
    for at, account, balance in ((9, "ada", 1000), (9.1, "ada", 7), (9.2, "ben", 1000), (9.3, "cid", 1000)):
        story.look(at, account, balance)
    ledger = bank.ledger()
    found = to_and_fro(replace(ledger, postings=tuple(replace(posting, balance_after=7) for posting in ledger.postings)))
    assert (found.skipped, [one.sight.account for one in found.placed], found.misplaced) == (3, ["cid"], [])


def test_are_found_once_for_each_way_to_look(story, bank, to_and_fro):
    story.look(2.5, "ada", 1000, took=0.1)
    line = timeline(open_books(bank.close(story)))
    assert reads(line) is reads(line)
    assert [len(reads(line, lag_ns=lag_ns).misplaced) for lag_ns in (0, 1_000_000_000)] == [1, 0]
    assert len(reads(line, by_session=True).misplaced) == 0


@pytest.mark.parametrize(
    "shown, at, version",
    [
        # Between an older state that was told before and a newer one that is told after it.
        ([(3, 1), (7, 3), (5, 2)], 6, 1),
        # Before older states that are told later, and say nothing any more.
        ([(5, 1), (7, 2), (3, 3)], 8, 2),
        # Before an older state and a newer one that are told later: the newer one still counts.
        ([(5, 1), (7, 4), (3, 3)], 8, 3),
        ([(5, 1), (7, 4), (3, 3)], 4, 2),
    ],
)
def test_of_looks_that_began_at_once_each_binds_what_begins_after_its_answer(story, bank, shown, at, version):
    """*shown* are times of answers and the versions that they name; nobody was told of the payments themselves."""
    for number in (1, 2, 3, 4):
        story.operation(1, "info", key=f"k{number}", legs={"ada": -100, "ben": 100})
        bank.settled[f"k{number}"] = "applied"
        bank.book(f"k{number}", {"ada": -100, "ben": 100})
    for number, (until, seen) in enumerate(shown):
        story.look(2 + number / 10, "ada", 1000 - 100 * seen, seen, took=until - 2 - number / 10)
    story.look(at, "ada", 1000 - 100 * version, version, took=0.1)
    (one,) = reads(timeline(open_books(bank.close(story)))).misplaced
    assert (one.fault, one.version) == (Fault.BACK, version)
