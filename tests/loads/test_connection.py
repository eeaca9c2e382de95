import asyncio

import pytest

from chaoskit.loads.connection import Client, Reply, Target
from chaoskit.loads.journey import encode
from chaoskit.loads.loop import loop_factory
from chaoskit.loads.outcome import Trouble
from chaoskit.model.errors import UsageError

LONG_S = 10.0
SHORT_S = 0.05


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request):
    """Runs a coroutine on each kind of event loop."""
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=loop_factory(request.param)) as runner:
        yield runner.run


async def get(client: Client, path: str, *, timeout_s: float = LONG_S) -> Reply:
    return await client.exchange(encode("GET", path, host=client.target.name), timeout_s=timeout_s)


def get_one(server, path: str, *, timeout_s: float = LONG_S):
    async def go() -> Reply:
        client = Client(server.url)
        reply = await get(client, path, timeout_s=timeout_s)
        client.close()
        return reply

    return go()


@pytest.mark.parametrize("path", ["/ok", "/chunked", "/close", "/until-close"])
def test_takes_every_way_to_end_an_answer(run, server, path) -> None:
    reply = run(get_one(server, path))
    assert (reply.trouble, reply.status, reply.content) == (None, 200, b'{"ok":true}')


@pytest.mark.parametrize(
    "path, trouble",
    [
        ("/reset", Trouble.RESET),
        ("/hang-up", Trouble.RESET),
        ("/truncated", Trouble.TRUNCATED),
        ("/garbage", Trouble.UNPARSABLE),
    ],
)
def test_tells_apart_how_an_answer_was_lost(run, server, path, trouble) -> None:
    reply = run(get_one(server, path))
    assert (reply.trouble, reply.status) == (trouble, 0)
    assert reply.detail


def test_a_lost_call_is_sent_once(run, server) -> None:
    run(get_one(server, "/hang-up"))
    assert server.requests == ["GET /hang-up HTTP/1.1"]


def test_a_refused_connection_is_told_from_a_lost_one(run, refused_url) -> None:
    async def go() -> Reply:
        return await get(Client(refused_url), "/ok")

    assert run(go()).trouble is Trouble.REFUSED


def test_a_call_without_an_answer_ends_at_its_limit(run, server) -> None:
    reply = run(get_one(server, "/stall", timeout_s=SHORT_S))
    assert reply.trouble is Trouble.TIMEOUT


def test_a_shorter_limit_on_a_used_connection_is_kept(run, server) -> None:
    async def go() -> tuple[Reply, Reply]:
        client = Client(server.url)
        return await get(client, "/ok", timeout_s=3600), await get(client, "/stall", timeout_s=SHORT_S)

    first, second = run(go())
    assert (first.trouble, second.trouble) == (None, Trouble.TIMEOUT)
    assert len(server.connections) == 1


def test_the_limit_of_the_call_before_does_not_end_the_next_one(run, server) -> None:
    async def go() -> Reply:
        client = Client(server.url)
        await get(client, "/ok", timeout_s=SHORT_S)
        loop = asyncio.get_running_loop()
        # After the first call's limit has passed.
        loop.call_later(SHORT_S * 3, server.release.set)
        return await get(client, "/stall", timeout_s=LONG_S)

    assert run(go()).status == 200


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one(run, server) -> None:
    async def go() -> Reply:
        client = Client(server.url)
        await get(client, "/stall", timeout_s=SHORT_S)
        server.release.set()
        return await get(client, "/status/404")

    assert run(go()).status == 404
    assert len(server.connections) == 2


def test_calls_one_after_another_share_a_connection(run, server) -> None:
    async def go() -> None:
        client = Client(server.url)
        for _ in range(5):
            assert (await get(client, "/ok")).status == 200

    run(go())
    assert len(server.connections) == 1


def test_calls_at_once_wait_for_no_one(run, server, until) -> None:
    async def go() -> list[Reply]:
        client = Client(server.url)
        calls = [asyncio.ensure_future(get(client, "/stall")) for _ in range(50)]
        await until(lambda: len(server.requests) >= 50)
        server.release.set()
        return await asyncio.gather(*calls)

    assert {reply.status for reply in run(go())} == {200}
    assert len(server.connections) == 50


