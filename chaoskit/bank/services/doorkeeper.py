"""Lets customers in and out, and knows who is in: what the core asks the database about sessions; see `chaoskit.bank.access`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, cast

from chaoskit.bank import access
from chaoskit.bank.services.serving import now_s
from chaoskit.bank.services.sessions import NotCarriedOut, Sessions, Unanswered
from chaoskit.bank.tokens import pin_hash

# A look-up by key takes a millisecond. After this the database is away, and a payment could hardly be done in time.
LOOK_LIMIT_S = 0.5


class Doorkeeper:
    """Logins and logouts cost a slot of *sessions* for at least *hold_s*; looks at a session go by *looks* and cost none."""

    functions: ClassVar[tuple[str, ...]] = (access.TABLES, access.LOG_IN, access.LOG_OUT)
    """SQL that is run when the books are opened, after their tables were made."""
    log_in_statement: ClassVar[str] = access.CALL_LOG_IN
    log_out_statement: ClassVar[str] = access.CALL_LOG_OUT

    def __init__(self, sessions: Sessions, looks: Sessions, *, seed: int, hold_s: float) -> None:
        self._sessions = sessions
        self._looks = looks
        self._seed = seed
        self._hold_s = hold_s

    async def log_in(self, customer: str, pin: str, *, deadline_s: float) -> tuple[int, Mapping[str, object]]:
        """Status and body. Raises `NotCarriedOut` and `Unanswered`, as `log_out` does."""
        values = (customer, pin_hash(customer, pin, seed=self._seed), access.MOST_WRONG)
        return await self._call(self.log_in_statement, values, deadline_s=deadline_s)

    async def log_out(self, session: str, *, deadline_s: float) -> tuple[int, Mapping[str, object]]:
        return await self._call(self.log_out_statement, (session,), deadline_s=deadline_s)

    async def is_live(self, session: str, *, deadline_s: float) -> bool:
        """Whether *session* was opened here and has not ended. Raises `NotCarriedOut` when that cannot be found out in time."""
        limit_s = min(deadline_s, now_s() + LOOK_LIMIT_S)
        try:
            ((is_live,),) = await self._looks.run(access.IS_LIVE, (session,), deadline_s=limit_s)
        except Unanswered as error:
            raise NotCarriedOut(f"nobody knows whether the session has ended: {error}") from error
        return bool(is_live)

    async def _call(self, statement: str, values: Sequence[object], *, deadline_s: float) -> tuple[int, Mapping[str, object]]:
        ((code, body),) = await self._sessions.run(statement, values, deadline_s=deadline_s, hold_s=self._hold_s)
        return int(str(code)), cast("Mapping[str, object]", body)
