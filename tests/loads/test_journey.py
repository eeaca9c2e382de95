import asyncio
import time
from types import SimpleNamespace

import pytest

from chaoskit.loads.connection import Client
from chaoskit.loads.journal import Journal, Lines
from chaoskit.loads.journey import Engine, Visit, encode
from chaoskit.loads.worker import visits
from chaoskit.model.errors import UsageError
from chaoskit.model.history import Credentials, History, Outcome, read_history
from chaoskit.model.journey import Habit

LONG_S = 10.0
SHORT_S = 0.05
DUE_NS = 1


@pytest.fixture
def play(server, tmp_path, until):
    """Plays one journey for the arrival 7 of seed 5 and returns the history of it."""

    def play(journey, *, url=None, cancel_when=None, habits=None) -> History:
        async def go() -> None:
            lines = Lines(str(tmp_path / "h"), on_error=pytest.fail)
            client = Client(url or server.url)
            engine = Engine(client=client, journal=Journal(lines), seed=5, habits=habits)
            task = asyncio.ensure_future(visits(engine, {"transfer": journey})(7, "transfer", DUE_NS))
            if cancel_when:
                await until(cancel_when)
                engine.is_ending = True
                task.cancel()
            await asyncio.wait((task,), timeout=LONG_S)
            client.close()
            lines.close()

        asyncio.run(go())
        history = read_history((tmp_path / "h").read_bytes().splitlines())
        assert history.torn_lines == 0
        return history

    return play


def test_what_a_machine_pays_out_and_who_asks_by_what_is_recorded(play) -> None:
    known = Credentials(customer="ada", secret="wrong")

    async def withdraw(visit: Visit) -> None:
        wanted = visit.operation(legs={"a": -5, "vault": 5}, key=visit.intent)
        await wanted.attempt("POST", "/token", timeout_s=LONG_S)
        wanted.dispensed(5)
        reversal = visit.operation(key="back", intent="back", reverses=visit.intent, credentials=known)
        await reversal.attempt("POST", "/token", timeout_s=LONG_S)

    history = play(withdraw)
    first, second = history.operations
    (notes,) = history.dispensed
    assert (notes.operation, notes.key, notes.amount) == (first.number, first.key, 5)
    assert first.attempts[0].end_ns <= notes.at_ns <= second.start_ns
    assert (first.reverses, first.credentials) == ("", None)
    assert (second.reverses, second.intent, second.credentials) == (first.key, "back", known)


def test_a_session_is_recorded_by_its_name(play) -> None:
    given = (Credentials(customer="ada", session="s1", ends=True), Credentials(session="s1"))

    async def leave(visit: Visit) -> None:
        for credentials in given:
            await visit.operation(credentials=credentials).attempt("POST", "/token", timeout_s=LONG_S)

    assert tuple(operation.credentials for operation in play(leave).operations) == given


def test_an_operation_is_recorded_with_its_effect_and_its_answer(play, server) -> None:
    async def transfer(visit: Visit) -> None:
        operation = visit.operation(legs={"a": -5, "b": 5}, key=visit.intent)
        answer = await operation.attempt("POST", "/token", body={"amount": 5}, headers={"X-Who": "a"}, timeout_s=LONG_S)
        assert (answer.outcome, answer.status, answer.body["token"], answer.why) == (Outcome.OK, 200, "s3cr3t", "")

    (operation,) = play(transfer).operations
    assert (operation.journey, operation.intent, operation.key, operation.legs) == ("transfer", "5-7", "5-7", {"a": -5, "b": 5})
    assert (operation.due_ns, operation.outcome, operation.closed_ns is not None) == (DUE_NS, Outcome.OK, True)
    (attempt,) = operation.attempts
    assert (attempt.status, attempt.served_by) == (200, "core-1")
    assert "s3cr3t" not in str(attempt)
    assert operation.due_ns < attempt.start_ns < attempt.end_ns <= operation.closed_ns
    assert server.bodies == [b'{"amount":5}']


def test_preparations_count_for_the_customer_but_not_as_the_load_being_late(play) -> None:
    called_ns = []

    async def transfer(visit: Visit) -> None:
        called_ns.append(time.monotonic_ns())
        await visit.request("POST", "/token", timeout_s=LONG_S)
        called_ns.append(time.monotonic_ns())
        await visit.operation().attempt("GET", "/ok", timeout_s=LONG_S)

    (operation,) = play(transfer).operations
    assert operation.due_ns < operation.begun_ns <= called_ns[0] < called_ns[1] <= operation.start_ns


