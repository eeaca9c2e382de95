"""Sends payments to other banks from the outbox to the rail, at least once each, under the key of the payment.

A payment that was sent but not yet marked is sent again after a crash: the rail knows it by its key.
"""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp

from chaoskit.bank import schema
from chaoskit.bank.services.serving import log, now_s
from chaoskit.bank.services.sessions import NotCarriedOut, Sessions, Unanswered

# How often the outbox is looked at. Other banks get their money within about this, and an idle look costs one small statement.
EVERY_S = 0.25
# At most this many under way at once: with a rail of 40 ms that is 200 a second, several times what the core can take in.
BATCH = 8
# The rail answers in tens of milliseconds; after this it is away, and the payment is sent again later.
RAIL_LIMIT_S = 2.0
# A statement that is not answered in this time has a dead connection; marking again does no harm.
STATEMENT_LIMIT_S = 2.0


class Relay:
    """Works until cancelled, whatever happens to the database or the rail. *sessions* are its own: it never takes a customer's
    slot.
    """

    def __init__(self, sessions: Sessions, *, rail_url: str) -> None:
        self._sessions = sessions
        self._rail_url = rail_url
        self._said = ""

    async def run(self) -> None:
        timeout = aiohttp.ClientTimeout(total=RAIL_LIMIT_S)
        self._sessions.start()
        try:
            async with aiohttp.ClientSession(timeout=timeout) as http:
                while True:
                    # Without a database there is nothing to send; the sessions say so in the log.
                    with contextlib.suppress(NotCarriedOut, Unanswered):
                        await self._send_batch(http)
                    await asyncio.sleep(EVERY_S)
        finally:
            await self._sessions.close()

    async def _send_batch(self, http: aiohttp.ClientSession) -> None:
        rows = await self._sessions.run(schema.UNSENT, (BATCH,), deadline_s=now_s() + STATEMENT_LIMIT_S)
        results = await asyncio.gather(*(self._send(http, str(key), str(to), amount) for _, key, to, amount in rows))
        sent = [row[0] for row, is_sent in zip(rows, results, strict=True) if is_sent]
        if sent:
            await self._sessions.run(schema.MARK_SENT, (sent,), deadline_s=now_s() + STATEMENT_LIMIT_S)
            self._say("")

    async def _send(self, http: aiohttp.ClientSession, key: str, creditor: str, amount: object) -> bool:
        """Whether the rail has the payment for sure. Anything else is sent again."""
        try:
            async with http.post(
                f"{self._rail_url}/credits", json={"key": key, "creditor": creditor, "amount": amount}
            ) as response:
                await response.read()
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            self._say("relay waits for the rail")
            return False

    def _say(self, line: str) -> None:
        """Log what is new, once."""
        if line and line != self._said:
            log.warning("%s", line)
        self._said = line
