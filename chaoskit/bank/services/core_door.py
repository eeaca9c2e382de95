"""The gateway's way to the core: one call, and what is known of its effect when it goes wrong."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping

import aiohttp
from aiohttp import web

from chaoskit.bank.services.serving import DEADLINE_HEADER

# The core is told to be done this much earlier, so that its own answer, which knows the effect, arrives before ours, which does
# not.
MARGIN_S = 0.2
# A loopback or one rack away: a connection that takes longer is not coming, and nothing was sent on it.
CONNECT_LIMIT_S = 0.5

Said = tuple[int, Mapping[str, object]]
"""A status and a body."""


class CoreDoor:
    """Calls the core at *url*, while `connected`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http: aiohttp.ClientSession

    async def connected(self, _: web.Application) -> AsyncIterator[None]:
        # No limit here: the admission is the limit, and a second queue behind it would have no bound in time.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as self._http:
            yield

    async def call(
        self, method: str, path: str, *, body: Mapping[str, object] | None, headers: Mapping[str, str], limit_s: float
    ) -> Said:
        """The core's status and answer, or ours that says why there is none. Never raises for what the core does."""
        timeout = aiohttp.ClientTimeout(total=limit_s, sock_connect=CONNECT_LIMIT_S)
        told = {**headers, DEADLINE_HEADER: str(max(0, int((limit_s - MARGIN_S) * 1000)))}
        try:
            async with self._http.request(method, self._url + path, json=body, headers=told, timeout=timeout) as response:
                said = json.loads(await response.read())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return 503, {"error": "core-unreachable", "effect": "none"}
        except TimeoutError:
            return 504, {"error": "no-answer-in-time", "effect": "unknown"}
        except (aiohttp.ClientError, ValueError) as error:
            return 502, {"error": f"broken-answer {type(error).__name__}", "effect": "unknown"}
        return (response.status, said) if isinstance(said, dict) else (502, {"error": "broken-answer", "effect": "unknown"})
