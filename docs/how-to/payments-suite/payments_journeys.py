"""What the customers of the payments service do. Imported by the load, in a process of its own."""

import asyncio
from collections.abc import Mapping

from chaoskit.model.history import Outcome
from chaoskit.model.journey import Journey, Visit

NAMES = ("pay", "look")
PATIENCE_S = 3.0  # as long as our app waits for one answer; the service gives up after two
PAUSES_S = (0.0, 0.5, 1.0)  # before each of its attempts, always with the same key


def journeys(options: Mapping[str, str], seed: int) -> Mapping[str, Journey]:
    del options, seed  # everybody pays the same way; whatever is left to chance is drawn from visit.random
    return {"pay": pay, "look": look}


async def pay(visit: Visit) -> None:
    """Pay once. Who gets no clear answer asks again, and must not pay twice for that."""
    amount = visit.random.randrange(1_000, 50_000)
    payment = visit.operation(key=visit.intent)
    for pause_s in PAUSES_S:
        await asyncio.sleep(pause_s)
        answer = await payment.attempt("POST", f"/payments/{visit.intent}", body={"amount": amount}, timeout_s=PATIENCE_S)
        if answer.outcome is not Outcome.INFO:
            return


async def look(visit: Visit) -> None:
    await visit.operation().attempt("GET", "/payments", timeout_s=PATIENCE_S)
