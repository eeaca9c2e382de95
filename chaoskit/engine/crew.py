"""The few threads of a run: each has a name, each is joined, and an error in one is never lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

JOIN_S = 10.0
"""A probe's look is bounded to about a second; ten of them means that it hangs."""


class Crew:
    """Runs functions at an interval, each in a named thread, until the crew is left.

    On leaving, all are stopped and joined. `errors` then holds what they raised; a thread that raised has stopped.
    """

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.errors: list[BaseException] = []

    def every(self, interval_s: float, work: Callable[[], None], *, name: str) -> None:
        """Call *work* now and then with a pause of *interval_s* until the crew is left."""
        thread = threading.Thread(target=self._repeat, args=(interval_s, work), name=f"chaoskit-{name}")
        self._threads.append(thread)
        thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(JOIN_S)
            if thread.is_alive():
                self.errors.append(TimeoutError(f"thread {thread.name} did not end within {JOIN_S:g} s"))

    def _repeat(self, interval_s: float, work: Callable[[], None]) -> None:
        try:
            while not self._stop.is_set():
                work()
                self._stop.wait(interval_s)
        except BaseException as error:  # handed to the runner, which turns it into an ERROR
            self.errors.append(error)
