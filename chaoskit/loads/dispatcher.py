"""Starts everything that is due, and nothing else: an answer that is late never delays the next arrival."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine

from chaoskit.loads.pacer import pacer
from chaoskit.loads.schedule import Timetable

Begin = Callable[[int, str, int], Coroutine[object, object, None]]
"""From (number, journey, due_ns) to the coroutine of one visit, which must not raise."""

_BURST_MAX = 64
"""Started in one go before answers are read again; more would make the load's own lateness look like the server's."""


class Dispatcher:
    """Runs one coroutine for each arrival of a timetable, when it is due. For use inside one running event loop.

    `sent` visits were started (after `stop`: every arrival that was due), `finished` visits have ended.
    """

    def __init__(self, timetable: Timetable, begin: Begin) -> None:
        self._timetable = timetable
        self._begin = begin
        self._loop = asyncio.get_running_loop()
        self._pacer = pacer(self._loop, self._start_due)
        self._begin_ns = 0
        self._open: dict[int, asyncio.Task[None]] = {}
        self._is_quiet = asyncio.Event()
        self._is_over = False
        self.sent = 0
        self.finished = 0

    def begin(self, *, at_ns: int) -> None:
        """Let the timetable's 0 s be at *at_ns* of the monotonic clock."""
        self._begin_ns = at_ns
        self._set_next()

    def surge(self, times: float) -> None:
        """Multiply the rate from now on."""
        self._timetable.surge(times, at_s=(time.monotonic_ns() - self._begin_ns) / 1e9)
        if not self._is_over and self._begin_ns:
            self._set_next()

    def stop(self) -> None:
        """No more arrivals after those that are due by now, however late they start. May be called twice."""
        if not self._is_over and self._begin_ns:
            self._start_until(time.monotonic_ns(), limit=None)
        self._is_over = True
        self._pacer.close()
        self._look_quiet()

    async def wait_quiet(self, *, timeout_s: float | None = None) -> bool:
        """Wait until no arrival is to come and no visit is open. False if that is not so within *timeout_s*."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._is_quiet.wait()
        except TimeoutError:
            return False
        return True

    async def cut_off(self) -> None:
        """End what is still open."""
        self.stop()
        # A task that is cancelled before its first step never enters its visit, which would then not be recorded.
        await asyncio.sleep(0)
        tasks = list(self._open.values())
        for task in tasks:
            task.cancel()
        # One turn of the loop is enough for a visit to end; one that refuses to is left to the end of the process.
        if tasks:
            await asyncio.wait(tasks, timeout=1)

    def _start_due(self) -> None:
        self._start_until(time.monotonic_ns(), limit=_BURST_MAX)
        self._set_next()

    def _start_until(self, now_ns: int, *, limit: int | None) -> None:
        timetable, started = self._timetable, 0
        while (due_s := timetable.due_s) is not None and started != limit:
            due_ns = self._begin_ns + round(due_s * 1e9)
            if due_ns > now_ns:
                break
            number, journey = timetable.number, timetable.journey
            timetable.advance()
            started += 1
            self._open[number] = self._loop.create_task(self._visit(number, journey, due_ns))
        self.sent += started

    async def _visit(self, number: int, journey: str, due_ns: int) -> None:
        try:
            await self._begin(number, journey, due_ns)
        finally:
            self.finished += 1
            del self._open[number]
            if self._is_over:
                self._look_quiet()

    def _set_next(self) -> None:
        due_s = self._timetable.due_s
        if due_s is None:
            self.stop()
        else:
            self._pacer.wake_at(self._begin_ns + round(due_s * 1e9))

    def _look_quiet(self) -> None:
        if not self._open:
            self._is_quiet.set()
