"""What is going on, while it goes on: one changing line on a terminal, plain lines elsewhere (CI logs)."""

from __future__ import annotations

import time
from collections import Counter
from typing import TextIO

from chaoskit.model.history import History, Outcome
from chaoskit.model.protocols import Progress
from chaoskit.model.secrets import Secrets

PLAIN_EVERY_S = 5.0
"""In a log file a line every five seconds shows life without filling the page."""


class Lines:
    """Plain lines with the seconds since the start. Progress that is written where nobody looks must not fail the run."""

    def __init__(self, out: TextIO, *, is_terminal: bool) -> None:
        self._out = out
        self._is_terminal = is_terminal
        self._started = time.monotonic()
        self._last_tick = 0.0
        self._has_status = False

    def say(self, line: str) -> None:
        self._clear()
        self._print(f"[{time.monotonic() - self._started:5.1f} s] {line}\n")

    def tick(self, history: History) -> None:
        now = time.monotonic()
        if not self._is_terminal and now - self._last_tick < PLAIN_EVERY_S:
            return
        self._last_tick = now
        status = _status(history)
        if self._is_terminal:
            self._print(f"\r\x1b[K  {status}")
            self._has_status = True
        else:
            self.say(status)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._clear()

    def _clear(self) -> None:
        if self._has_status:
            self._print("\r\x1b[K")
            self._has_status = False

    def _print(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


class Discreet:
    """Another progress without the secrets: what a run says may quote an error of anybody's."""

    def __init__(self, progress: Progress, secrets: Secrets) -> None:
        self._progress = progress
        self._secrets = secrets

    def say(self, line: str) -> None:
        self._progress.say(self._secrets.redact(line))

    def tick(self, history: History) -> None:
        self._progress.tick(history)


def progress_for(out: TextIO) -> Lines:
    """A changing line if *out* is a terminal, plain lines otherwise."""
    return Lines(out, is_terminal=out.isatty())


def _status(history: History) -> str:
    """The last second per journey: how many were answered well of how many came."""
    if not history.operations:
        return "no customer yet"
    end_ns = history.operations[-1].due_ns
    recent = history.due_between(end_ns - 1_500_000_000, end_ns - 500_000_000).operations
    came, well = Counter(o.journey for o in recent), Counter(o.journey for o in recent if o.outcome is Outcome.OK)
    rates = "  ".join(f"{journey} {well[journey]}/{came[journey]}" for journey in sorted(came))
    return f"{history.seconds(end_ns):5.1f} s  answered/came in a second:  {rates}"
