"""The core's sessions when the way to the database is bad."""

import asyncio
import socket
import time
from contextlib import asynccontextmanager, suppress

import psycopg
import pytest

from chaoskit.bank.services.sessions import Database, NotCarriedOut, Session, Sessions, Unanswered


class Wire:
    """A way to PostgreSQL that can be made to swallow everything, as a cut link does: connections stay open."""

    def __init__(self, target):
        self.target = target
        self.open = asyncio.Event()
        self.open.set()
        self.swallowed = asyncio.Event()
        self.tasks, self.writers = [], []

    async def carry(self, reader, writer):
        with suppress(OSError):
            self.writers.append(writer)
            there_reader, there_writer = await asyncio.open_connection(*self.target)
            self.writers.append(there_writer)
            self.tasks += [
                asyncio.create_task(self.pump(reader, there_writer)),
                asyncio.create_task(self.pump(there_reader, writer)),
            ]

    async def pump(self, source, sink):
        try:
            while data := await source.read(65536):
                if not self.open.is_set():
                    self.swallowed.set()
                await self.open.wait()
                sink.write(data)
        except OSError:
            pass
        finally:
            sink.close()


@asynccontextmanager
async def wired(postgres):
    wire = Wire((postgres.host, postgres.port))
    server = await asyncio.start_server(wire.carry, "127.0.0.1", 0)
    database = Database(hosts=(server.sockets[0].getsockname(),), user=postgres.user, name="postgres")
    sessions = Sessions(database, count=2, application="test")
    sessions.start()
    try:
        yield wire, sessions
    finally:
        await sessions.close()
        server.close()
        for task in wire.tasks:
            task.cancel()
        await asyncio.gather(*wire.tasks, return_exceptions=True)
        for writer in wire.writers:  # also those of tasks that were cancelled before their first turn
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in wire.writers), return_exceptions=True)


def soon():
    return time.monotonic() + 5


async def wait_answer(sessions):
    for _ in range(500):
        with suppress(NotCarriedOut, Unanswered):
            return await sessions.run("SELECT %s::int", (1,), deadline_s=soon())
        await asyncio.sleep(0.02)
    raise AssertionError("no session in 10 s")


def test_a_statement_on_a_cut_wire_is_unknown_at_its_deadline_and_not_cancelled(postgres):
    async def scenario():
        async with wired(postgres) as (wire, sessions):
            assert await wait_answer(sessions) == [(1,)]
            wire.open.clear()
            with pytest.raises(Unanswered, match="no answer from the database in time"):
                await sessions.run("SELECT 1", (), deadline_s=time.monotonic() + 0.1)
            wire.open.set()
            assert await wait_answer(sessions) == [(1,)]

    asyncio.run(scenario())


def test_a_wire_that_was_cut_while_nobody_used_it_is_noticed_and_nothing_more_is_sent_into_it(postgres):
    async def scenario():
        async with wired(postgres) as (wire, sessions):
            await wait_answer(sessions)
            wire.open.clear()
            # The sessions ask by themselves; when their questions were not answered there is no session left to send on.
            async with asyncio.timeout(10):
                await wire.swallowed.wait()
            for _ in range(500):
                if not sessions._live:
                    break
                await asyncio.sleep(0.02)
            with pytest.raises(NotCarriedOut, match="no session on a primary"):
                await sessions.run("SELECT 1", (), deadline_s=soon())
            wire.open.set()
            assert await wait_answer(sessions) == [(1,)]

    asyncio.run(scenario())


def test_an_overdue_statement_is_hung_up_and_never_cancelled(postgres):
    """A cancel would end the wait for the synchronous standby, and the payment would count as paid without it."""

    async def scenario():
        where = f"host={postgres.host} port={postgres.port} user={postgres.user} dbname=postgres"
        session = Session(await psycopg.AsyncConnection.connect(where, autocommit=True))
        with pytest.raises(Unanswered):
            await session.ask("SELECT pg_sleep(60)", (), deadline_s=time.monotonic() + 0.1)
        assert session.connection.closed
        assert session.lost.is_set()
        async with await psycopg.AsyncConnection.connect(where, autocommit=True) as stranger:
            ended = await stranger.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(60)'"
                " AND pid <> pg_backend_pid()"
            )
            assert await ended.fetchall() == [(True,)], "the server still works on it: nobody told it to stop"

    asyncio.run(scenario())