def test_an_unknown_attempt_before_a_refusal_stays_unknown(play) -> None:
    async def transfer(visit: Visit) -> None:
        operation = visit.operation(key="k")
        for path in ("/hang-up", "/status/409"):
            await operation.attempt("POST", path, body={}, timeout_s=LONG_S)

    (operation,) = play(transfer).operations
    assert [attempt.outcome for attempt in operation.attempts] == [Outcome.INFO, Outcome.FAIL]
    assert [attempt.why for attempt in operation.attempts] == [
        "connection lost after sending: closed without an answer",
        "HTTP 409: sorry",
    ]
    assert operation.outcome is Outcome.INFO


def test_attempts_that_are_under_way_at_once_are_recorded_each_for_its_habit(play, server, until) -> None:
    async def transfer(visit: Visit) -> None:
        operation = visit.operation(key=visit.intent)

        async def tap(habit):
            await operation.attempt("POST", "/stall", body={}, timeout_s=LONG_S, habit=habit)

        async def let_go():
            await until(lambda: len(server.requests) == 2)
            server.release.set()

        await asyncio.gather(tap(None), tap(Habit.DOUBLE_TAP), let_go())

    (operation,) = play(transfer).operations
    first, second = operation.attempts
    assert (first.habit, second.habit, operation.habit) == ("", "double-tap", "double-tap")
    assert max(first.start_ns, second.start_ns) < min(first.end_ns, second.end_ns)
    assert (first.outcome, operation.end_ns) == (Outcome.OK, min(first.end_ns, second.end_ns))
    assert operation.ended_ns == max(first.end_ns, second.end_ns)


def test_an_operation_may_be_for_an_intent_of_its_own(play) -> None:
    async def transfer(visit: Visit) -> None:
        for intent in ("", "other"):
            await visit.operation(key="k", intent=intent).attempt("POST", "/ok", body={}, timeout_s=LONG_S)

    assert [(operation.key, operation.intent) for operation in play(transfer).operations] == [("k", "5-7"), ("k", "other")]


def test_a_habit_comes_from_the_seed_and_the_arrival_alone_and_as_often_as_it_is_asked_for() -> None:
    def drawn(habits):
        engine = Engine(client=SimpleNamespace(target=SimpleNamespace(name="bank")), journal=None, seed=5, habits=habits)
        made = [Visit(engine, number=number, journey="transfer", due_ns=1) for number in range(4000)]
        return [visit.habit for visit in made], [visit.random.random() for visit in made[:50]]

    habits, chances = drawn({"double-tap": 0.05, "late-retry": 0.02})
    assert drawn({"late-retry": 0.02, "double-tap": 0.05}) == (habits, chances)
    assert 150 <= habits.count(Habit.DOUBLE_TAP) <= 250
    assert 50 <= habits.count(Habit.LATE_RETRY) <= 115
    assert set(habits) == {None, Habit.DOUBLE_TAP, Habit.LATE_RETRY}
    # What a customer pays does not depend on whether any customer has a habit.
    assert drawn({}) == ([None] * 4000, chances)
    assert set(drawn({"new-key": 1.0})[0]) == {Habit.NEW_KEY}


def test_a_refused_connection_surely_had_no_effect(play, refused_url) -> None:
    async def transfer(visit: Visit) -> None:
        await visit.operation().attempt("POST", "/", body={}, timeout_s=LONG_S)

    (operation,) = play(transfer, url=refused_url).operations
    assert operation.outcome is Outcome.FAIL
    assert operation.why.startswith("connection refused: 127.0.0.1:")


def test_a_journey_that_raises_before_its_operation_is_a_failed_operation(play) -> None:
    async def transfer(visit: Visit) -> None:
        answer = await visit.request("POST", "/status/503", timeout_s=LONG_S)
        raise RuntimeError(f"no token: {answer.why}")

    (operation,) = play(transfer).operations
    assert (operation.outcome, operation.why) == (Outcome.FAIL, "the journey raised RuntimeError: no token: HTTP 503: sorry")
    assert (operation.due_ns, len(operation.attempts), operation.closed_ns is not None) == (DUE_NS, 1, True)


