"""The public status page: what a customer outside would see, asked once a second.

It depends on nothing but HTTP to the gateway, so it still answers when the bank does not. It reads a real balance: the gateway's
own health check stays green while the ledger is away, and a page that believed it would tell the public that all is well.
"""

from __future__ import annotations

import asyncio
import html
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import suppress
from datetime import UTC, datetime

import aiohttp
from aiohttp import web

from chaoskit.bank.customers import watcher
from chaoskit.bank.services.serving import Settings, answer, health, log, main

EVERY_S = 1.0
# A look that takes longer is a failure: it is as long as a customer's phone waits.
LOOK_LIMIT_S = 2.0
# Two looks must agree before the page changes: one look-up refused in a busy second is no outage.
AGREEING = 2
STATES = {
    (True, True): "operational",
    (True, False): "partial-outage",
    (False, True): "partial-outage",
    (False, False): "major-outage",
}


async def build(settings: Settings) -> web.Application:
    page = Page(str(settings["gateway_url"]), seed=int(str(settings["seed"])))

    async def background(_: web.Application) -> AsyncIterator[None]:
        watching = asyncio.create_task(page.watch())
        yield
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching

    app = web.Application()
    app.cleanup_ctx.append(background)
    app.add_routes([web.get("/health", health), web.get("/status", page.as_json), web.get("/", page.as_html)])
    return app


class Page:
    """The page and its probe."""

    def __init__(self, gateway_url: str, *, seed: int) -> None:
        self._url = gateway_url
        self._customer = watcher(seed)
        self._token = ""
        self._components: Mapping[str, bool] = {}
        self._state = "unknown"
        self._since_s = time.time()
        self._looks: deque[str] = deque(maxlen=AGREEING)
        # Bounded: a day of an outage every few minutes fits.
        self._history: deque[Mapping[str, str]] = deque(maxlen=500)

    async def watch(self) -> None:
        timeout = aiohttp.ClientTimeout(total=LOOK_LIMIT_S)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(force_close=True)) as http:
            while True:
                begun = time.monotonic()
                answers, reads = await asyncio.gather(_succeeds(self._ask_health(http)), _succeeds(self._read_balance(http)))
                self._note(answers=answers, reads=reads)
                await asyncio.sleep(max(0.0, EVERY_S - (time.monotonic() - begun)))

    async def as_json(self, _: web.Request) -> web.Response:
        return answer(200, self._said())

    async def as_html(self, _: web.Request) -> web.Response:
        said = self._said()
        lines = "".join(f"<li>{html.escape(line['at'])} {html.escape(line['state'])}</li>" for line in reversed(self._history))
        text = (
            "<!doctype html><html lang=en><meta charset=utf-8><meta http-equiv=refresh content=5><title>Bank status</title>"
            f"<h1>{html.escape(self._state)}</h1><p>since {html.escape(str(said['since']))}</p><ul>{lines}</ul></html>"
        )
        return web.Response(text=text, content_type="text/html")

    def _said(self) -> Mapping[str, object]:
        words = {True: "operational", False: "outage"}
        return {
            "state": self._state,
            "since": _clock(self._since_s),
            "components": {name: words[works] for name, works in self._components.items()},
            "history": list(self._history),
        }

    def _note(self, *, answers: bool, reads: bool) -> None:
        self._components = {"gateway": answers, "accounts": reads}
        seen = STATES[answers, reads]
        self._looks.append(seen)
        is_agreed = len(self._looks) == AGREEING and len(set(self._looks)) == 1
        if seen != self._state and (is_agreed or self._state == "unknown"):
            self._state, self._since_s = seen, time.time()
            self._history.append({"at": _clock(self._since_s), "state": seen})
            log.info("status state=%s", seen)

    async def _ask_health(self, http: aiohttp.ClientSession) -> bool:
        async with http.get(f"{self._url}/health") as response:
            return response.status == 200

    async def _read_balance(self, http: aiohttp.ClientSession) -> bool:
        if not self._token:
            credentials = {"customer": self._customer.name, "pin": self._customer.pin}
            async with http.post(f"{self._url}/login", json=credentials) as response:
                if response.status != 200:
                    return False
                self._token = str((await response.json())["token"])
        headers = {"Authorization": f"Bearer {self._token}"}
        async with http.get(f"{self._url}/accounts/{self._customer.accounts[0]}", headers=headers) as response:
            if response.status == 401:
                self._token = ""  # the bank no longer knows this session
            return response.status == 200


async def _succeeds(look: Awaitable[bool]) -> bool:
    """A look that fails in whatever way is a look that did not succeed: that is what the page is there to say."""
    try:
        return await look
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError):
        return False


def _clock(at_s: float) -> str:
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    main(build)
