"""Ctrl-C and SIGTERM end a session of pytest in good order as long as something of ours is up.

SIGTERM would end Python at once, fixtures and all. A run that is stopped comes to its verdict, and the session would go on with the
next test; so it is kept here that somebody wanted it to end.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

AGAIN = b"\nchaoskit: healing and taking down what is up, please wait (Ctrl-\\ ends at once; what is left is removed within 30 s)\n"


class Interrupts:
    """Handlers that stand from the first `hold` to the last `release`. Handlers of somebody else are left alone."""

    def __init__(self) -> None:
        self.seen = ""
        """The name of the signal by which the session was asked to end, "" before."""
        self._holders = 0
        self._before: dict[int, object] = {}

    def hold(self) -> None:
        self._holders += 1
        if self._holders > 1 or threading.current_thread() is not threading.main_thread():
            return
        for number, ours_when in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
            if signal.getsignal(number) == ours_when:
                self._before[number] = signal.signal(number, self._take)

    def release(self) -> None:
        self._holders -= 1
        if self._holders == 0:
            while self._before:
                number, before = self._before.popitem()
                signal.signal(number, before)  # type: ignore[arg-type]

    def check(self) -> None:
        """Raises KeyboardInterrupt when the session was asked to end meanwhile."""
        if self.seen:
            raise KeyboardInterrupt(self.seen)

    def is_seen(self) -> bool:
        return bool(self.seen)

    def _take(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the shape is signal's
        if self.seen:
            os.write(2, AGAIN)  # not by print, which may have been interrupted in the middle of itself
            return
        self.seen = signal.Signals(number).name
        raise KeyboardInterrupt(self.seen)