def test_a_journey_that_returns_without_an_operation_is_a_failed_operation(play) -> None:
    async def transfer(visit: Visit) -> None:
        visit.operation(legs={"a": 1})

    (operation,) = play(transfer).operations
    assert (operation.outcome, operation.why) == (Outcome.FAIL, "the journey made no attempt of an operation")


@pytest.mark.parametrize("path, outcome", [("/ok", Outcome.OK), ("/status/503", Outcome.INFO), ("/status/422", Outcome.FAIL)])
def test_a_journey_that_raises_later_does_not_change_what_is_known(play, path, outcome) -> None:
    async def transfer(visit: Visit) -> None:
        answer = await visit.operation().attempt("GET", path, timeout_s=LONG_S)
        answer.body["balance"]

    (operation,) = play(transfer).operations
    assert (operation.outcome, operation.why) == (outcome, "the journey raised KeyError: 'balance'")


def test_a_journey_that_gives_up_waiting_leaves_an_unknown(play) -> None:
    async def transfer(visit: Visit) -> None:
        try:
            async with asyncio.timeout(SHORT_S):
                await visit.operation().attempt("POST", "/stall", body={}, timeout_s=LONG_S)
        except TimeoutError:
            return

    (operation,) = play(transfer).operations
    assert (operation.outcome, operation.why) == (Outcome.INFO, "the journey gave up waiting")


def test_what_is_open_when_the_load_ends_stays_without_an_answer(play, server) -> None:
    async def transfer(visit: Visit) -> None:
        await visit.operation().attempt("POST", "/stall", body={}, timeout_s=LONG_S)

    (operation,) = play(transfer, cancel_when=lambda: server.requests).operations
    assert (operation.outcome, operation.end_ns, operation.closed_ns) == (Outcome.INFO, None, None)


def test_who_never_came_to_his_operation_when_the_load_ended_is_recorded(play, server) -> None:
    async def transfer(visit: Visit) -> None:
        await visit.request("POST", "/stall", timeout_s=LONG_S)

    (operation,) = play(transfer, cancel_when=lambda: server.requests).operations
    assert (operation.outcome, operation.why) == (Outcome.FAIL, "the load ended before the journey made an attempt")


def test_a_second_operation_counts_from_its_own_beginning(play) -> None:
    async def transfer(visit: Visit) -> None:
        await visit.operation().attempt("GET", "/ok", timeout_s=LONG_S)
        await visit.operation(key="again").attempt("GET", "/ok", timeout_s=LONG_S)

    first, second = play(transfer).operations
    assert first.due_ns == DUE_NS
    assert second.begun_ns == second.due_ns
    assert first.end_ns <= second.due_ns <= second.start_ns
    assert first.intent == second.intent
    assert first.number != second.number


def test_chance_and_intent_belong_to_the_arrival(play) -> None:
    drawn = []

    async def transfer(visit: Visit) -> None:
        drawn.append((visit.intent, visit.random.random(), visit.random.random()))
        visit.memory["seen"] = True
        await visit.operation().attempt("GET", "/ok", timeout_s=LONG_S)

    play(transfer)
    play(transfer)
    assert drawn[0] == drawn[1]
    assert drawn[0][1] != drawn[0][2]


def test_a_request_is_one_request() -> None:
    assert encode("GET", "/a?b=c", host="h:1") == b"GET /a?b=c HTTP/1.1\r\nHost: h:1\r\n\r\n"
    assert encode("POST", "/", host="h") == b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
    assert encode("POST", "/", host="h", body={"a": "é"}, headers={"K": "v"}) == (
        b'POST / HTTP/1.1\r\nHost: h\r\nK: v\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{"a":"\\u00e9"}'
    )


@pytest.mark.parametrize(
    "method, path, headers",
    [
        ("GET", "/a b", {}),
        ("GET", "balance", {}),
        ("GET", "/\r\nX: y", {}),
        ("get it", "/", {}),
        ("GET", "/", {"K": "v\r\nX: y"}),
        ("GET", "/", {"K y": "v"}),
        ("GET", "/", {"": "v"}),
    ],
)
def test_what_would_break_out_of_a_request_is_refused(method, path, headers) -> None:
    with pytest.raises(UsageError, match="expected"):
        encode(method, path, host="h", headers=headers)
