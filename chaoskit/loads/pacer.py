"""Wakes the event loop at an absolute time. Linux' timerfd is exact to some 30 microseconds; event loops round to 1 ms.

It keeps no time of its own and has no thread: the kernel makes a file readable when the time has come.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import sys
import time
from collections.abc import Callable
from typing import Protocol

_TFD_TIMER_ABSTIME = 1  # from sys/timerfd.h
_CLOCK_MONOTONIC = 1  # from linux/time.h; the clock of time.monotonic_ns()


class Pacer(Protocol):
    """Calls back once each time it was set, never before the time set; a time in the past means now."""

    def wake_at(self, at_ns: int) -> None:
        """Call back at *at_ns* of the monotonic clock, instead of any time set before."""

    def close(self) -> None:
        """No more calls. May be called twice."""


def pacer(loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> Pacer:
    """The most exact pacer that this system has. The callback must set the next time or close the pacer."""
    if sys.platform != "linux":
        return LoopPacer(loop, wake)
    try:
        return TimerPacer(loop, wake)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
        # A sandbox that has no timerfd. The load is then up to a millisecond late, and its record shows it.
        return LoopPacer(loop, wake)


class TimerPacer:
    """Through timerfd. The file is never read: setting it again takes back its readiness, which spares a system call."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        self._loop = loop
        self._set = _settime()
        self._file = _create()
        loop.add_reader(self._file, wake)

    def wake_at(self, at_ns: int) -> None:
        # Zero would disarm it.
        self._set(self._file, max(at_ns, 1))

    def close(self) -> None:
        if self._file >= 0:
            self._loop.remove_reader(self._file)
            os.close(self._file)
            self._file = -1


class LoopPacer:
    """Through the event loop's own timers: up to a millisecond late. For systems without timerfd."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wake: Callable[[], None]) -> None:
        self._loop = loop
        self._wake = wake
        self._timer: asyncio.TimerHandle | None = None

    def wake_at(self, at_ns: int) -> None:
        self.close()
        wait_s = (at_ns - time.monotonic_ns()) / 1e9
        # Some loops spin instead of sleeping when asked for less than their own millisecond.
        self._timer = self._loop.call_later(max(0.001, wait_s) if wait_s > 0 else 0, self._wake)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


if sys.version_info >= (3, 13):

    def _create() -> int:
        return os.timerfd_create(_CLOCK_MONOTONIC, flags=os.TFD_NONBLOCK | os.TFD_CLOEXEC)

    def _settime() -> Callable[[int, int], object]:
        return lambda file, at_ns: os.timerfd_settime_ns(file, flags=_TFD_TIMER_ABSTIME, initial=at_ns)

else:
    # The standard library has timerfd from Python 3.13 on.
    class _Spec(ctypes.Structure):
        _fields_ = [
            ("every_s", ctypes.c_long),
            ("every_ns", ctypes.c_long),
            ("at_s", ctypes.c_long),
            ("at_ns", ctypes.c_long),
        ]

    def _create() -> int:
        file = int(ctypes.CDLL(None, use_errno=True).timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC))
        if file < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed: the kernel gave no timer")
        return file

    def _settime() -> Callable[[int, int], object]:
        spec = _Spec()
        settime = ctypes.CDLL(None, use_errno=True).timerfd_settime
        where = ctypes.byref(spec)

        def set_at(file: int, at_ns: int) -> None:
            spec.at_s, spec.at_ns = divmod(at_ns, 1_000_000_000)
            if settime(file, _TFD_TIMER_ABSTIME, where, None) != 0:
                raise OSError(ctypes.get_errno(), "timerfd_settime failed: the kernel took no time")

        return set_at
