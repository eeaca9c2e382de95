"""How the bank's customers, and their machines, ask: one call that may be made again, until it is clear what happened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field

from chaoskit.model.history import Outcome
from chaoskit.model.journey import Answer, Habit, Visit, Wanted

# As long as a phone's app waits; the gateway gives up half a second earlier, so that its answer is still heard.
ATTEMPT_LIMIT_S = 2.0
# Before a second call of what moves no money. Spread by half either way, or all who were cut off together would come back together.
READ_PAUSES_S = (0.4,)

Ask = Callable[[Habit | None], Coroutine[object, object, Answer]]
"""Makes one attempt, and says for which habit."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call on the wire, which may be made again."""

    method: str
    path: str
    body: Mapping[str, object] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def of(self, operation: Wanted) -> Ask:
        async def ask(habit: Habit | None) -> Answer:
            return await operation.attempt(
                self.method, self.path, body=self.body, headers=self.headers, timeout_s=ATTEMPT_LIMIT_S, habit=habit
            )

        return ask


async def insist(visit: Visit, ask: Ask, *, pauses_s: tuple[float, ...]) -> Answer:
    """Ask, and ask again while it is not clear what happened."""
    is_unclear = False
    answer: Answer | None = None
    for pause_s in (0.0, *pauses_s):
        if answer is not None:
            await asyncio.sleep(pause_s * visit.random.uniform(0.5, 1.5))
        answer = await ask(None)
        is_unclear = is_unclear or answer.outcome is Outcome.INFO
        # 503 without effect says nothing of the call before it, which may have paid: then it is still worth asking.
        is_settled = answer.outcome is Outcome.OK or (answer.outcome is Outcome.FAIL and answer.status != 503)
        if is_settled or not is_unclear:
            break
    assert answer is not None
    return answer
