"""HTTP/1.1 over connections of our own, so that nothing stands between the schedule and the wire.

A call is sent once and never again: what happened to it is said in the `Reply`, and repeating it is the journey's business.
A connection that its server closes while it is idle is dropped at once; a connection lost after the first byte left is
reported as such, even if it had been idle for long, since the server may have taken the request before it went away.
"""

from __future__ import annotations

import asyncio
import errno
import re
import resource
import socket
import time
from collections import deque
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from chaoskit.loads import answer
from chaoskit.loads.outcome import Trouble
from chaoskit.model.errors import UsageError

CONNECTIONS_MAX = 4096
"""Room for a bank that stands still for a second at 4,000 arrivals per second; calls beyond it wait, and their wait is recorded."""


class Reply(NamedTuple):
    """What came back of one call. `trouble` is None for a whole answer; `end_ns` is when its last byte was read."""

    end_ns: int
    status: int = 0
    content: bytes = b""
    head: bytes = b""
    trouble: Trouble | None = None
    detail: str = ""


class Client:
    """Makes calls to one server. For use inside one running event loop."""

    def __init__(self, url: str, *, connections_max: int = CONNECTIONS_MAX) -> None:
        self.target = Target.of(url)
        self._addresses = self.target.resolve()
        self._loop = asyncio.get_running_loop()
        self._connections_max = min(connections_max, _files_allowed())
        self._open = 0
        self._opening = 0
        # In the order in which they became idle: the last one is used first, it is the least likely to be stale.
        self._idle: dict[Connection, None] = {}
        # All connections read into the same room, one after the other. Given none, the standard library's loop asks the system for
        # 256 KiB for every read, which takes six times as long as reading an answer of some hundred bytes.
        self.room = memoryview(bytearray(65_536))
        self._queue: deque[asyncio.Future[Connection | None]] = deque()

    async def exchange(self, request: bytes, *, timeout_s: float, to_head: bool = False) -> Reply:
        """Send *request*, once, and wait for its answer up to *timeout_s*, connecting included. A failed call does not raise."""
        deadline_s = self._loop.time() + timeout_s
        while self._idle:
            connection = self._idle.popitem()[0]
            # One that its server has just closed is passed over: nothing was sent on it, and a new one may well be taken.
            if connection.is_usable():
                return await connection.exchange(request, deadline_s=deadline_s, to_head=to_head)
        got = await self._connection(deadline_s)
        if isinstance(got, Reply):
            return got
        return await got.exchange(request, deadline_s=deadline_s, to_head=to_head)

    def close(self) -> None:
        """Close what is idle. Connections with an open call end with it."""
        for connection in list(self._idle):
            connection.abort()
        self._idle.clear()

    def welcome(self) -> None:
        """A connection was made."""
        self._open += 1

    def put_back(self, connection: Connection) -> None:
        """Take a connection that can carry another call."""
        if not self._hand_on(connection):
            self._idle[connection] = None

    def forget(self, connection: Connection) -> None:
        """A connection has ended."""
        self._open -= 1
        self._idle.pop(connection, None)
        self._hand_on(None)

    def _hand_on(self, connection: Connection | None) -> bool:
        """Give a connection, or (None) the right to open one, to the call that has waited longest. False if none waits."""
        while self._queue:
            waiting = self._queue.popleft()
            if not waiting.done():
                waiting.set_result(connection)
                return True
        return False

    async def _connection(self, deadline_s: float) -> Connection | Reply:
        if self._open + self._opening >= self._connections_max:
            given = await self._wait_free(deadline_s)
            if given is not None:
                return given
        self._opening += 1
        made: Connection | None = None
        try:
            async with asyncio.timeout_at(deadline_s):
                made = await self._connect()
        except TimeoutError:
            return _unsent(Trouble.NO_CONNECTION_IN_TIME, f"{self.target.name} accepted no connection")
        except OSError as error:
            kind = Trouble.REFUSED if error.errno == errno.ECONNREFUSED else Trouble.UNREACHABLE
            return _unsent(kind, f"{self.target.name}: {error.strerror or error}")
        finally:
            self._opening -= 1
            if made is None:
                # Else those who wait for room would wait for ever once every connection is gone.
                self._hand_on(None)
        return made

    async def _connect(self) -> Connection:
        refusal: OSError | None = None
        for address in self._addresses:
            try:
                _, connection = await self._loop.create_connection(lambda: Connection(self, self._loop), *address)
            except OSError as error:
                refusal = error
                continue
            if address is not self._addresses[0]:
                # `localhost` has two addresses and most servers listen on one: try that one first from now on.
                self._addresses = [address, *(other for other in self._addresses if other is not address)]
            return connection
        assert refusal is not None, "a target has at least one address"
        raise refusal

    async def _wait_free(self, deadline_s: float) -> Connection | Reply | None:
        waiting: asyncio.Future[Connection | None] = self._loop.create_future()
        self._queue.append(waiting)
        try:
            async with asyncio.timeout_at(deadline_s):
                return await waiting
        except (TimeoutError, asyncio.CancelledError) as error:
            if waiting.done() and not waiting.cancelled():
                # It was given something in the very moment in which it left.
                given = waiting.result()
                self._hand_on(None) if given is None else self.put_back(given)
            if isinstance(error, TimeoutError):
                detail = f"all {self._connections_max} connections to {self.target.name} were waiting for an answer"
                return _unsent(Trouble.NO_CONNECTION_IN_TIME, detail)
            raise


