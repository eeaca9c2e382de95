"""What customers do, against a scripted bank."""

import asyncio
import random
from dataclasses import dataclass, field

import pytest

from chaoskit.bank import customers, journeys
from chaoskit.model.errors import UsageError
from chaoskit.model.history import Outcome
from chaoskit.model.journey import Habit

OK, FAIL, INFO = Outcome.OK, Outcome.FAIL, Outcome.INFO


@dataclass
class Answer:
    outcome: Outcome
    status: int = 200
    body: dict = field(default_factory=dict)


SHED = Answer(FAIL, 503, {"error": "overloaded", "effect": "none"})
REFUSED = Answer(FAIL, 422, {"error": "insufficient-funds", "effect": "none"})
LOST = Answer(INFO, 0)
PAID = Answer(OK)
SIGNED_IN = Answer(OK, body={"token": "t"})


class Visit:
    """Answers recorded calls from a script, and every login with a token."""

    def __init__(self, *script, seed=1, login=SIGNED_IN, habit=None):
        self.random = random.Random(seed)
        self.memory = {}
        self.intent = f"i{seed}"
        self.habit = habit
        self.script = list(script)
        self.login = login
        self.requests = []
        self.calls = []
        self.habits = []
        self.operations = []
        self.intents = []
        self.open = self.most_open = 0

    async def request(self, method, path, *, body=None, headers=None, timeout_s):
        self.requests.append((method, path, body))
        return self.login

    def operation(self, *, legs=None, key="", session="", intent="", reverses="", credentials=None):
        self.operations.append((dict(legs or {}), key))
        self.intents.append(intent or self.intent)
        return self

    def dispensed(self, amount):
        self.paid_out = amount

    async def attempt(self, method, path, *, body=None, headers=None, timeout_s, habit=None):
        self.calls.append((method, path, body, headers))
        self.habits.append(habit)
        answer = self.script.pop(0)
        self.open += 1
        self.most_open = max(self.open, self.most_open)
        await asyncio.sleep(0)  # so that a call that is made at the same time begins before this one has its answer
        self.open -= 1
        return answer


def play(journey, visit):
    # Pauses of no length: their lengths are not what these tests are about.
    app = journeys.App(customers.customers(7), pauses_s=(0.0, 0.0), read_pauses_s=(0.0,), late_s=0.0)
    asyncio.run(app.journeys()[journey](visit))
    return visit


@pytest.mark.parametrize(
    "script, calls",
    [
        ([PAID], 1),
        ([REFUSED], 1),
        ([SHED], 1),
        ([LOST, PAID], 2),
        ([LOST, LOST, LOST], 3),
        # A refusal of the second call settles it; a shed second call says nothing of the first.
        ([LOST, REFUSED], 2),
        ([LOST, SHED, PAID], 3),
        ([LOST, SHED, SHED], 3),
    ],
)
def test_a_payment_is_asked_for_again_only_while_it_is_unclear(script, calls):
    visit = play("transfer", Visit(*script))
    assert len(visit.calls) == calls
    assert len(visit.operations) == 1
    assert {call[3]["Idempotency-Key"] for call in visit.calls} == {visit.intent}
    assert len({str(call) for call in visit.calls}) == 1


def test_a_look_up_is_asked_for_again_once():
    assert len(play("balance", Visit(LOST, LOST)).calls) == 2
    assert len(play("login", Visit(LOST, LOST)).calls) == 2


def test_legs_say_what_an_accepted_payment_does():
    opening = customers.opening(7, {})
    for journey in ("transfer", "withdraw"):
        for seed in range(50):
            visit = play(journey, Visit(PAID, seed=seed))
            ((legs, key),) = visit.operations
            assert key == visit.intent
            assert sum(legs.values()) == 0
            assert set(legs) <= set(opening)
            ((payer, amount),) = [(account, -amount) for account, amount in legs.items() if amount < 0]
            ((_, path, body, headers),) = visit.calls
            assert body["amount"] == amount
            assert headers["Authorization"] == "Bearer t"
            if journey == "withdraw":
                assert (path, body["account"], legs["vault"]) == ("/withdrawals", payer, amount)
            else:
                assert (path, body["from"]) == ("/transfers", payer)
                assert legs[body["to"] if body["bank"] == "own" else "clearing"] == amount


