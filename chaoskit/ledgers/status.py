"""A service whose books cannot be read, but that says of each key what became of it, by HTTP.

This is the service's own word, and less than books: it shows that nothing is lost and that nothing happened which was refused. It
cannot show that a key moved money only once, nor any amount.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import TypeVar
from urllib.parse import quote, urlsplit

from chaoskit.ledgers.rows import STATES
from chaoskit.ledgers.waiting import attempted
from chaoskit.model.errors import NotReady, UnreadableLedger, UsageError
from chaoskit.model.topology import Evidence, LedgerState

ASKED_AT_ONCE = 8
"""Connections that ask side by side, each about one key after the other: thousands of keys in seconds, and no flood."""
ANSWER_WITHIN_S = 5.0
"""For one answer. A healthy service answers in milliseconds."""
ABSENT = (404, 410)
T = TypeVar("T")

LACKS = frozenset(Evidence) - {Evidence.KEYS}


class StatusLedger:
    """A `Ledger` that asks `GET` of a URL for each key: `http://127.0.0.1:8080/payments/{key}`.

    *field* is where the answer's JSON has its word (`status`, or `payment.status` inside); *words* says what each word means:
    `applied`, `refused`, `tombstone`, or `open` for what may still change. Without *field*, any answer from 200 to 299 means
    applied. The statuses of *absent* say that the service does not know the key. Any other answer is an error: nothing is guessed.
    *close* is a method and URL that makes a key useless (`("DELETE", "http://127.0.0.1:8080/payments/{key}")`), answered from
    200 to 299 or by one of *closed*; without it a key that is unknown at the end may still come.
    *headers* go with every request.
    """

    def __init__(
        self,
        url: str,
        *,
        field: str = "",
        words: Mapping[str, str] | None = None,
        absent: tuple[int, ...] = ABSENT,
        close: tuple[str, str] | None = None,
        closed: tuple[int, ...] = (404, 409, 410),
        headers: Mapping[str, str] | None = None,
        name: str = "status endpoint",
    ) -> None:
        for one in (url, *(close or ("", ""))[1:]):
            if one and ("{key}" not in one or urlsplit(one).scheme != "http" or not urlsplit(one).hostname):
                raise UsageError(f"{name}: {one!r} was given as a URL; expected http://HOST:PORT/PATH with {{key}} in it")
        if bool(field) != bool(words):
            raise UsageError(f"{name}: give field and words together: where the answer's word is, and what each word means")
        if wrong := sorted(set((words or {}).values()) - set(STATES)):
            raise UsageError(f"{name}: words mean {', '.join(map(repr, wrong))}; expected {', '.join(STATES)}")
        self._url, self._field, self._words = url, field, dict(words or {})
        self._absent, self._close, self._closed = absent, close, closed
        self._headers = dict(headers or {})
        self._name = name

    def settle(self, keys: tuple[str, ...], *, timeout_s: float) -> Mapping[str, str]:
        """Close each key, where that can be done, and ask what became of it. What may still come is left out."""
        if not keys:
            return {}

        def work() -> dict[str, str]:
            if self._close is not None:
                self._of_each(keys, self._closing)
            found = self._of_each(keys, self._asked)
            barred = {"absent": "tombstone"} if self._close is not None else {}
            settled = {key: barred.get(state, state) for key, state in found.items()}
            return {key: state for key, state in settled.items() if state not in ("open", "absent")}

        return self._attempted(work, doing="settle keys", timeout_s=timeout_s)

    def open_transactions(self, *, timeout_s: float) -> None:
        """Nobody outside can tell."""
        del timeout_s

    def read(self, keys: tuple[str, ...] = (), *, timeout_s: float) -> LedgerState:
        """What the service says of each key; waits, within the limit, until none of them is open."""

        def work() -> LedgerState:
            found = self._of_each(keys, self._asked)
            if still := [key for key, state in found.items() if state == "open"]:
                raise NotReady(f"{len(still)} keys are still open, such as {still[0]!r}")
            lacks = LACKS if self._close is None else LACKS - {Evidence.CLOSED_KEYS}
            return LedgerState(read_from=self._name, accounts=(), postings=(), keys=found, lacks=lacks)

        return self._attempted(work, doing="ask about keys", timeout_s=timeout_s)

    def digests(self, *, timeout_s: float) -> Mapping[str, str]:
        """There is one answer, whoever gives it."""
        del timeout_s
        return {}

    def _of_each(self, keys: tuple[str, ...], ask: Callable[[HTTPConnection, str], str]) -> dict[str, str]:
        """What *ask* says of each key, asked over a few connections at once."""
        parts = [keys[first::ASKED_AT_ONCE] for first in range(min(ASKED_AT_ONCE, len(keys)))]
        address = urlsplit(self._url)
        assert address.hostname, "looked at when it was made"

        def one_part(part: tuple[str, ...]) -> dict[str, str]:
            connection = HTTPConnection(address.hostname or "", address.port or 80, timeout=ANSWER_WITHIN_S)
            try:
                return {key: ask(connection, key) for key in part}
            finally:
                connection.close()

        with ThreadPoolExecutor(max(1, len(parts)), thread_name_prefix="chaoskit-status") as pool:
            found = {key: state for answers in pool.map(one_part, parts) for key, state in answers.items()}
        return {key: found[key] for key in keys}

    def _asked(self, connection: HTTPConnection, key: str) -> str:
        status, body = self._call(connection, "GET", self._url, key)
        if status in self._absent:
            return "absent"
        if not 200 <= status < 300:
            self._not_an_answer(key, status, body)
        if not self._field:
            return "applied"
        word: object = _parsed(body)
        for name in self._field.split("."):
            word = word.get(name) if isinstance(word, dict) else None
        if not isinstance(word, str) or word not in self._words:
            known = ", ".join(self._words)
            raise UnreadableLedger(
                f"{self._name}: {word!r} was given as {self._field} of key {key!r} (HTTP {status}: {body[:200]!r});"
                f" expected one of {known}: say in words what it means"
            )
        return self._words[word]

    def _closing(self, connection: HTTPConnection, key: str) -> str:
        assert self._close is not None
        status, body = self._call(connection, *self._close, key)
        if not 200 <= status < 300 and status not in self._closed:
            self._not_an_answer(key, status, body)
        return "closed"

    def _call(self, connection: HTTPConnection, method: str, url: str, key: str) -> tuple[int, bytes]:
        target = urlsplit(url.replace("{key}", quote(key, safe="")))
        connection.request(method, target.path + (f"?{target.query}" if target.query else ""), headers=self._headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def _not_an_answer(self, key: str, status: int, body: bytes) -> None:
        """A server in trouble may recover; any other status is one that nobody has said the meaning of."""
        what = f"HTTP {status} was given for key {key!r}: {body[:200]!r}"
        if status >= 500 or status in (408, 425, 429):
            raise NotReady(what)
        raise UnreadableLedger(f"{self._name}: {what}; expected 200 to 299, or one of absent: {self._absent}")

    def _attempted(self, work: Callable[[], T], *, doing: str, timeout_s: float) -> T:
        return attempted(work, what=f"{self._name}: could not {doing}", timeout_s=timeout_s, never=UnreadableLedger)


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return None
