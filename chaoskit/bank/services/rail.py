"""The interbank switch: slow, called at least once for each payment, with a journal of its own that knows every key once."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from chaoskit.bank.services.serving import Settings, answer, bad_request, body_of, health, main, refusal

# A switch between banks answers in tens of milliseconds, most of it on the way.
SLOW_S = 0.04


async def build(settings: Settings) -> web.Application:
    app = web.Application()
    rail = Rail(Path(str(settings["directory"])) / "journal.sqlite")
    app.cleanup_ctx.append(rail.opened)
    app.add_routes([web.get("/health", health), web.post("/credits", rail.credit), web.get("/journal", rail.read_journal)])
    return app


class Rail:
    """The handlers. One thread at a time touches the journal, since each write waits for the disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = asyncio.Lock()
        self._journal: sqlite3.Connection

    async def opened(self, _: web.Application) -> AsyncIterator[None]:
        self._journal = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        # A credit that was confirmed must survive a power cut, not only a kill.
        self._journal.execute("PRAGMA synchronous = FULL")
        self._journal.execute(
            "CREATE TABLE IF NOT EXISTS credits"
            " (key TEXT PRIMARY KEY, creditor TEXT NOT NULL, amount INTEGER NOT NULL, deliveries INTEGER NOT NULL)"
        )
        yield
        self._journal.close()

    async def credit(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        key, creditor, amount = body.get("key"), body.get("creditor"), body.get("amount")
        if not isinstance(key, str) or not isinstance(creditor, str) or isinstance(amount, bool) or not isinstance(amount, int):
            raise bad_request("key and creditor must be text, amount a whole number")
        await asyncio.sleep(SLOW_S)
        async with self._turn:
            stored = await asyncio.to_thread(self._write, key, creditor, amount)
        if stored != (creditor, amount):
            return refusal(422, "key-used-for-another-request")
        return answer(200, {"key": key, "state": "credited"})

    async def read_journal(self, _: web.Request) -> web.Response:
        async with self._turn:
            rows = await asyncio.to_thread(self._read)
        names = ("key", "creditor", "amount", "deliveries")
        return answer(200, {"credits": [dict(zip(names, row, strict=True)) for row in rows]})

    def _write(self, key: str, creditor: str, amount: int) -> tuple[str, int]:
        """Write the credit down once, count its deliveries, and return what is written."""
        row = self._journal.execute(
            "INSERT INTO credits VALUES (?, ?, ?, 1) ON CONFLICT (key) DO UPDATE SET deliveries = deliveries + 1"
            " RETURNING creditor, amount",
            (key, creditor, amount),
        ).fetchone()
        return str(row[0]), int(row[1])

    def _read(self) -> list[tuple[object, ...]]:
        return self._journal.execute("SELECT key, creditor, amount, deliveries FROM credits ORDER BY key").fetchall()


if __name__ == "__main__":
    main(build)