def test_about_a_fifth_of_the_transfers_go_to_other_banks():
    banks = [play("transfer", Visit(PAID, seed=seed)).calls[0][2]["bank"] for seed in range(500)]
    assert 60 <= banks.count("other") <= 140


def test_a_token_is_fetched_once_and_kept():
    visit = play("balance", Visit(PAID))
    visit.script = [PAID]
    visit.random = random.Random(1)
    play("balance", visit)
    assert len(visit.requests) == 1


def test_a_customer_who_cannot_log_in_is_on_the_record():
    visit = play("transfer", Visit(Answer(FAIL, 401), login=SHED))
    assert len(visit.requests) == 2
    ((_, _, _, headers),) = visit.calls
    assert "Authorization" not in headers


def test_a_double_tap_is_one_payment_sent_twice_at_once():
    visit = play("transfer", Visit(PAID, PAID, habit=Habit.DOUBLE_TAP))
    assert (len(visit.operations), visit.most_open, visit.habits) == (1, 2, [None, Habit.DOUBLE_TAP])
    assert len({str(call) for call in visit.calls}) == 1


def test_a_double_tap_without_an_answer_is_asked_for_again_like_any_other():
    assert play("transfer", Visit(LOST, LOST, PAID, habit=Habit.DOUBLE_TAP)).habits == [None, Habit.DOUBLE_TAP, None]


def test_another_body_is_another_payment_under_the_same_key_at_once_or_afterwards():
    at_once = 0
    for seed in range(40):
        visit = play("transfer", Visit(PAID, REFUSED, habit=Habit.OTHER_BODY, seed=seed))
        (legs, key), (other_legs, other_key) = visit.operations
        assert key == other_key == visit.calls[0][3]["Idempotency-Key"] == visit.calls[1][3]["Idempotency-Key"]
        assert visit.intents == [visit.intent, f"{visit.intent}-other"]
        assert visit.habits == [None, Habit.OTHER_BODY]
        (_, _, body, _), (_, _, other_body, _) = visit.calls
        assert body["amount"] == max(legs.values())
        assert other_body == {**body, "amount": max(other_legs.values())}
        assert body["amount"] < other_body["amount"]
        assert (sum(other_legs.values()), other_legs.keys()) == (0, legs.keys())
        at_once += visit.most_open == 2
    assert 10 <= at_once <= 30


def test_the_broken_client_asks_again_with_new_keys_for_one_intent():
    visit = play("transfer", Visit(LOST, LOST, PAID, habit=Habit.NEW_KEY))
    (legs, _), *_ = visit.operations
    assert visit.operations == [(legs, "i1"), (legs, "i1-1"), (legs, "i1-2")]
    assert [call[3]["Idempotency-Key"] for call in visit.calls] == ["i1", "i1-1", "i1-2"]
    assert set(visit.intents) == {"i1"}
    assert visit.habits == [None, Habit.NEW_KEY, Habit.NEW_KEY]
    assert play("transfer", Visit(PAID, habit=Habit.NEW_KEY)).habits == [None]


@pytest.mark.parametrize(
    "script, habits",
    [
        ([PAID, PAID], [None, Habit.LATE_RETRY]),
        ([LOST, PAID, PAID], [None, None, Habit.LATE_RETRY]),
        ([LOST, LOST, LOST, PAID], [None, None, None, Habit.LATE_RETRY]),
        # Who was refused has nothing to ask about.
        ([REFUSED], [None]),
        ([SHED], [None]),
    ],
)
def test_a_late_retry_asks_once_more_with_the_same_key(script, habits):
    visit = play("transfer", Visit(*script, habit=Habit.LATE_RETRY))
    assert (len(visit.operations), visit.habits) == (1, habits)
    assert len({str(call) for call in visit.calls}) == 1


@pytest.mark.parametrize("habit", Habit)
def test_who_only_looks_has_no_habit(habit):
    assert play("balance", Visit(PAID, habit=habit)).habits == [None]


def test_an_unknown_defect_is_refused_when_the_journeys_are_loaded():
    with pytest.raises(UsageError, match="no-idempotency"):
        journeys.journeys({"defect": "no-idempotence"}, 7)
