"""Moves money and shows balances: what the core's handlers ask the database for.

Each of both is one statement, so one transaction and one round trip; see `chaoskit.bank.schema`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, cast

from chaoskit.bank import schema
from chaoskit.bank.services.sessions import Row, Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """A payment as it was asked for. `creditor` is an account at another bank, None for one of ours."""

    kind: str
    payer: str
    payee: str
    amount: int
    creditor: str | None

    def fingerprint(self) -> str:
        """Equal for equal requests: a key that comes back with another one is refused."""
        text = json.dumps([self.kind, self.payer, self.payee, self.amount, self.creditor])
        return hashlib.sha256(text.encode()).hexdigest()

    def values(self) -> tuple[object, ...]:
        """What the database's functions take after the key."""
        return (self.fingerprint(), self.kind, self.payer, self.payee, self.amount, self.creditor)


@dataclass(frozen=True, slots=True)
class Moved:
    """The answer to a payment: an HTTP status, the body, and whether it is the stored answer of an earlier call."""

    code: int
    body: Mapping[str, object]
    replayed: bool


class Bookkeeper:
    """Works on *sessions* and takes at least *hold_s* for each statement. Both methods raise `NotCarriedOut` and `Unanswered`."""

    functions: ClassVar[tuple[str, ...]] = (schema.BOOK_PAYMENT, schema.MOVE_MONEY, schema.REVERSE_WITHDRAWAL)
    """SQL that is run when the books are opened, after the tables were made."""

    def __init__(self, sessions: Sessions, *, hold_s: float) -> None:
        self._sessions = sessions
        self._hold_s = hold_s

    async def move(self, key: str, movement: Movement, *, deadline_s: float) -> Moved:
        return await self._call(schema.CALL_MOVE_MONEY, (key, *movement.values()), deadline_s=deadline_s)

    async def reverse(self, key: str, reverses: str, withdrawal: Movement, *, deadline_s: float) -> Moved:
        """Take back the *withdrawal* that was asked for under the key *reverses*, if it was booked; bar it if it was not."""
        back = replace(withdrawal, kind="reversal", payer=withdrawal.payee, payee=withdrawal.payer)
        names = (key, back.fingerprint(), reverses, withdrawal.fingerprint())
        values = (*names, back.payer, back.payee, back.amount)
        return await self._call(schema.CALL_REVERSE_WITHDRAWAL, values, deadline_s=deadline_s)

    async def balance(self, account: str, *, deadline_s: float) -> Row | None:
        """Balance, version, and the node that served them; None for an account that is not there."""
        rows = await self._sessions.run(schema.READ_BALANCE, (account,), deadline_s=deadline_s, hold_s=self._hold_s)
        return rows[0] if rows else None

    async def _call(self, statement: str, values: Sequence[object], *, deadline_s: float) -> Moved:
        warnings: list[str] = []
        running = self._sessions.run(statement, values, deadline_s=deadline_s, hold_s=self._hold_s, warnings=warnings)
        ((code, body, replayed),) = await running
        warned = {"warning": warnings[0]} if warnings else {}
        return Moved(int(str(code)), {**cast("Mapping[str, object]", body), **warned}, bool(replayed))
