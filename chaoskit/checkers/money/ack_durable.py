"""Whether every acknowledged operation is in the final ledger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from chaoskit.checkers.money.books import TOLD, Books, judged, ruling
from chaoskit.checkers.wording import counted
from chaoskit.model import measures
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import History, Operation, Outcome
from chaoskit.model.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class AckDurable:
    """What a customer was told is done is still done at the end.

    Proves: every intent with an ok answer has an effect in the final ledger, under any of its keys; so has every key that the bank
    itself called applied when it was settled. Its measures are the run's data loss: `lost_operations` and `lost_amount`.
    Sound because an ok answer is a promise, and the ledger is read after every fault is healed, every open transaction is over and
    two reads are equal.
    Cannot see: whether the effect is whole (`double-entry`) or the right one (`no-phantom`), nor a loss in an accident that did not
    happen: killed processes are not a power cut.
    Catches asynchronous failover, local commits, cancelled waits for the standby, the promotion of a stale standby.
    """

    name: ClassVar[str] = "ack-durable"
    is_sound_early: ClassVar[bool] = True

    def check(self, history: History) -> tuple[Finding, ...]:
        return judged(self.name, history, self._judge, needs=TOLD)

    def _judge(self, books: Books) -> Finding:
        acknowledged = {measures.intent_of(o) for o in books.operations if o.outcome is Outcome.OK}
        lost = sorted(measures.lost(books.history), key=lambda o: -measures.amount_of(o.legs))
        if not acknowledged and not lost:
            raise NotExercised("no operation that moves money was acknowledged, so nothing was proven")
        amount = sum(measures.amount_of(operation.legs) for operation in lost)
        return ruling(
            self.name,
            wrong=[f"{books.says(operation)} was acknowledged and is not in the ledger{_warned(operation)}" for operation in lost],
            failed=f"{counted(len(lost), 'acknowledged operation')} over {books.money(amount)} not in the ledger",
            passed=f"{counted(len(acknowledged), 'acknowledged operation')}, each in the ledger",
            measured={"lost_operations": len(lost), "lost_amount": amount, "acknowledged_operations": len(acknowledged)},
        )


def _warned(operation: Operation) -> str:
    """What the answer said besides, where it warned: whoever asked was told, if they read it."""
    warning = operation.answer.result.get("warning") if operation.answer else None
    return f"; the answer warned: {warning}" if warning else ""
