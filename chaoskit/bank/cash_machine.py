"""A cash machine: it asks once, pays out only on a clear yes, and without a clear answer has the debit taken back.

Nobody waits in front of a machine for a second try, so one without an answer gives nothing; the debit may have happened all the
same, and only the bank can tell. What the machine pays out it writes into its own journal, which is part of the load's record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from chaoskit.bank.asking import Call
from chaoskit.bank.customers import VAULT
from chaoskit.model.history import Outcome
from chaoskit.model.journey import Answer, Visit, Wanted

# Between two requests for one reversal. Few machines are without an answer at once, and the customer is already without money.
PAUSE_S = 1.0
# For so long a machine asks for a reversal: a little less than the check `cash` gives it by default, and longer than any takeover.
PATIENCE_S = 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Cash that a customer asked a machine for. `headers` say who they are."""

    customer: str
    account: str
    amount: int
    headers: Mapping[str, str]


class CashMachine:
    """Serves one customer after the other. *pause_s* is the time between two requests for a reversal, *patience_s* that for all."""

    def __init__(self, *, pause_s: float = PAUSE_S, patience_s: float = PATIENCE_S) -> None:
        self._pause_s = pause_s
        self._patience_s = patience_s

    async def serve(self, visit: Visit, draw: Draw) -> None:
        legs = {draw.account: -draw.amount, VAULT: draw.amount}
        wanted = visit.operation(legs=legs, key=visit.intent, session=draw.customer)
        answer = await _ask(wanted, "/withdrawals", draw, key=visit.intent)
        if answer.outcome is Outcome.OK:
            wanted.dispensed(draw.amount)
        elif answer.outcome is Outcome.INFO:
            await self.end_without_answer(visit, wanted, draw)

    async def end_without_answer(self, visit: Visit, wanted: Wanted, draw: Draw) -> None:
        """Give nothing, and ask for the reversal until the bank has said what became of the debit."""
        del wanted
        key = f"{visit.intent}-reversal"
        legs = {draw.account: draw.amount, VAULT: -draw.amount}
        reversal = visit.operation(legs=legs, key=key, session=draw.customer, intent=key, reverses=visit.intent)
        clock = asyncio.get_running_loop()
        until_s = clock.time() + self._patience_s
        while not _is_settled(await _ask(reversal, "/reversals", draw, key=key, reverses=visit.intent)):
            if clock.time() >= until_s:
                return
            await asyncio.sleep(self._pause_s)


async def _ask(wanted: Wanted, path: str, draw: Draw, *, key: str, **more: str) -> Answer:
    body = {"account": draw.account, "amount": draw.amount, **more}
    headers = {**draw.headers, "Idempotency-Key": key}
    return await Call("POST", path, body=body, headers=headers).of(wanted)(None)


def _is_settled(answer: Answer) -> bool:
    """Whether the bank has decided. A call that was turned away (503), or never sent, has decided nothing."""
    return answer.outcome is Outcome.OK or (answer.outcome is Outcome.FAIL and answer.status not in (0, 503))
