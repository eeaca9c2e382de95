"""What customers do, against a scripted bank."""

import asyncio
import random
from dataclasses import dataclass, field

import pytest

from chaoskit.bank import customers, journeys
from chaoskit.model.errors import UsageError
from chaoskit.model.history import Outcome

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

    def __init__(self, *script, seed=1, login=SIGNED_IN):
        self.random = random.Random(seed)
        self.memory = {}
        self.intent = f"i{seed}"
        self.script = list(script)
        self.login = login
        self.requests = []
        self.calls = []
        self.operations = []

    async def request(self, method, path, *, body=None, headers=None, timeout_s):
        self.requests.append((method, path, body))
        return self.login

    def operation(self, *, legs=None, key="", session=""):
        self.operations.append((dict(legs or {}), key))
        return self

    async def attempt(self, method, path, *, body=None, headers=None, timeout_s):
        self.calls.append((method, path, body, headers))
        return self.script.pop(0)


def play(journey, visit):
    # Pauses of no length: their lengths are not what these tests are about.
    app = journeys.App(customers.customers(7), pauses_s=(0.0, 0.0), read_pauses_s=(0.0,))
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


def test_an_unknown_defect_is_refused_when_the_journeys_are_loaded():
    with pytest.raises(UsageError, match="no-idempotency"):
        journeys.journeys({"defect": "no-idempotence"}, 7)
