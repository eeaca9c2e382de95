import asyncio

import pytest

from chaoskit.loads.again import is_clear, send_again
from chaoskit.loads.connection import Client
from chaoskit.loads.journal import Journal, Lines
from chaoskit.loads.journey import Answer, Engine, Visit
from chaoskit.loads.worker import visits
from chaoskit.model.history import History, Outcome, read_history

LONG_S = 10.0
SOON_S = 0.2


@pytest.fixture
def play(server, tmp_path):
    """Plays one journey, lets the bank come back, and sends again what had no clear answer."""

    def play(journey, *, within_s=LONG_S, comes_back=True) -> History:
        async def go() -> None:
            lines = Lines(str(tmp_path / "h"), on_error=pytest.fail)
            client = Client(server.url)
            engine = Engine(client=client, journal=Journal(lines), seed=5)
            await visits(engine, {"pay": journey})(7, "pay", 1)
            if comes_back:
                server.release.set()
            engine.is_ending = True
            await send_again(engine.unanswered, within_s=within_s)
            client.close()
            lines.close()

        asyncio.run(go())
        return read_history((tmp_path / "h").read_bytes().splitlines())

    return play


def post(path, *, key="k", **more):
    async def pay(visit: Visit) -> None:
        await visit.operation(key=key, **more).attempt("POST", path, body={"amount": 5}, headers={"X-Who": "a"}, timeout_s=LONG_S)

    return pay


def test_it_is_the_same_request_and_its_customer_has_seen_nothing_of_it(play, server) -> None:
    (operation,) = play(post("/away")).operations
    first, second = operation.attempts
    assert (first.is_resent, second.is_resent) == (False, True)
    assert (operation.outcome, operation.as_its_customer_saw.outcome) == (Outcome.OK, Outcome.INFO)
    assert server.bodies == [b'{"amount":5}'] * 2
    assert operation.as_its_customer_saw.end_ns == first.end_ns < second.start_ns


@pytest.mark.parametrize(
    "path, key",
    [("/ok", "k"), ("/status/409", "k"), ("/no-effect", "k"), ("/hang-up", "")],
    ids=["ok", "no", "none", "without key"],
)
def test_what_is_clear_and_what_has_no_key_is_not_sent_again(play, server, path, key) -> None:
    play(post(path, key=key))
    assert len(server.requests) == 1


def test_it_is_sent_again_until_it_is_answered_and_no_longer_than_it_may(play, server) -> None:
    (operation,) = play(post("/away"), within_s=SOON_S, comes_back=False).operations
    assert operation.outcome is Outcome.INFO
    assert len(server.requests) == len(operation.attempts) >= 2


def test_a_refusal_ends_the_asking_and_leaves_it_unknown(play, server) -> None:
    async def pay(visit: Visit) -> None:
        operation = visit.operation(key="k")
        await operation.attempt("POST", "/hang-up", body={}, timeout_s=LONG_S)
        await operation.attempt("POST", "/status/422", body={}, timeout_s=LONG_S)

    (operation,) = play(pay).operations
    assert [attempt.is_resent for attempt in operation.attempts] == [False, False, True]
    assert operation.outcome is Outcome.INFO


def test_an_answer_before_or_after_the_unknown_one_is_enough(play, server) -> None:
    async def pay(visit: Visit) -> None:
        for paths in (("/hang-up", "/ok"), ("/ok", "/hang-up")):
            operation = visit.operation(key=paths[0], intent=paths[0])
            for path in paths:
                await operation.attempt("POST", path, body={}, timeout_s=LONG_S)

    play(pay)
    assert len(server.requests) == 4


def test_what_was_taken_back_is_not_asked_for_again_but_its_reversal_is(play, server) -> None:
    async def draw(visit: Visit) -> None:
        await visit.operation(key=visit.intent).attempt("POST", "/hang-up", body={}, timeout_s=LONG_S)
        back = visit.operation(key="back", intent="back", reverses=visit.intent)
        await back.attempt("POST", "/away", body={}, timeout_s=LONG_S)

    play(draw)
    assert [line.split()[1] for line in server.requests] == ["/hang-up", "/away", "/away"]


def test_what_was_asked_for_under_another_key_too_is_not_asked_for_again(play, server) -> None:
    async def pay(visit: Visit) -> None:
        for key, path in (("k1", "/hang-up"), ("k2", "/ok")):
            await visit.operation(key=key).attempt("POST", path, body={}, timeout_s=LONG_S)

    play(pay)
    assert len(server.requests) == 2


def test_another_payment_under_the_same_key_is_asked_for_by_itself(play, server) -> None:
    async def pay(visit: Visit) -> None:
        for intent in ("", "other"):
            await visit.operation(key="k", intent=intent).attempt("POST", "/away", body={}, timeout_s=LONG_S)

    assert [one.outcome for one in play(pay).operations] == [Outcome.OK, Outcome.OK]
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    "outcome, status, expected",
    [
        (Outcome.OK, 200, True),
        (Outcome.FAIL, 409, True),
        (Outcome.FAIL, 429, False),
        (Outcome.FAIL, 503, False),
        (Outcome.FAIL, 0, False),
        (Outcome.INFO, 500, False),
        (Outcome.INFO, 499, False),
    ],
)
def test_what_is_clear(outcome, status, expected) -> None:
    assert is_clear(Answer(outcome=outcome, status=status)) is expected
