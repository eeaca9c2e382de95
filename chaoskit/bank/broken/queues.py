"""An admission that lets everybody in and serves nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chaoskit.bank.services.admission import Admission


class EndlessQueue(Admission):
    """One queue for all kinds, without a bound. Nobody's patience is looked at: who has long gone is worked for as if just come."""

    @asynccontextmanager
    async def slot(self, kind: str, *, wait_s: float) -> AsyncIterator[float]:
        del kind
        if self._free:
            self._free -= 1
        else:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            queue = next(iter(self._queues.values()))
            queue.append(turn)
            try:
                await asyncio.wait({turn})  # which leaves the turn alone when the visitor is cancelled
            except asyncio.CancelledError:
                self._give_up(queue, turn)
                raise
        try:
            yield wait_s
        finally:
            self._leave()
