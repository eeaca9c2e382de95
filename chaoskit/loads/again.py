"""Sends again, after the load, what had no clear answer: word for word and under its own key, until it is clear what became of it.

Half of all experiments must do without: a bank that only repairs what is asked for again looks right here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from chaoskit.loads.journey import Answer, Operation
from chaoskit.model.history import Outcome
from chaoskit.model.measures import is_refusal

WITHIN_S = 20.0
"""As long as the ledger is given to close keys: everything is healed by then, and a lease and a promotion fit three times."""
PAUSE_S = 0.5
AT_ONCE = 16
"""Calls: an outage may leave hundreds open, and the end of a run must not be the next surge."""


async def send_again(operations: Iterable[Operation], *, within_s: float = WITHIN_S) -> None:
    """Ask for each of *operations* until it is answered; what is not by then stays unknown. Blocks up to *within_s*."""
    free = asyncio.Semaphore(AT_ONCE)

    async def ask(operation: Operation) -> None:
        while True:
            async with free:
                answer = await operation.again()
            if is_clear(answer):
                return
            await asyncio.sleep(PAUSE_S)

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s), asyncio.TaskGroup() as asking:
            for operation in operations:
                asking.create_task(ask(operation))


def is_clear(answer: Answer) -> bool:
    """Whether asking once more could tell nothing new: it is done, or it was refused. Turned away (503) says nothing."""
    return answer.outcome is Outcome.OK or (answer.outcome is Outcome.FAIL and is_refusal(answer.status))
