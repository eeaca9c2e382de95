"""The cash machine against a scripted bank: what it pays out, and what it has taken back."""

import asyncio
import random
from dataclasses import dataclass, field

import pytest

from chaoskit.bank.broken.cash_machines import PaysOnSilence
from chaoskit.bank.cash_machine import CashMachine, Draw
from chaoskit.model.history import Outcome

DRAW = Draw(customer="ada", account="ada-1", amount=500, headers={"Authorization": "Bearer t"})


@dataclass
class Answer:
    outcome: Outcome
    status: int = 200
    body: dict = field(default_factory=dict)
    why: str = ""


PAID, REVERSED = Answer(Outcome.OK), Answer(Outcome.OK)
REFUSED = Answer(Outcome.FAIL, 422)
NOTHING_TO_REVERSE = Answer(Outcome.FAIL, 422)
SHED, UNSENT = Answer(Outcome.FAIL, 503), Answer(Outcome.FAIL, 0)
LOST = Answer(Outcome.INFO, 0)


class Visit:
    """Answers calls from a script, and notes down what was begun, asked and paid out."""

    intent = "i1"

    def __init__(self, *script):
        self.random = random.Random(1)
        self.script = list(script)
        self.begun = []
        self.calls = []
        self.paid = []

    def operation(self, **what):
        self.begun.append(what)
        return Wanted(self, what["key"])


@dataclass
class Wanted:
    visit: Visit
    key: str

    async def attempt(self, method, path, *, body, headers, timeout_s, habit):
        assert habit is None
        self.visit.calls.append((method, path, body, headers))
        return self.visit.script.pop(0)

    def dispensed(self, amount):
        self.visit.paid.append((self.key, amount))


def serve(*script, machine=CashMachine, patience_s=60.0):
    visit = Visit(*script)
    asyncio.run(machine(pause_s=0.0, patience_s=patience_s).serve(visit, DRAW))
    assert visit.script == []
    return visit


def test_pays_out_once_the_debit_is_confirmed():
    visit = serve(PAID)
    assert visit.paid == [("i1", 500)]
    assert visit.begun == [{"legs": {"ada-1": -500, "vault": 500}, "key": "i1", "session": "ada"}]
    (call,) = visit.calls
    assert call == (
        "POST",
        "/withdrawals",
        {"account": "ada-1", "amount": 500},
        {"Authorization": "Bearer t", "Idempotency-Key": "i1"},
    )


@pytest.mark.parametrize("answer", [REFUSED, SHED, UNSENT])
def test_gives_nothing_to_whom_it_was_refused(answer):
    visit = serve(answer)
    assert (visit.paid, len(visit.calls)) == ([], 1)


@pytest.mark.parametrize("script", [[REVERSED], [NOTHING_TO_REVERSE], [LOST, REVERSED], [SHED, UNSENT, LOST, NOTHING_TO_REVERSE]])
def test_without_an_answer_it_gives_nothing_and_asks_for_the_reversal_until_the_bank_has_decided(script):
    visit = serve(LOST, *script)
    assert visit.paid == []
    _, reversal = visit.begun
    assert reversal == {
        "legs": {"ada-1": 500, "vault": -500},
        "key": "i1-reversal",
        "session": "ada",
        "intent": "i1-reversal",
        "reverses": "i1",
    }
    for _, path, body, headers in visit.calls[1:]:
        assert (path, body) == ("/reversals", {"account": "ada-1", "amount": 500, "reverses": "i1"})
        assert headers["Idempotency-Key"] == "i1-reversal"


def test_stops_asking_when_its_patience_is_over():
    assert len(serve(LOST, SHED, patience_s=0.0).calls) == 2


def test_the_broken_machine_takes_silence_for_a_yes():
    visit = serve(LOST, machine=PaysOnSilence)
    assert (visit.paid, len(visit.calls)) == ([("i1", 500)], 1)
    assert serve(REFUSED, machine=PaysOnSilence).paid == []
