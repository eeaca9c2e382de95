"""Customers with habits: what each means in a history, on a bank that withstands it and on one that does not.

A sound bank is never accused of what its customers did, but for the broken client: what is wanted once happens once, whoever sees
to it.
"""

import json
from dataclasses import replace

import pytest

from chaoskit.checkers.availability import Availability
from chaoskit.checkers.money import MONEY
from chaoskit.checkers.money.certificate import certificate
from chaoskit.checkers.money.verify import verify
from chaoskit.model.journey import Habit
from chaoskit.model.verdict import Result

PAY, OTHER = {"ada": -10, "ben": 10}, {"ada": -20, "ben": 20}
TOLD = {"account": "ada", "version": 1, "balance": 990}


def failed(history):
    return [finding.checker for check in MONEY for finding in check.check(history) if finding.outcome is Result.FAILED]


def with_habit(story, habit, *, attempts=(-1,)):
    """The operation that was told last had these attempts for that habit."""
    operation = story.operations[-1]
    made = list(operation.attempts)
    for at in attempts:
        made[at] = replace(made[at], habit=habit.value)
    story.operations[-1] = replace(operation, attempts=tuple(made))


def double_tap(story, *outcomes, second=None):
    """One payment sent twice at once: both attempts begin at 1 s."""
    operation = story.operation(1, *outcomes, key="k1", intent="i1", legs=PAY, result=TOLD)
    first, other = operation.attempts
    other = replace(other, start_ns=first.start_ns, end_ns=first.end_ns, **({"result": second} if second else {}))
    story.operations[-1] = replace(operation, attempts=(first, other))
    with_habit(story, Habit.DOUBLE_TAP)


def other_body(story, first, second, *, status=422):
    """Two payments under one key, both begun at 1 s."""
    story.operation(1, first, key="k1", intent="i1", legs=PAY, took=1.0, status=422 if first == "fail" else 0)
    story.operation(1, second, key="k1", intent="i1-other", legs=OTHER, took=1.0, status=status if second == "fail" else 0)
    with_habit(story, Habit.OTHER_BODY)


def certified(history, events_of):
    lines = [json.dumps(event).encode() + b"\n" for event in events_of(history)]
    return verify(lines, json.loads(json.dumps(certificate(history))))


@pytest.mark.parametrize("outcomes", [("ok", "ok"), ("ok", "fail"), ("info", "ok"), ("fail", "ok")])
def test_a_double_tap_that_happened_once_and_was_answered_alike_is_right(story, bank, events_of, outcomes):
    double_tap(story, *outcomes)
    bank.book("k1", PAY)
    assert failed(bank.close(story)) == []
    assert certified(bank.close(story), events_of).startswith("1 payments")


def test_a_double_tap_that_happened_twice_is_twice(story, bank):
    double_tap(story, "ok", "ok")
    bank.book("k1", PAY)
    bank.book("k1", PAY)
    assert failed(bank.close(story))[0] == "at-most-once"


def test_a_double_tap_whose_answers_differ_has_no_stable_answer(story, bank):
    double_tap(story, "ok", "ok", second={**TOLD, "version": 2, "balance": 980})
    bank.book("k1", PAY)
    assert failed(bank.close(story)) == ["answer-stable"]


@pytest.mark.parametrize(
    "first, second, booked",
    [
        ("ok", "fail", PAY),
        ("fail", "ok", OTHER),  # the other one came first
        ("fail", "fail", None),  # whichever came first was refused, and that is the key's answer
        ("info", "fail", PAY),
        ("info", "ok", OTHER),
        ("info", "info", OTHER),
        ("info", "info", None),
    ],
)
def test_of_two_bodies_under_one_key_one_may_happen(story, bank, events_of, first, second, booked):
    other_body(story, first, second)
    story.operation(2, key="k2", legs={"cid": -1, "ben": 1})
    bank.book("k2", {"cid": -1, "ben": 1})
    if booked:
        bank.book("k1", booked)
    if {first, second} & {"info"} and "ok" not in {first, second}:
        bank.settled["k1"] = "applied" if booked else "tombstone"
    elif "info" in {first, second}:
        bank.settled["k1"] = "applied"
    history = bank.close(story)
    assert failed(history) == []
    assert "followed in one order" in certified(history, events_of)


@pytest.mark.parametrize(
    "first, second, booked, checker",
    [
        ("ok", "ok", [PAY, OTHER], "at-most-once"),
        ("ok", "ok", [PAY], "answer-stable"),
        ("ok", "fail", [PAY, OTHER], "no-refused-effect"),
        ("ok", "fail", [OTHER], "no-refused-effect"),
        ("ok", "info", [PAY, OTHER], "at-most-once"),
        # Told that the first one is done, and the other one is there in its place.
        ("ok", "info", [OTHER], "ack-durable"),
    ],
)
def test_of_two_bodies_under_one_key_not_both_and_not_the_wrong_one(story, bank, first, second, booked, checker):
    other_body(story, first, second)
    for legs in booked:
        bank.book("k1", legs)
    bank.settled["k1"] = "applied"
    assert failed(bank.close(story))[0] == checker


def test_a_refusal_that_was_asked_for_is_a_service_that_works(story):
    for _ in range(5):
        other_body(story, "ok", "fail")
    (finding,) = Availability(journey="transfer", at_least=1.0).check(story.history())
    assert (finding.outcome, finding.measures) == (Result.PASSED, {"availability": 1.0, "operations": 10})


def test_a_double_tap_of_which_one_was_refused_and_the_other_one_turned_away_was_served(story):
    for statuses in ((422, 503), (503, 422)) * 3:
        double_tap(story, "fail", "fail")
        operation = story.operations[-1]
        attempts = tuple(replace(one, status=status) for one, status in zip(operation.attempts, statuses, strict=True))
        story.operations[-1] = replace(operation, attempts=attempts)
    (finding,) = Availability(journey="transfer", at_least=1.0).check(story.history())
    assert finding.outcome is Result.PASSED


def broken_client(story):
    story.operation(1, "info", key="k1", intent="i1", legs=PAY, took=1.0)
    story.operation(2, key="k1-1", intent="i1", legs=PAY)
    with_habit(story, Habit.NEW_KEY)


def test_the_broken_client_pays_twice_where_the_first_call_had_paid(story, bank):
    broken_client(story)
    bank.book("k1", PAY)
    bank.book("k1-1", PAY)
    bank.settled["k1"] = "applied"
    assert failed(bank.close(story)) == ["at-most-once"]


def test_the_broken_client_is_lucky_where_the_first_call_was_lost(story, bank, events_of):
    broken_client(story)
    bank.book("k1-1", PAY)
    bank.settled["k1"] = "tombstone"
    assert failed(bank.close(story)) == []
    assert certified(bank.close(story), events_of).startswith("1 payments")


@pytest.mark.parametrize("twice", [False, True])
def test_a_late_retry_gets_the_same_answer_or_pays_again(story, bank, twice):
    story.operation(1, "ok", "ok", key="k1", legs=PAY, took=4.0, result=TOLD)
    with_habit(story, Habit.LATE_RETRY)
    bank.book("k1", PAY)
    if twice:
        bank.book("k1", PAY)
    assert failed(bank.close(story)) == (["at-most-once"] if twice else [])
