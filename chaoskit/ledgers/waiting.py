"""Asking until there is an answer or the time is up, with a bound that also holds when a driver hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from chaoskit.model.errors import NotReady

LOOK_EVERY_S = 0.1
"""Between two tries of something that should become possible: a takeover takes seconds."""
GRACE_S = 0.5
"""For the last try to end by the limits of its own driver, before it is called hanging."""

T = TypeVar("T")


def attempted(attempt: Callable[[], T], *, what: str, timeout_s: float, never: type[Exception]) -> T:
    """What *attempt* returns; again while it raises and time is left, but for errors of kind *never*, which no waiting mends.

    Blocks up to *timeout_s* and a moment, also when *attempt* does not return: then its thread is left behind, which is why it must
    be harmless when it ends late. Raises `NotReady` with the last reason.
    """
    until_s = time.monotonic() + timeout_s
    done: list[T] = []
    errors: list[Exception] = []

    def work() -> None:
        while not done:
            try:
                done.append(attempt())
            except Exception as error:  # each driver has errors of its own
                errors.append(error)
                if isinstance(error, never) or time.monotonic() + LOOK_EVERY_S >= until_s:
                    return
                time.sleep(LOOK_EVERY_S)  # bounded by the deadline above

    thread = threading.Thread(target=work, name=f"chaoskit-{what}", daemon=True)
    thread.start()
    thread.join(timeout_s + GRACE_S)
    if done:
        return done[0]
    if errors and isinstance(errors[-1], never):
        raise errors[-1]
    reason = _said(errors[-1]) if errors else "no answer at all"
    raise NotReady(f"{what} within {timeout_s:g} s: {reason}") from (errors[-1] if errors else None)


def _said(error: Exception) -> str:
    """An error in one line. Our own says all by its text."""
    text = str(error) if isinstance(error, NotReady) else f"{type(error).__name__}: {error}"
    return " ".join((text.partition("\n")[0], *getattr(error, "__notes__", ())))
