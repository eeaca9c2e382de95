"""Reads one HTTP/1.1 answer out of the bytes that have come so far. Pure; knows nothing of sockets.

An answer that ends too early and bytes that are no HTTP are told apart, since a report must say which of them a bank sent.
"""

from __future__ import annotations

import re
from typing import NamedTuple

HEAD_BYTES_MAX = 65_536
"""Twice what common servers allow for a request's head; more is not an answer of a bank."""
ANSWER_BYTES_MAX = 16 * 1024 * 1024
"""A journey's answer is a few KiB; the bound keeps a broken server from filling the memory of the load."""


class NotHttp(ValueError):
    """These bytes cannot be an HTTP answer, whatever follows."""


class Reading(NamedTuple):
    """A whole answer. `keeps_open` says whether the connection may carry another call."""

    status: int
    head: bytes
    content: bytes
    keeps_open: bool


def read(received: bytes, *, ended: bool = False, to_head: bool = False) -> Reading | None:
    """The answer at the beginning of *received*, or None if it is not all there yet.

    *ended*: no more bytes will come. *to_head*: the request was a HEAD. Raises `NotHttp`.
    """
    if not received.startswith(b"HTTP/1."[: len(received)]):
        raise NotHttp(f"it begins with {received[:20]!r}")
    end = received.find(b"\r\n\r\n")
    if end < 0:
        if len(received) > HEAD_BYTES_MAX:
            raise NotHttp(f"its head has no end within {HEAD_BYTES_MAX} bytes")
        return None
    digits = received[9:12]
    if not digits.isdigit() or not 100 <= int(digits) <= 599:
        raise NotHttp(f"its status is {digits!r}")
    status = int(digits)
    if status < 200:
        # An interim answer (100, 103) announces the real one; 101 would need a request that we never make.
        return read(received[end + 4 :], ended=ended, to_head=to_head) if len(received) > end + 4 else None
    if len(received) > ANSWER_BYTES_MAX:
        raise NotHttp(f"it is longer than {ANSWER_BYTES_MAX} bytes")
    head = received[: end + 2]
    lower = head.lower()
    is_open = b"\r\nconnection: close\r\n" not in lower if received[7:8] == b"1" else b"\r\nconnection: keep-alive\r\n" in lower
    start = end + 4
    if status in (204, 304) or to_head:
        return Reading(status, head, b"", is_open and len(received) == start)
    if b"\r\ntransfer-encoding:" in lower:
        return _read_chunks(received, start, status=status, head=head, is_open=is_open)
    at = lower.find(b"\r\ncontent-length:")
    if at < 0:
        # Without a length the answer lasts until the connection ends (RFC 9112, 6.3).
        return Reading(status, head, received[start:], keeps_open=False) if ended else None
    length = lower[at + 17 : lower.index(b"\r\n", at + 17)].strip()
    if not length.isdigit() or int(length) > ANSWER_BYTES_MAX:
        raise NotHttp(f"its Content-Length is {length!r}")
    stop = start + int(length)
    if len(received) < stop:
        return None
    # Bytes beyond the answer belong to nothing that was asked: this connection cannot be trusted with another call.
    return Reading(status, head, received[start:stop], is_open and len(received) == stop)


def header(head: bytes, name: str) -> str:
    """The value of a header in a `Reading.head`, "" if it is not there."""
    found = re.search(rb"\r\n" + re.escape(name.encode()) + rb":[ \t]*([^\r\n]*)", head, re.IGNORECASE)
    return found.group(1).decode("latin-1").strip() if found else ""


def _read_chunks(received: bytes, at: int, *, status: int, head: bytes, is_open: bool) -> Reading | None:
    parts: list[bytes] = []
    while (line_end := received.find(b"\r\n", at)) >= 0:
        size_text = received[at:line_end].split(b";", 1)[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", size_text):
            raise NotHttp(f"a chunk's size is {size_text[:20]!r}")
        size = int(size_text, 16)
        at = line_end + 2
        if size == 0:
            # Trailers, if any, end with an empty line, which may come at once.
            stop = line_end if received.startswith(b"\r\n", at) else received.find(b"\r\n\r\n", at)
            if stop < 0 or len(received) < stop + 4:
                return None
            return Reading(status, head, b"".join(parts), is_open and len(received) == stop + 4)
        if len(received) < at + size + 2:
            return None
        if not received.startswith(b"\r\n", at + size):
            raise NotHttp("a chunk does not end where its size says")
        parts.append(received[at : at + size])
        at += size + 2
    return None
