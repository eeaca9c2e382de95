"""The interbank switch: slow, and called at least once for each payment. Its journal is the receiving side's book."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from aiohttp import web

from chaoskit.bank.services.journal import Journal
from chaoskit.bank.services.parts import part
from chaoskit.bank.services.serving import Settings, answer, bad_request, body_of, health, main, refusal

# A switch between banks answers in tens of milliseconds, most of it on the way.
SLOW_S = 0.04


async def build(settings: Settings) -> web.Application:
    app = web.Application()
    journal = part(Journal, defect=str(settings["defect"]))
    rail = Rail(lambda: journal(Path(str(settings["directory"])) / "journal.sqlite"))
    app.cleanup_ctx.append(rail.opened)
    app.add_routes([web.get("/health", health), web.post("/credits", rail.credit), web.get("/journal", rail.read_journal)])
    return app


class Rail:
    """The handlers. One thread at a time touches the journal, since each write waits for the disk."""

    def __init__(self, open_journal: Callable[[], Journal]) -> None:
        self._open_journal = open_journal
        self._turn = asyncio.Lock()
        self._journal: Journal

    async def opened(self, _: web.Application) -> AsyncIterator[None]:
        self._journal = self._open_journal()
        yield
        self._journal.close()

    async def credit(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        key, creditor, amount = body.get("key"), body.get("creditor"), body.get("amount")
        if not isinstance(key, str) or not isinstance(creditor, str) or isinstance(amount, bool) or not isinstance(amount, int):
            raise bad_request("key and creditor must be text, amount a whole number")
        await asyncio.sleep(SLOW_S)
        async with self._turn:
            stored = await asyncio.to_thread(self._journal.write, key, creditor, amount)
        if stored != (creditor, amount):
            return refusal(422, "key-used-for-another-request")
        return answer(200, {"key": key, "state": "credited"})

    async def read_journal(self, _: web.Request) -> web.Response:
        async with self._turn:
            rows = await asyncio.to_thread(self._journal.read)
        names = ("key", "creditor", "amount", "deliveries")
        return answer(200, {"credits": [dict(zip(names, row, strict=True)) for row in rows]})


if __name__ == "__main__":
    main(build)
