"""Whether cash and debits go together: what a machine paid out, and what was booked for it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from chaoskit.checkers import asked
from chaoskit.checkers.money.books import BOOKED, Books, gaps, judged, ruling
from chaoskit.checkers.wording import counted
from chaoskit.model import units
from chaoskit.model.errors import NotAsked, NotExercised
from chaoskit.model.history import History, Operation, Outcome
from chaoskit.model.verdict import Finding

VAULT = "vault"
"""The kind of account that holds what machines paid out (`AccountState.kind`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cash:
    """Whoever got cash was debited for it once, and whoever was debited without getting any has the money back in time.

    Proves: for each withdrawal, what the machine's journal says it paid out is what the final ledger has booked for it, reversals
    subtracted; and no reversal of a debit without cash surely came later than `within` after the withdrawal was asked for.
    Sound because the machine writes its journal before the notes are out, and the ledger is final: whatever the order of debit,
    cash and reversal was, in the end they are equal. A reversal is late only if all earlier requests for it surely had no effect.
    Cannot see: what a machine does not write down, nor how long a debit stood whose reversal was asked for in time.
    Inconclusive when no machine kept a journal, and when all that is wrong is a debit without cash that its machine was still
    having reversed when the load ended. O(n).
    Catches a machine that pays out although nobody answered, a debit that is lost after the cash is out, a reversal that is lost.
    """

    name: ClassVar[str] = "cash"
    if_any: bool = False
    """Whether a load without any is fine. `money` sets it."""
    within_s: units.Seconds = 30.0
    """Twice as long as the reference experiments allow a standby to take over: a machine can wait that out."""

    def __post_init__(self) -> None:
        asked.time("within", self.within_s)

    def check(self, history: History) -> tuple[Finding, ...]:
        return judged(self.name, history, self._judge, needs=BOOKED, if_any=self.if_any)

    def _judge(self, books: Books) -> Finding:
        withdrawals = _withdrawals(books)
        if not withdrawals:
            raise NotAsked("nobody drew cash")
        # A machine that asked for a reversal keeps a journal: an empty one says that it paid nobody.
        if not books.history.dispensed and not any(one.reversals for one in withdrawals):
            raise NotAsked("no cash machine wrote down what it paid out")
        missing = gaps(books.history)
        unpaid = [one for one in withdrawals if one.paid > one.booked]
        unserved = [one for one in withdrawals if one.paid < one.booked]
        under_way = [one for one in unserved if missing or one.is_under_way(books.history, self.within_s)]
        kept = [one for one in unserved if one not in under_way]
        late = [one for one in withdrawals if not missing and one.reversed_after_s() > self.within_s]
        if under_way and not (unpaid or kept or late):
            what = f"{counted(len(under_way), 'debit')} without cash that the machine was still having reversed when the load ended"
            raise NotExercised(missing or f"{what}: {under_way[0].says(books)}")
        given, taken = sum(one.apart for one in unpaid), sum(one.apart for one in kept)
        return ruling(
            self.name,
            wrong=[
                *(_unpaid(books, one) for one in sorted(unpaid, key=_apart, reverse=True)),
                *(_kept(books, one) for one in sorted(kept, key=_apart, reverse=True)),
                *(_late(books, one) for one in late),
            ],
            failed=f"{books.money(given)} paid out or given back without a debit, {books.money(taken)} debited without cash,"
            f" {counted(len(late), 'debit')} given back later than {self.within_s:g} s",
            passed=f"{counted(sum(one.paid > 0 for one in withdrawals), 'withdrawal')} paid out and debited once,"
            f" {counted(sum(one.is_given_back for one in withdrawals), 'debit')} without cash given back",
            measured={
                "cash_without_debit": len(unpaid),
                "cash_without_debit_amount": given,
                "debits_without_cash": len(kept),
                "debits_without_cash_amount": taken,
                "late_reversals": len(late),
                "debits_given_back": sum(one.is_given_back for one in withdrawals),
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Withdrawal:
    """Everything under one key: who asked for it, what the machine gave, what is booked, and what was to take that back."""

    operations: Sequence[Operation]
    reversals: Sequence[Operation]
    paid: int
    debited: int
    booked: int
    """What is left of the debits after reversals."""

    @property
    def apart(self) -> int:
        return abs(self.paid - self.booked)

    @property
    def is_given_back(self) -> bool:
        return bool(self.debited) and not self.paid and not self.booked

    def says(self, books: Books) -> str:
        return books.says(self.operations[0])

    def is_under_way(self, history: History, within_s: float) -> bool:
        """Whether the load ended while its machine was at it, within the time that it has."""
        ended_ns = history.phases.get("settle", history.phases.get("end"))
        is_in_time = ended_ns is None or ended_ns <= self.operations[0].start_ns + within_s * 1e9
        return is_in_time and any(one.closed_ns is None for one in (*self.operations, *self.reversals))

    def reversed_after_s(self) -> float:
        """Seconds from the first request to the first reversal that may have had an effect; 0 if nothing was given back."""
        if not self.is_given_back:
            return 0.0
        effective = [a.start_ns for one in self.reversals for a in one.attempts if a.outcome is not Outcome.FAIL]
        return (min(effective) - self.operations[0].start_ns) / 1e9 if effective else 0.0


def _withdrawals(books: Books) -> Sequence[_Withdrawal]:
    vaults = {account.account for account in books.ledger.accounts if account.kind == VAULT}
    paid: dict[str, int] = defaultdict(int)
    for note in books.history.dispensed:
        paid[note.key] += note.amount
    reversals: dict[str, list[Operation]] = defaultdict(list)
    drawn: dict[str, list[Operation]] = defaultdict(list)
    for operation in books.operations:
        if operation.reverses:
            reversals[operation.reverses].append(operation)
        elif operation.key in paid or any(amount > 0 and account in vaults for account, amount in operation.legs.items()):
            drawn[operation.key].append(operation)
    booked = _booked_by_key(books, vaults)
    return [
        _Withdrawal(
            operations=operations,
            reversals=reversals.get(key, ()),
            paid=paid.get(key, 0),
            debited=booked.get(key, 0),
            booked=booked.get(key, 0) + sum(booked.get(one, 0) for one in {r.key for r in reversals.get(key, ())}),
        )
        for key, operations in drawn.items()
    ]


def _booked_by_key(books: Books, vaults: set[str]) -> Mapping[str, int]:
    booked: dict[str, int] = defaultdict(int)
    for posting in books.ledger.postings:
        if posting.account in vaults:
            booked[posting.key] += posting.amount
    return booked


def _unpaid(books: Books, one: _Withdrawal) -> str:
    if one.booked < 0:
        paid = f"was paid out with {books.money(one.paid)}" if one.paid else "gave no cash"
        return f"{one.says(books)} {paid}, and {books.money(-one.booked)} more were given back for it than had been debited"
    if one.booked:
        return f"{one.says(books)} was paid out with {books.money(one.paid)}, and only {books.money(one.booked)} are booked for it"
    booked = "the debit was taken back" if one.debited else "no account was debited"
    return f"{one.says(books)} was paid out with {books.money(one.paid)}, and {booked}"


def _kept(books: Books, one: _Withdrawal) -> str:
    paid = f"was paid out with {books.money(one.paid)}" if one.paid else "gave no cash"
    return f"{one.says(books)} {paid}, and {books.money(one.apart)} more are debited for it and were not given back"


def _late(books: Books, one: _Withdrawal) -> str:
    return (
        f"{one.says(books)} gave no cash, and the debit was taken back only {one.reversed_after_s():.1f} s after it was asked for"
    )


def _apart(one: _Withdrawal) -> int:
    return one.apart
