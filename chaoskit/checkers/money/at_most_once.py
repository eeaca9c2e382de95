"""Whether anything that was wanted once happened twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from chaoskit.checkers.money.books import (
    BOOKED,
    TOLD,
    Books,
    Transaction,
    effect,
    judged,
    require,
    require_postings,
    ruling,
)
from chaoskit.checkers.wording import counted
from chaoskit.model import measures
from chaoskit.model.history import History, Operation, Outcome
from chaoskit.model.topology import Evidence
from chaoskit.model.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class AtMostOnce:
    """No intent moved money twice, however often it was sent.

    Proves: over all keys of an intent, the final ledger holds at most one transaction, and that one does not move a multiple of
    what was asked. An operation without an answer may have happened once; that is not an accusation. Under one key there is at
    most one, too, whatever was asked with it.
    Sound because an intent is what a customer wanted once: two effects are wrong whatever was answered.
    Cannot see: a duplicate whose key belongs to no recorded operation (`no-phantom`), nor whether retries happened at all: the
    number of operations that were sent more than once is in the measures.
    Catches a missing, forgotten or racing idempotency key, a new key for each retry, a gateway or relay that repeats.
    """

    name: ClassVar[str] = "at-most-once"
    is_sound_early: ClassVar[bool] = True

    def check(self, history: History) -> tuple[Finding, ...]:
        return judged(self.name, history, self._judge, needs=TOLD)

    def _judge(self, books: Books) -> Finding:
        if Evidence.POSTINGS not in books.ledger.lacks:
            require_postings(books)
        applied: dict[str, int] = defaultdict(int)
        wanted: dict[str, Operation] = {}
        others: dict[str, Operation] = {}
        for transaction in books.transactions:
            operation = _asked_for(books, transaction)
            if operation is None or _is_refused_rival(books, operation):
                continue
            intent = measures.intent_of(books.asked[transaction.key][0])
            applied[intent] += _times(transaction, effect(operation))
            first = wanted.setdefault(intent, operation)
            if first is not operation and effect(first) != effect(operation):
                others[intent] = operation
        if Evidence.POSTING_KEYS in books.ledger.lacks:
            for key in books.ledger.applied_keys:
                for operation in books.asked.get(key, ())[:1]:
                    applied[measures.intent_of(operation)] += 1
                    wanted.setdefault(measures.intent_of(operation), operation)
        twice = {intent: times for intent, times in applied.items() if times > 1}
        if not twice:
            # Two keys of one intent convict; that no single key moved money twice is seen only where it was moved.
            require(books, *BOOKED)
        extra = {intent: measures.amount_of(wanted[intent].legs) * (times - 1) for intent, times in twice.items()}
        amount = sum(extra.values())
        return ruling(
            self.name,
            wrong=[
                f"{books.says(others[intent])} was carried out besides {books.says(wanted[intent])}"
                if intent in others
                else f"{books.says(wanted[intent])} was wanted once and happened {twice[intent]} times"
                for intent in sorted(twice, key=lambda intent: -extra[intent])
            ],
            failed=f"{counted(len(twice), 'operation')} happened more than once and moved {books.money(amount)} too much",
            passed=f"{counted(len(applied), 'operation')} in the ledger, none of them twice",
            measured={
                "repeated_operations": len(twice),
                "repeated_amount": amount,
                "operations_in_ledger": len(applied),
                "retried_operations": _retried(books.operations),
            },
        )


def _asked_for(books: Books, transaction: Transaction) -> Operation | None:
    """The operation that a transaction is of: of several under its key the one that asked for just this, else the first.

    None for a key that nobody sent.
    """
    operations = books.asked.get(transaction.key, ())
    if len(operations) < 2:
        return operations[0] if operations else None
    return next((one for one in operations if effect(one) == transaction.done), operations[0])


def _is_refused_rival(books: Books, operation: Operation) -> bool:
    """Whether it was refused, and another payment under its key was not: that it happened all the same is `no-refused-effect`."""
    rivals = books.asked[operation.key]
    return len(rivals) > 1 and operation.outcome is Outcome.FAIL and any(one.outcome is not Outcome.FAIL for one in rivals)


def _times(transaction: Transaction, legs: Mapping[str, int]) -> int:
    """How often *legs* happened in one transaction: once, unless every account got the same multiple."""
    done = transaction.done
    if done == legs or done.keys() != legs.keys():
        return 1
    factors = {divmod(amount, legs[account]) for account, amount in done.items()}
    times, rest = next(iter(factors))
    return times if len(factors) == 1 and rest == 0 and times > 1 else 1


def _retried(operations: Sequence[Operation]) -> int:
    sent: dict[str, int] = defaultdict(int)
    for operation in operations:
        sent[measures.intent_of(operation)] += len(operation.attempts)
    return sum(times > 1 for times in sent.values())
