"""A small bank on loopback that misbehaves by path. Threads and plain sockets: what it does to a connection is all in view."""

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest

WAIT_S = 10.0
"""The longest that any test waits for anything; reached only when the test fails."""


class Server:
    """Answers by path. `/stall` answers when `release` is set, and `/away` from then on, to those who ask again; `requests` has the first line of every request."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.requests: list[str] = []
        self.bodies: list[bytes] = []
        self.connections: list[socket.socket] = []
        self._is_closing = False
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._spawn(self._accept)

    def close(self) -> None:
        self.stop_listening()
        self.release.set()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(WAIT_S)
            assert not thread.is_alive()

    def stop_listening(self) -> None:
        """New connections are refused from now on."""
        self._is_closing = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def close_connections(self) -> None:
        """As a server does that restarts in order: every connection ends while it is idle."""
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _spawn(self, run: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=run, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._is_closing:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            self._spawn(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        received = b""
        with connection:
            try:
                while True:
                    while b"\r\n\r\n" not in received:
                        data = connection.recv(65_536)
                        if not data:
                            return
                        received += data
                    head, _, received = received.partition(b"\r\n\r\n")
                    length = next((int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")), 0)
                    while len(received) < length:
                        received += connection.recv(65_536)
                    self.bodies.append(received[:length])
                    received = received[length:]
                    self.requests.append(head.split(b"\r\n")[0].decode())
                    if not self._answer(connection, self.requests[-1].split()[1]):
                        return
            except OSError:
                return

    def _answer(self, connection: socket.socket, path: str) -> bool:
        """Returns whether the connection stays open."""
        if path in ("/stall", "/hang-up-later"):
            self.release.wait(WAIT_S)
        if path in ("/ok", "/stall"):
            connection.sendall(_answer(b'{"ok":true}'))
        elif path.startswith("/status/"):
            connection.sendall(_answer(b'{"error":"sorry"}', status=int(path[8:])))
        elif path == "/no-effect":
            connection.sendall(_answer(b'{"effect":"none","error":"limit"}', status=503))
        elif path == "/token":
            connection.sendall(_answer(b'{"token":"s3cr3t","served_by":"core-1"}'))
        elif path == "/empty":
            connection.sendall(_answer(b""))
        elif path == "/html":
            connection.sendall(_answer(b"<p>hello"))
        elif path == "/chunked":
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n" + b'{"ok"')
            connection.sendall(b"\r\n6\r\n:true}\r\n0\r\n\r\n")
        elif path == "/close":
            connection.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 11\r\n\r\n{"ok":true}')
            return False
        elif path == "/until-close":
            connection.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"ok":true}')
            return False
        elif path == "/truncated":
            connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"ok":')
            return False
        elif path == "/garbage":
            connection.sendall(b"220 mail.example ESMTP\r\n")
        elif path == "/away" and self.release.is_set():
            connection.sendall(_answer(b'{"ok":true}'))
        elif path in ("/hang-up", "/hang-up-later", "/away"):
            return False
        elif path == "/reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        else:
            connection.sendall(_answer(b'{"error":"no such page"}', status=404))
        return True


def _answer(content: bytes, *, status: int = 200) -> bytes:
    return b"HTTP/1.1 %d Word\r\nContent-Length: %d\r\n\r\n%b" % (status, len(content), content)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def wait_until() -> Callable[[Callable[[], bool]], None]:
    """Waits for a condition, up to `WAIT_S`."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_S
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true"
            threading.Event().wait(0.005)

    return wait


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """The same inside an event loop."""

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():  # noqa: ASYNC110 -- what is waited for happens in a thread or in the kernel
                await asyncio.sleep(0.001)

    return wait


@pytest.fixture
def refused_url() -> Iterator[str]:
    """An address where nobody listens and nobody can begin to."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
