"""Whether a service really answers: a hello is sent and one byte must come back. An accepted connection alone proves nothing."""

from __future__ import annotations

import socket
import time

Address = tuple[str, int]


def answer_s(address: Address, hello: bytes, *, timeout_s: float) -> float | None:
    """Seconds to the first byte of the answer; None if it is refused, ends early or does not come within *timeout_s*."""
    start = time.monotonic()
    return time.monotonic() - start if look(address, hello, timeout_s=timeout_s) == "answered" else None


def look(address: Address, hello: bytes, *, timeout_s: float) -> str:
    """How a hello ended: `answered`, `refused`, `reset`, `closed` (an orderly end without a byte) or `silent` for *timeout_s*.

    What is none of these (no route, no such address) is given as the error's own text.
    """
    deadline = time.monotonic() + timeout_s
    try:
        with socket.create_connection(address, timeout=timeout_s) as connection:
            connection.sendall(hello)
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            return "answered" if connection.recv(1) else "closed"
    except TimeoutError:
        return "silent"
    except ConnectionRefusedError:
        return "refused"
    except (ConnectionResetError, BrokenPipeError):
        return "reset"
    except OSError as error:
        return str(error)
