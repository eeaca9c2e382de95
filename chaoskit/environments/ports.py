"""Loopback ports that stay ours: two environments at once never get the same, and no outgoing connection takes one meanwhile.

A port found by binding to 0 lies in the range that the kernel also gives to outgoing connections: while a killed service is down, a
client's connection may take its port and the restart fails. So blocks below that range are reserved, by the name of an abstract
socket: it belongs to the same network namespace as the ports, leaves no file, and ends with the last process that holds it.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from chaoskit.model.errors import NotReady

HOST = "127.0.0.1"
LOWEST = 10_000  # well-known services of a developer's machine live below
HIGHEST = 32_767  # where the kernel's own range begins, unless told otherwise
BLOCK = 64  # the bank needs about 40


class Ports:
    """A supply of free ports. Held until `close`, and by every process that inherits `descriptors`."""

    def __init__(self) -> None:
        self._locks: list[socket.socket] = []
        self._ready: list[int] = []
        self._start = os.getpid() * 7919  # so that environments that start together seldom look at the same block first

    @property
    def descriptors(self) -> tuple[int, ...]:
        return tuple(lock.fileno() for lock in self._locks)

    def reserve(self, count: int) -> None:
        """Make sure that *count* ports can be taken. Raises `NotReady` when this machine has none left."""
        blocks = _blocks()
        for offset in range(len(blocks)):
            if len(self._ready) >= count:
                return
            first = blocks[(self._start + offset) % len(blocks)]
            lock = _lock(first)
            if lock is not None:
                self._locks.append(lock)
                self._ready += [port for port in range(first, first + BLOCK) if _is_free(port)]
        if len(self._ready) < count:
            self.close()
            raise NotReady(
                f"{count} free ports of {HOST} between {LOWEST} and {HIGHEST} were asked for and not found; end what uses them"
            )

    def take(self) -> int:
        return self._ready.pop(0)

    def close(self) -> None:
        for lock in self._locks:
            lock.close()
        self._locks.clear()
        self._ready.clear()


def is_listening(port: int) -> bool:
    """Whether somebody accepts connections there now."""
    with socket.socket() as probe:
        probe.settimeout(1.0)  # loopback answers at once, unless the listener is frozen with a full queue: then it is there
        try:
            probe.connect((HOST, port))
        except ConnectionRefusedError:
            return False
        except TimeoutError:
            return True
        return True


def _blocks() -> list[int]:
    highest = HIGHEST
    kernel = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if kernel.exists():
        lowest_outgoing = int(kernel.read_text().split()[0])
        if lowest_outgoing >= LOWEST + 4 * BLOCK:  # a kernel that may use all ports leaves us no better choice than to share
            highest = min(highest, lowest_outgoing - 1)
    return list(range(LOWEST, highest - BLOCK + 2, BLOCK))


def _lock(first: int) -> socket.socket | None:
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        lock.bind(f"\0chaoskit-ports-{first}")
    except OSError:
        lock.close()
        return None
    return lock


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a closed connection's rest is no obstacle
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