class Connection(asyncio.BufferedProtocol):
    """One connection with at most one call on it."""

    __slots__ = ("_answer", "_client", "_deadline_s", "_loop", "_received", "_timer", "_timer_at_s", "_to_head", "_transport")

    def __init__(self, client: Client, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Reply] | None = None
        self._received = b""
        self._to_head = False
        self._deadline_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at_s = 0.0

    async def exchange(self, request: bytes, *, deadline_s: float, to_head: bool) -> Reply:
        """Send one request and wait for what becomes of it."""
        assert self._answer is None, "one call at a time"
        transport = self._transport
        if transport is None or transport.is_closing():
            # A server that accepts and closes at once, or a connection handed on while it was ending.
            return _unsent(Trouble.UNREACHABLE, "the server closed the connection before the request was sent")
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._answer = future
        self._to_head = to_head
        self._deadline_s = deadline_s
        # One timer a connection, moved when it fires: setting and cancelling one for each call would cost a tenth of the call.
        if self._timer is None or deadline_s < self._timer_at_s:
            self._set_timer(deadline_s)
        transport.write(request)
        try:
            return await future
        except asyncio.CancelledError:
            self._answer = None
            self.abort()
            raise

    def is_usable(self) -> bool:
        """Whether it can still be written to."""
        return self._transport is not None and not self._transport.is_closing()

    def abort(self) -> None:
        """Close without waiting: an answer that comes later must not be taken for the next call's."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # By its interface it is one; uvloop's is no subclass.
        self._transport = cast("asyncio.Transport", transport)
        self._client.welcome()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 -- the loop's wish; the room is what it is
        return self._client.room

    def buffer_updated(self, nbytes: int) -> None:
        if self._answer is None:
            # Bytes that nobody asked for: what they belong to is not known, and neither is what would follow.
            self.abort()
            return
        data = bytes(self._client.room[:nbytes])
        received = self._received + data if self._received else data
        try:
            reading = answer.read(received, to_head=self._to_head)
        except answer.NotHttp as error:
            self._settle(_trouble(Trouble.UNPARSABLE, str(error)))
            self.abort()
            return
        if reading is None:
            self._received = received
            return
        self._received = b""
        self._settle(Reply(time.monotonic_ns(), reading.status, reading.content, reading.head))
        if reading.keeps_open:
            self._client.put_back(self)
        else:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        if self._answer is not None:
            self._settle(self._cut_short(exc))
        self._client.forget(self)

    def _cut_short(self, exc: Exception | None) -> Reply:
        if not self._received:
            return _trouble(Trouble.RESET, str(exc) if exc else "closed without an answer")
        try:
            reading = answer.read(self._received, ended=exc is None, to_head=self._to_head)
        except answer.NotHttp as error:
            return _trouble(Trouble.UNPARSABLE, str(error))
        if reading is None:
            return _trouble(Trouble.TRUNCATED, f"the connection ended after {len(self._received)} bytes of the answer")
        return Reply(time.monotonic_ns(), reading.status, reading.content, reading.head)

    def _settle(self, reply: Reply) -> None:
        future, self._answer = self._answer, None
        if future is not None and not future.done():
            future.set_result(reply)

    def _set_timer(self, at_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at_s = at_s
        self._timer = self._loop.call_at(at_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._answer is None:
            return
        # Event loops keep time in whole milliseconds; a timer that is early by less than one has come.
        if self._deadline_s - self._loop.time() > 0.001:
            self._set_timer(self._deadline_s)
            return
        got = f"{len(self._received)} bytes of it had come" if self._received else "nothing had come"
        self._settle(_trouble(Trouble.TIMEOUT, got))
        self.abort()


class Target(NamedTuple):
    """The server part of a URL, and the path that was in it."""

    host: str
    port: int
    path: str

    @classmethod
    def of(cls, url: str) -> Target:
        """Raises `UsageError` for anything but plain HTTP."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise UsageError(f"load: {url!r} is not a URL ({error}); expected http://host:port/path") from None
        if parts.scheme != "http" or not parts.hostname:
            raise UsageError(f"load: {url!r} was given; expected http://host:port/path. Other schemes are not supported")
        path = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        if parts.username is not None or not re.fullmatch("[!-~]+", path):
            raise UsageError(
                f"load: {url!r} was given; expected http://host:port/path, without a user and with its path percent-encoded"
            )
        return cls(parts.hostname, port or 80, path)

    @property
    def name(self) -> str:
        """As a `Host` header has it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def resolve(self) -> list[tuple[str, int]]:
        """Numeric addresses, looked up once: a name look-up for each connection would need threads. Raises `UsageError`."""
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise UsageError(f"load: host {self.host!r} cannot be resolved ({error.strerror}); check the URL") from None
        return list(dict.fromkeys((str(entry[4][0]), self.port) for entry in found))


def _trouble(trouble: Trouble, detail: str) -> Reply:
    return Reply(time.monotonic_ns(), trouble=trouble, detail=detail)


_unsent = _trouble


def _files_allowed() -> int:
    """How many connections the process may have; its soft limit is raised as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = CONNECTIONS_MAX + _FILES_FOR_OTHERS
    if soft != resource.RLIM_INFINITY and soft < want:
        soft = want if hard == resource.RLIM_INFINITY else min(want, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, soft - _FILES_FOR_OTHERS) if soft != resource.RLIM_INFINITY else CONNECTIONS_MAX


_FILES_FOR_OTHERS = 64
"""The history, the timer, the pipes and what journeys open."""
