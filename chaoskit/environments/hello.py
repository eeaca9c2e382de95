"""Whether a service really answers: a hello is sent and one byte must come back. An accepted connection alone proves nothing."""

from __future__ import annotations

import socket
import time

Address = tuple[str, int]


def answer_s(address: Address, hello: bytes, *, timeout_s: float) -> float | None:
    """Seconds to the first byte of the answer; None if it is refused, ends early or does not come within *timeout_s*."""
    start = time.monotonic()
    deadline = start + timeout_s
    try:
        with socket.create_connection(address, timeout=timeout_s) as connection:
            connection.sendall(hello)
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            return time.monotonic() - start if connection.recv(1) else None
    except OSError:
        return None
