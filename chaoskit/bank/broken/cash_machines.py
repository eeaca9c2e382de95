"""Cash machines that pay out what was never debited."""

from __future__ import annotations

from chaoskit.bank.cash_machine import CashMachine, Draw
from chaoskit.model.journey import Visit, Wanted


class PaysOnSilence(CashMachine):
    """Takes no answer for a yes, so as not to send a customer away who may have been debited."""

    async def end_without_answer(self, visit: Visit, wanted: Wanted, draw: Draw) -> None:
        del visit
        wanted.dispensed(draw.amount)
