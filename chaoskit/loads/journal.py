"""Writes the load's events into the history: whole lines, appended, a few milliseconds after they happened.

Flushed by time, not by number of lines, so that a killed load loses at most the last moments whatever its rate. A line that
cannot be written ends the load: a history with a hole would make lost money look like money that was never moved.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict

from chaoskit.model.errors import CannotRecord
from chaoskit.model.history import Credentials, Outcome
from chaoskit.model.secrets import NO_SECRETS, Secrets

FLUSH_EVERY_S = 0.012
"""At 1,000 operations per second a killed load loses 12 of them; every flush costs some 20 microseconds of CPU."""

_SECRET_NAMES = frozenset({"token", "access_token", "refresh_token", "password", "pin", "otp", "secret", "authorization"})

_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


class Lines:
    """Appends lines to a file from inside an event loop. `on_error` is called once, with the error that ended it."""

    def __init__(self, path: str, *, on_error: Callable[[CannotRecord], None], is_new: bool = False) -> None:
        """Open *path*. Raises `CannotRecord`. *is_new*: what is in the file already is dropped."""
        self._path = path
        self._on_error = on_error
        self._loop = asyncio.get_running_loop()
        self._lines: list[str] = []
        self._timer: asyncio.TimerHandle | None = None
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | (os.O_TRUNC if is_new else 0)
        try:
            self._file = os.open(path, flags, 0o600)
        except OSError as error:
            raise CannotRecord(
                f"{path}: cannot be opened for writing ({error.strerror}); name a file in a writable folder"
            ) from None

    def add(self, line: str) -> None:
        """Take one line, without its end; it is on its way to the file within `FLUSH_EVERY_S`."""
        self._lines.append(line)
        if self._timer is None:
            self._timer = self._loop.call_later(FLUSH_EVERY_S, self._on_timer)

    def flush(self) -> None:
        """Write what was added. Raises `CannotRecord`."""
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        lines.append("")
        left = memoryview("\n".join(lines).encode())
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as error:
            raise CannotRecord(f"{self._path}: took no more records ({error.strerror}); free the disk and run again") from None

    def close(self) -> None:
        """Flush and close. Raises `CannotRecord`. May be called twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._file < 0:
            return
        try:
            self.flush()
        finally:
            os.close(self._file)
            self._file = -1

    def _on_timer(self) -> None:
        self._timer = None
        try:
            self.flush()
        except CannotRecord as error:
            self._on_error(error)


class Journal:
    """The events of operations, in the format that `chaoskit.model.history` reads."""

    def __init__(self, lines: Lines, *, secrets: Secrets = NO_SECRETS) -> None:
        self._lines = lines
        # Chosen once: without secrets an operation costs what it did.
        self._encode = _encoding_without(secrets) if secrets else _encode

    def invoked(
        self,
        *,
        operation: int,
        attempt: int,
        start_ns: int,
        journey: str,
        due_ns: int,
        begun_ns: int,
        intent: str,
        key: str,
        legs: Mapping[str, int],
        session: str = "",
        reverses: str = "",
        credentials: Credentials | None = None,
        habit: str = "",
        is_resent: bool = False,
    ) -> None:
        # Written out by hand: a third of the cost of encoding a dict, and there are three lines to an operation.
        line = f'{{"event":"invoked","operation":{operation},"attempt":{attempt},"start_ns":{start_ns}'
        if attempt == 1:
            line += f',"journey":{_encode(journey)},"due_ns":{due_ns},"begun_ns":{begun_ns},"intent":{self._encode(intent)}'
            if key:
                line += f',"key":{self._encode(key)}'
            if legs:
                line += f',"legs":{self._encode(legs)}'
            if session:
                line += f',"session":{self._encode(session)}'
            if reverses:
                line += f',"reverses":{self._encode(reverses)}'
            if credentials:
                line += f',"credentials":{self._encode({name: value for name, value in asdict(credentials).items() if value})}'
        if habit:
            line += f',"habit":{_encode(habit)}'
        if is_resent:
            line += ',"resent":true'
        self._lines.add(line + "}")

    def completed(
        self,
        *,
        operation: int,
        attempt: int,
        end_ns: int,
        outcome: Outcome,
        status: int = 0,
        why: str = "",
        served_by: str = "",
        result: Mapping[str, object] | None = None,
    ) -> None:
        line = f'{{"event":"completed","operation":{operation},"attempt":{attempt},"end_ns":{end_ns},"outcome":"{outcome.value}"'
        if status:
            line += f',"status":{status}'
        if why:
            line += f',"why":{self._encode(why)}'
        if served_by:
            line += f',"served_by":{self._encode(served_by)}'
        if result:
            line += f',"result":{self._encode(_without_secrets(result))}'
        self._lines.add(line + "}")

    def dispensed(self, *, operation: int, key: str, amount: int, at_ns: int) -> None:
        line = f'{{"event":"dispensed","operation":{operation},"key":{self._encode(key)},"amount":{amount},"at_ns":{at_ns}}}'
        self._lines.add(line)

    def closed(self, *, operation: int, at_ns: int) -> None:
        self._lines.add(f'{{"event":"closed","operation":{operation},"at_ns":{at_ns}}}')

    def counts(self, *, scheduled: int, sent: int, finished: int, drained: bool) -> None:
        self._lines.add(_encode({"event": "load", "scheduled": scheduled, "sent": sent, "finished": finished, "drained": drained}))


def _encoding_without(secrets: Secrets) -> Callable[[object], str]:
    encode = json.JSONEncoder(separators=(",", ":"), default=lambda value: secrets.redact(str(value))).encode
    return lambda value: encode(secrets.redacted(value))


def _without_secrets(result: Mapping[str, object]) -> Mapping[str, object]:
    """The history is evidence that is passed around: what would let a reader act for a customer stays out of it."""
    if _SECRET_NAMES.isdisjoint(result):
        return result
    return {name: "(not recorded)" if name in _SECRET_NAMES else value for name, value in result.items()}
