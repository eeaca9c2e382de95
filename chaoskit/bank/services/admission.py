"""Who may go to the core, and who is told at once to come back later: capacity is fixed.

Payments go before look-ups, each kind waits in a bounded queue of its own, and nobody is worked for who has stopped waiting. A
gateway that queues without bounds serves only customers who have left, and keeps doing so long after the peak.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from chaoskit.bank.services.serving import now_s


class Refused(Exception):
    """The request was turned away before any work was done for it. The reason is its text."""


class Admission:
    """*slots* requests at a time; the others wait, by kind, in the order in which *waiting* lists the kinds and their bounds.

    For one event loop.
    """

    def __init__(self, *, slots: int, waiting: Mapping[str, int]) -> None:
        self._free = slots
        self._bounds = waiting
        self._queues: dict[str, deque[asyncio.Future[None]]] = {kind: deque() for kind in waiting}

    @asynccontextmanager
    async def slot(self, kind: str, *, wait_s: float) -> AsyncIterator[float]:
        """Inside, the request has a slot, and what is left of *wait_s*.

        Raises `Refused` when the queue is full or no slot came free in time.
        """
        until_s = now_s() + wait_s
        await self._enter(kind, wait_s)
        try:
            yield until_s - now_s()
        finally:
            self._leave()

    async def _enter(self, kind: str, wait_s: float) -> None:
        if self._free:
            self._free -= 1
            return
        queue = self._queues[kind]
        if len(queue) >= self._bounds[kind]:
            raise Refused("overloaded")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            # wait() and not wait_for(): a turn that comes in the same moment as the limit is never lost.
            await asyncio.wait({turn}, timeout=wait_s)
        except asyncio.CancelledError:
            self._give_up(queue, turn)
            raise
        if not turn.done():
            queue.remove(turn)
            raise Refused("waited-too-long")

    def _give_up(self, queue: deque[asyncio.Future[None]], turn: asyncio.Future[None]) -> None:
        if turn.done():
            self._leave()
        else:
            queue.remove(turn)

    def _leave(self) -> None:
        for queue in self._queues.values():
            if queue:
                queue.popleft().set_result(None)
                return
        self._free += 1
