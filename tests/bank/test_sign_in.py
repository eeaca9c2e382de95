"""The login journey against a scripted bank: who comes in, who leaves, and what is tried that must not work."""

import asyncio
import random
from dataclasses import dataclass, field

from chaoskit.bank import customers
from chaoskit.bank.sign_in import SignIn
from chaoskit.model.history import Credentials, Outcome

PEOPLE, GUESSED = customers.customers(7), customers.guessed(7)


@dataclass
class Answer:
    outcome: Outcome
    status: int = 200
    body: dict = field(default_factory=dict)


def came_in(number):
    return Answer(Outcome.OK, body={"token": f"t{number}", "session": f"s{number}"})


DONE, LOST = Answer(Outcome.OK), Answer(Outcome.INFO, 0)
WRONG, SHED, LOCKED = Answer(Outcome.FAIL, 401), Answer(Outcome.FAIL, 503), Answer(Outcome.FAIL, 423)


class Visit:
    """Answers calls from a script; `memory` is handed from visit to visit."""

    def __init__(self, script, memory, seed=1):
        self.random = random.Random(seed)
        self.script = script
        self.memory = memory
        self.calls = []

    def operation(self, *, credentials):
        return Wanted(self, credentials)


@dataclass
class Wanted:
    visit: Visit
    credentials: Credentials

    async def attempt(self, method, path, *, body, headers, timeout_s, habit):
        assert habit is None
        self.visit.calls.append((self.credentials, method, path, body, headers.get("Authorization")))
        return self.visit.script.pop(0)


def play(*visits, guess_share=0.0, later_s=0.0):
    """The calls of several visits with these answers, one visit after the other."""
    journey = SignIn(PEOPLE, GUESSED[:1], guess_share=guess_share, stay_s=(0.0, 0.0), later_s=later_s, pauses_s=(0.0,))
    memory, done = {}, []

    async def all_of_them():
        for seed, script in enumerate(visits):
            visit = Visit(list(script), memory, seed)
            await journey.visit(visit)
            assert visit.script == []
            done.append(visit.calls)

    asyncio.run(all_of_them())
    return done


def test_a_customer_logs_in_and_out_again():
    ((login, logout),) = play([came_in(1), DONE])
    customer = next(one for one in PEOPLE if one.name == login[0].customer)
    assert login[0] == Credentials(customer=customer.name, secret="right")
    assert login[1:4] == ("POST", "/login", {"customer": customer.name, "pin": customer.pin})
    assert logout == (Credentials(customer=customer.name, session="s1", ends=True), "POST", "/logout", None, "Bearer t1")


def test_what_is_not_clear_is_asked_once_more():
    ((first, second),) = play([LOST, LOST])
    assert first == second
    assert len(play([LOST, came_in(1), LOST, DONE])[0]) == 4
    assert len(play([SHED])[0]) == 1


def test_an_ended_session_is_tried_once_by_a_later_visit():
    first, second, third = play([came_in(1), DONE], [came_in(2), WRONG, DONE], [came_in(3), WRONG, DONE])
    owner = first[0][0].customer
    account = next(one for one in PEOPLE if one.name == owner).accounts[0]
    assert second[1] == (Credentials(customer=owner, session="s1"), "GET", f"/accounts/{account}", None, "Bearer t1")
    assert third[1][0].session == "s2"


def test_a_session_is_not_tried_before_its_time_nor_when_its_end_was_not_confirmed():
    assert [len(calls) for calls in play([came_in(1), DONE], [came_in(2), DONE], later_s=60.0)] == [2, 2]
    assert [len(calls) for calls in play([came_in(1), LOST, LOST], [came_in(2), DONE])] == [3, 2]
    assert [len(calls) for calls in play([came_in(1), SHED], [came_in(2), DONE])] == [2, 2]


def test_a_pin_is_guessed_until_the_customer_is_locked_and_then_even_the_right_one_is_tried():
    guessed = GUESSED[0]
    tries = [WRONG, SHED, WRONG, LOST, LOST, WRONG, LOCKED]
    calls = [call for (call, *_) in play([WRONG], [SHED], [WRONG], [LOST, LOST], [WRONG], [LOCKED], guess_share=1.0)]
    assert len(tries) == 7
    assert [credentials.secret for credentials, *_ in calls] == ["wrong"] * 5 + ["right"]
    assert [body["pin"] == guessed.pin for _, _, _, body, _ in calls] == [False] * 5 + [True]
    assert {credentials.customer for credentials, *_ in calls} == {guessed.name}


def test_whose_pin_is_guessed_uses_no_other_journey_and_has_no_money():
    assert not {one.name for one in GUESSED} & {one.name for one in PEOPLE}
    assert all(not one.accounts for one in GUESSED)