def test_with_too_little_time_left_nothing_is_begun(postgres):
    async def scenario():
        async with wired(postgres) as (_, sessions):
            await wait_answer(sessions)
            with pytest.raises(NotCarriedOut, match="too late to begin"):
                await sessions.run("SELECT 1", (), deadline_s=time.monotonic() + 0.01)

    asyncio.run(scenario())


def test_a_server_of_an_older_timeline_is_a_deposed_primary_and_gets_nothing(postgres):
    async def scenario():
        async with wired(postgres) as (_, sessions):
            await wait_answer(sessions)
            # As if a takeover had been seen on another session: this server's timeline is 1.
            sessions._timeline = 2
            with pytest.raises(NotCarriedOut):
                await sessions.run("SELECT 1", (), deadline_s=time.monotonic() + 0.5)

    asyncio.run(scenario())


def test_who_waits_for_a_session_is_turned_away_when_the_last_one_is_lost(postgres):
    async def scenario():
        async with wired(postgres) as (wire, sessions):
            await wait_answer(sessions)
            wire.open.clear()
            overdue = time.monotonic() + 0.2
            using = [asyncio.create_task(sessions.run("SELECT 1", (), deadline_s=overdue)) for _ in range(2)]
            waiting = asyncio.create_task(sessions.run("SELECT 1", (), deadline_s=time.monotonic() + 60))
            # The limit is far below the waiter's own.
            async with asyncio.timeout(20):
                with pytest.raises(NotCarriedOut, match="no session on a primary"):
                    await waiting
            assert [type(error) for error in await asyncio.gather(*using, return_exceptions=True)] == [Unanswered, Unanswered]
            wire.open.set()

    asyncio.run(scenario())


def test_a_slot_is_held_for_its_service_time_and_the_others_wait(postgres):
    async def scenario():
        async with wired(postgres) as (_, sessions):
            await wait_answer(sessions)
            begun = time.monotonic()
            runs = (sessions.run("SELECT 1", (), deadline_s=soon(), hold_s=0.05) for _ in range(6))
            assert await asyncio.gather(*runs) == [[(1,)]] * 6
            # Six operations on two slots: three times the service time at least.
            assert time.monotonic() - begun >= 0.15

    asyncio.run(scenario())


def test_a_stranger_that_does_not_speak_postgresql_is_an_error_and_not_a_session(postgres):
    async def scenario():
        async def silent(_reader, writer):
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        async with server:
            database = Database(hosts=(server.sockets[0].getsockname(),), user=postgres.user, name="postgres")
            sessions = Sessions(database, count=1, application="test")
            sessions.start()
            try:
                with pytest.raises(NotCarriedOut, match="no session on a primary"):
                    await sessions.run("SELECT 1", (), deadline_s=soon())
            finally:
                await sessions.close()

    asyncio.run(scenario())


class SlowToEnd:
    """A connection whose statement needs a moment to end after it was hung up, and that must not be closed before."""

    closed = False

    def __init__(self, descriptor):
        self._descriptor = descriptor
        self.events = []

    def fileno(self):
        return self._descriptor

    async def execute(self, *_, prepare):
        assert prepare
        try:
            await asyncio.get_running_loop().sock_recv(self.socket, 1)
            await asyncio.sleep(0)  # the turns that the driver takes to see that the line is dead
            await asyncio.sleep(0)
        finally:
            self.events.append("statement ended")
        raise psycopg.OperationalError("hung up")

    async def close(self):
        self.events.append("closed")


def test_a_connection_is_never_closed_under_a_statement():
    """libpq crashes the whole process when it is: seen as the core's sudden death, one cut in ten."""

    async def go():
        here, there = socket.socketpair()
        with here, there:
            here.setblocking(False)
            connection = SlowToEnd(here.fileno())
            connection.socket = here
            session = Session(connection)

            async def keep():
                await session.lost.wait()
                await session.close()

            keeper = asyncio.create_task(keep())
            with pytest.raises(Unanswered):
                await session.ask("SELECT 1", (), deadline_s=time.monotonic() + 0.01)
            await keeper
        assert connection.events == ["statement ended", "closed"]

    asyncio.run(go())
