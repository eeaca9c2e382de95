"""The core's slots: a fixed number of workers, each with one database session on the current primary.

A session is never cancelled. psycopg cancels a statement whose task is cancelled, and a payment cancelled while it waits for the
synchronous standby is reported as committed although a takeover would lose it. An overdue session is hung up instead, and its
answer is unknown.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import psycopg
from psycopg.conninfo import make_conninfo

from chaoskit.bank.services.serving import log, now_s

Row = tuple[object, ...]

# Between two tries to reach a primary: short against a takeover of several seconds, long against the cost of a try.
RECONNECT_S = 0.25
# Idle for longer than this, a session is asked whether it still works: with PING_LIMIT_S, a cut is noticed within 2 s without
# customers.
IDLE_S = 1.0
PING_LIMIT_S = 0.8
# With less time than this left, a statement is not begun: its answer could hardly be in time, and unknown is worse than refused.
LEAST_S = 0.05
NO_SESSION = "no session on a primary"
# Below the deadline that the gateway sets (about 1.3 s), so that most overdue payments end as rolled back.
LIMITS = "-c statement_timeout=1200 -c lock_timeout=1000"
# A WAL file's name begins with the timeline in eight hexadecimal digits.
WHO_ARE_YOU = "SELECT coalesce(current_setting('bank.node', true), ''), left(pg_walfile_name(pg_current_wal_lsn()), 8)"
# Rolled back as a whole by the server: deadlock, serialization, a lock or statement limit.
RETRIED = frozenset({"40001", "40P01"})
ROLLED_BACK = frozenset({"40001", "40P01", "55P03", "57014", "25006"})


class NotCarriedOut(Exception):
    """The statement was never sent, or the server rolled it back: it has no effect."""


class Unanswered(Exception):
    """The statement was sent and no answer came: it may have been carried out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """The members of the database group, in the order in which they are tried."""

    hosts: tuple[tuple[str, int], ...]
    user: str
    name: str

    def conninfo(self, *, application: str, name: str | None = None) -> str:
        """Where and how to connect to whichever member takes writes."""
        return make_conninfo(
            host=",".join(host for host, _ in self.hosts),
            port=",".join(str(port) for _, port in self.hosts),
            user=self.user,
            dbname=name or self.name,
            application_name=application,
            target_session_attrs="read-write",
            # Loopback needs neither, and each asks the server a question before the first real one.
            sslmode="disable",
            gssencmode="disable",
            # The smallest that libpq knows, for each member.
            connect_timeout=2,
            tcp_user_timeout=2000,
            keepalives_idle=1,
            keepalives_interval=1,
            keepalives_count=2,
            options=LIMITS,
        )


@dataclass(slots=True, eq=False)
class Session:
    """One session. `timeline` counts takeovers: a server of an older timeline than one seen before is a deposed primary."""

    connection: psycopg.AsyncConnection[Row]
    node: str = ""
    timeline: int = 0
    used_s: float = field(default_factory=now_s)
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    statement: asyncio.Task[list[Row]] | None = None
    """The last statement that was begun."""
    warning: str = ""
    """What PostgreSQL said of it besides its answer, when it was committed without the standby."""

    def is_quiet(self) -> bool:
        """Whether nothing waits to be read: an idle session on which something does was ended by the server."""
        if self.connection.closed:
            return False
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        return not poll.poll(0)

    async def ask(self, statement: str, values: Sequence[object], *, deadline_s: float) -> list[Row]:
        """The rows of *statement*. Raises the server's errors as they are.

        Raises `Unanswered` at *deadline_s*: then the session is lost.
        """
        self.warning = ""
        self.statement = task = asyncio.create_task(_rows(self.connection, statement, values))
        await asyncio.wait({task}, timeout=max(0.0, deadline_s - now_s()))
        if task.done():
            return task.result()
        await self._hang_up(task)
        self.lost.set()
        raise Unanswered("no answer from the database in time")

    def note(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        if "synchronous replication" in (diagnostic.message_primary or ""):
            self.warning = str(diagnostic.message_primary)
            log.warning("committed without the standby: %s", self.warning)

    async def close(self) -> None:
        """Close the connection, but never under a statement: libpq would go on in memory that has been freed, and crash."""
        if self.statement is not None and not self.statement.done():
            await self._hang_up(self.statement)
        if self.statement is None or self.statement.done():
            await self.connection.close()

    async def _hang_up(self, statement: asyncio.Task[list[Row]]) -> None:
        """End the connection without asking the server, which may not be there. The waiting statement ends with an error."""
        if not self.connection.closed:
            # The driver still watches its own descriptor, so the connection is shut down and not closed.
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self.connection.fileno())) as same:
                same.shutdown(socket.SHUT_RDWR)
        # The shutdown wakes the statement at once; the limit is for a kernel that does not.
        await asyncio.wait({statement}, timeout=1.0)
        if statement.done() and not statement.cancelled():
            statement.exception()


