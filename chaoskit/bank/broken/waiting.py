"""Sessions that do not wait for the standby, although the cluster is set up to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import ClassVar

import psycopg

from chaoskit.bank.services.sessions import LIMITS, Row, Session, Sessions

# Ten times as long as a payment takes, and short against the deadline of 1.3 s: somebody wanted prompt answers.
PATIENCE_S = 0.4


class LocalCommit(Sessions):
    """Each session asks PostgreSQL to answer as soon as the primary alone has the change."""

    settings: ClassVar[Mapping[str, str]] = {"options": f"{LIMITS} -c synchronous_commit=local"}


class Impatient(Session):
    """Cancels what takes longer than `PATIENCE_S`. PostgreSQL then gives up the wait for the standby, warns, and answers "done"."""

    __slots__ = ()

    async def ask(self, statement: str, values: Sequence[object], *, deadline_s: float) -> list[Row]:
        cancelling = asyncio.create_task(self._cancel_later())
        try:
            return await super().ask(statement, values, deadline_s=deadline_s)
        finally:
            cancelling.cancel()

    async def _cancel_later(self) -> None:
        await asyncio.sleep(PATIENCE_S)
        with suppress(psycopg.Error):
            await self.connection.cancel_safe(timeout=PATIENCE_S)


class CancelledWait(Sessions):
    """Made of impatient sessions."""

    session: ClassVar[type[Session]] = Impatient