def test_an_idle_connection_that_its_server_closed_is_not_used(run, server, until) -> None:
    """Else the next call, perhaps a transfer, would be unknown though the server is well."""

    async def go() -> Reply:
        client = Client(server.url)
        await get(client, "/ok")
        server.close_connections()
        await until(lambda: not client._idle)
        return await get(client, "/ok")

    assert run(go()).status == 200
    assert len(server.connections) == 2


def test_beyond_the_bound_calls_wait_for_a_free_connection(run, server, until) -> None:
    async def go() -> list[Reply]:
        client = Client(server.url, connections_max=2)
        first = [asyncio.ensure_future(get(client, "/stall")) for _ in range(2)]
        await until(lambda: len(server.requests) >= 2)
        late = asyncio.ensure_future(get(client, "/ok"))
        too_late = await get(client, "/ok", timeout_s=SHORT_S)
        server.release.set()
        return [*await asyncio.gather(*first), await late, too_late]

    *good, too_late = run(go())
    assert {reply.status for reply in good} == {200}
    assert too_late.trouble is Trouble.NO_CONNECTION_IN_TIME
    assert "all 2 connections" in too_late.detail
    assert len(server.connections) == 2


def test_a_lost_connection_makes_room_for_who_waits(run, server, until) -> None:
    async def go() -> Reply:
        client = Client(server.url, connections_max=1)
        first = asyncio.ensure_future(get(client, "/stall", timeout_s=SHORT_S))
        await until(lambda: server.requests)
        second = await get(client, "/ok")
        await first
        return second

    assert run(go()).status == 200


def test_a_connection_that_is_just_closing_is_passed_over(run, server) -> None:
    async def go() -> Reply:
        client = Client(server.url)
        await get(client, "/ok")
        next(iter(client._idle)).abort()
        return await get(client, "/ok")

    assert run(go()).status == 200
    assert len(server.connections) == 2


def test_those_who_wait_for_room_hear_at_once_that_the_server_is_gone(run, server, until) -> None:
    async def go() -> list[Reply]:
        client = Client(server.url, connections_max=1)
        first = asyncio.ensure_future(get(client, "/hang-up-later"))
        await until(lambda: server.requests)
        others = [asyncio.ensure_future(get(client, "/ok", timeout_s=3600)) for _ in range(3)]
        await until(lambda: len(client._queue) == 3)
        server.stop_listening()
        server.release.set()
        async with asyncio.timeout(LONG_S):
            return [await first, *await asyncio.gather(*others)]

    assert [reply.trouble for reply in run(go())] == [Trouble.RESET, Trouble.REFUSED, Trouble.REFUSED, Trouble.REFUSED]


def test_a_cancelled_call_takes_its_connection_with_it(run, server, until) -> None:
    async def go() -> Reply:
        client = Client(server.url)
        call = asyncio.ensure_future(get(client, "/stall"))
        await until(lambda: server.requests)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        server.release.set()
        return await get(client, "/status/404")

    assert run(go()).status == 404


def test_localhost_is_reached_on_whichever_address_it_listens(run, server) -> None:
    async def go() -> Reply:
        return await get(Client(f"http://localhost:{server.port}/"), "/ok")

    assert run(go()).status == 200


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "127.0.0.1:80",
        "http:///x",
        "http://127.0.0.1:port/",
        "http://me:pw@127.0.0.1/",
        "http://127.0.0.1/a b",
    ],
)
def test_refuses_a_url_that_it_cannot_drive(url) -> None:
    with pytest.raises(UsageError, match="expected http://host:port/path"):
        Target.of(url)


def test_a_host_without_an_address_is_a_mistake_of_the_call() -> None:
    with pytest.raises(UsageError, match="cannot be resolved"):
        Target.of("http://no-such-host.invalid/").resolve()


def test_a_target_keeps_path_and_query() -> None:
    assert Target.of("http://127.0.0.1:81/a?b=c") == ("127.0.0.1", 81, "/a?b=c")
    assert Target.of("http://[::1]:81").name == "[::1]:81"