class Sessions:
    """*count* sessions on the primary, connected again whenever they are lost. For one event loop."""

    session: ClassVar[type[Session]] = Session
    settings: ClassVar[Mapping[str, str]] = {}
    """What a session is connected with besides what `Database.conninfo` says."""
    who_are_you: ClassVar[str] = WHO_ARE_YOU

    def __init__(self, database: Database, *, count: int, application: str) -> None:
        self._application = application
        self._conninfo = make_conninfo(database.conninfo(application=application), **self.settings)
        self.database = database
        self.count = count
        self._idle: list[Session] = []
        self._waiting: list[asyncio.Future[Session]] = []
        self._live: set[Session] = set()
        self._timeline = 0
        self._said = ""
        self._keepers: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._keepers = [asyncio.create_task(self._keep()) for _ in range(self.count)]

    async def close(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def run(
        self,
        statement: str,
        values: Sequence[object],
        *,
        deadline_s: float,
        hold_s: float = 0.0,
        warnings: list[str] | None = None,
    ) -> list[Row]:
        """Run one statement on a free session and hold the slot for at least *hold_s*; answers its rows.

        Retries what the server rolled back while time is left. A commit that the standby does not have adds PostgreSQL's word for
        it to *warnings*. Raises `NotCarriedOut` or `Unanswered`, at the latest at
        *deadline_s*.
        """
        session = await self._take(deadline_s)
        until_s = now_s() + hold_s
        try:
            if deadline_s - now_s() < LEAST_S:
                raise NotCarriedOut("too late to begin")
            while True:
                try:
                    rows = await session.ask(statement, values, deadline_s=deadline_s)
                    if warnings is not None and session.warning:
                        warnings.append(session.warning)
                    return rows
                except psycopg.Error as error:
                    if error.sqlstate not in RETRIED or now_s() >= deadline_s:
                        raise _meaning(session, error) from error
        finally:
            await asyncio.sleep(until_s - now_s())
            self._give_back(session)

    async def _take(self, deadline_s: float) -> Session:
        while self._idle:
            session = self._idle.pop()
            if self._is_usable(session):
                return session
            self._lose(session)
        if not self._live:
            raise NotCarriedOut(NO_SESSION)
        turn: asyncio.Future[Session] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await asyncio.wait({turn}, timeout=max(0.0, deadline_s - now_s()))
        if not turn.done():
            self._waiting.remove(turn)
            raise NotCarriedOut("no free session in time")
        return turn.result()

    def _give_back(self, session: Session) -> None:
        session.used_s = now_s()
        if not self._is_usable(session):
            self._lose(session)
        elif self._waiting:
            self._waiting.pop(0).set_result(session)
        else:
            self._idle.append(session)

    def _lose(self, session: Session) -> None:
        """Leave *session* to its keeper. With the last one gone, nobody waits for a takeover longer than they have."""
        session.lost.set()
        self._live.discard(session)
        while self._waiting and not self._live:
            self._waiting.pop(0).set_exception(NotCarriedOut(NO_SESSION))

    def _is_usable(self, session: Session) -> bool:
        return session.timeline == self._timeline and not session.lost.is_set() and session.is_quiet()

    async def _keep(self) -> None:
        while True:
            try:
                session = await self._connect()
            except (psycopg.Error, OSError, Unanswered) as error:
                self._say(f"{self._application} has no session: {type(error).__name__}: {error}".splitlines()[0])
                await asyncio.sleep(RECONNECT_S)
                continue
            self._say(f"{self._application} has sessions on {session.node} timeline={session.timeline}")
            self._live.add(session)
            try:
                self._give_back(session)
                await self._watch(session)
            finally:
                self._live.discard(session)
                await session.close()

    def _say(self, line: str) -> None:
        """Log what is new, once for all sessions."""
        if line != self._said:
            log.info("%s", line)
        self._said = line

    async def _connect(self) -> Session:
        connection: psycopg.AsyncConnection[Row] = await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True)
        session = self.session(connection)
        try:
            ((node, timeline),) = await session.ask(self.who_are_you, (), deadline_s=now_s() + PING_LIMIT_S)
            session.node, session.timeline = str(node), int(str(timeline), 16)
            if session.timeline < self._timeline:
                raise ConnectionError(f"{node} is a deposed primary: timeline {session.timeline}, {self._timeline} was seen before")
        except BaseException:
            await session.close()
            raise
        self._timeline = session.timeline
        connection.add_notice_handler(session.note)
        return session

    async def _watch(self, session: Session) -> None:
        """Return when the session is lost; ask it now and then while nobody uses it."""
        while not session.lost.is_set():
            # Not wait_for: before Python 3.12 it swallows a cancellation that comes together with the loss.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_S):
                    await session.lost.wait()
            if session in self._idle and now_s() - session.used_s > IDLE_S:
                self._idle.remove(session)
                with contextlib.suppress(psycopg.Error, Unanswered):
                    await session.ask("SELECT 1", (), deadline_s=now_s() + PING_LIMIT_S)
                self._give_back(session)


async def _rows(connection: psycopg.AsyncConnection[Row], statement: str, values: Sequence[object]) -> list[Row]:
    cursor = await connection.execute(statement, values, prepare=True)
    return await cursor.fetchall() if cursor.description else []


def _meaning(session: Session, error: psycopg.Error) -> Exception:
    """What an error of the server says about the statement's effect."""
    state = error.sqlstate or ""
    if state == "25006":
        # The server became a standby under an open session.
        session.lost.set()
    if not session.connection.closed and (state in ROLLED_BACK or state.startswith(("23", "42"))):
        return NotCarriedOut(f"rolled back: {state}")
    session.lost.set()
    return Unanswered(f"{state or 'connection lost'}: {error}".splitlines()[0])
