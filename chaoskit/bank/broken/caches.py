"""A bookkeeper with a cache that knows too much."""

from __future__ import annotations

from chaoskit.bank import schema
from chaoskit.bank.services.bookkeeper import Bookkeeper, Moved, Movement
from chaoskit.bank.services.serving import now_s
from chaoskit.bank.services.sessions import Row, Sessions

# Long enough that somebody looks at the account meanwhile, short enough for a cache that is meant to be fresh.
LIFETIME_S = 3.0


class DirtyRead(Bookkeeper):
    """Puts the payer's new balance into a cache before the payment is done. One that is refused or rolled back stays there."""

    def __init__(self, sessions: Sessions, *, hold_s: float) -> None:
        super().__init__(sessions, hold_s=hold_s)
        self._cache: dict[str, tuple[float, Row]] = {}

    async def move(self, key: str, movement: Movement, *, deadline_s: float) -> Moved:
        rows = await self._sessions.run(schema.READ_BALANCE, (movement.payer,), deadline_s=deadline_s)
        self._cache.pop(movement.payee, None)
        for balance, version, node in rows:
            after = (int(str(balance)) - movement.amount, int(str(version)) + 1, node)
            self._cache[movement.payer] = (now_s() + LIFETIME_S, after)
        return await super().move(key, movement, deadline_s=deadline_s)

    async def balance(self, account: str, *, deadline_s: float) -> Row | None:
        until_s, row = self._cache.get(account, (0.0, ()))
        return row if until_s > now_s() else await super().balance(account, deadline_s=deadline_s)
