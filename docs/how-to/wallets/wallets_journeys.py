"""What the owners of wallets do. Imported by the load, in a process of its own."""

import asyncio
from collections.abc import Mapping

from wallets import OWNERS

from chaoskit.model.history import Outcome
from chaoskit.model.journey import Journey, Visit

PATIENCE_S = 1.0  # as long as our app waits for one answer
PAUSES_S = (0.0, 0.5, 1.0)  # before each of its attempts, always with the same request


def journeys(options: Mapping[str, str], seed: int) -> Mapping[str, Journey]:
    del options, seed
    return {"transfer": transfer}


async def transfer(visit: Visit) -> None:
    """Send money once. `legs` is what it must do to each account, in cents: that is what the ledger is compared with."""
    payer, payee = visit.random.sample(OWNERS, 2)
    cents = visit.random.randrange(100, 20_000)
    wanted = visit.operation(key=visit.intent, legs={payer: -cents, payee: cents})
    body = {"request": visit.intent, "from": payer, "to": payee, "amount": f"{cents // 100}.{cents % 100:02d}"}
    for pause_s in PAUSES_S:
        await asyncio.sleep(pause_s)
        if (await wanted.attempt("POST", "/transfers", body=body, timeout_s=PATIENCE_S)).outcome is not Outcome.INFO:
            return
