"""How every service of the bank runs: settings from a file, one HTTP door, a clean end on SIGTERM, rare log lines on stderr.

Standard error is for notable events only; a line per request would cost more than many requests do.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

log = logging.getLogger("chaoskit.bank")

Settings = Mapping[str, object]

DEADLINE_HEADER = "Deadline-Ms"
"""How long the caller will still wait. Relative, since the clocks of two hosts need not agree."""

SESSION_HEADER = "Session"
"""Between the gateway and the core: the session of the customer for whom the gateway asks."""

# A client may keep its connection longer than any run lasts: a door that closes idle connections makes answers unknown for no
# reason.
KEEPALIVE_S = 600.0
# Open answers are given this long at the end. Shorter than any supervisor's patience.
SHUTDOWN_S = 2.0


def main(build: Callable[[Settings], Awaitable[web.Application]]) -> None:
    """Run the service that *build* makes from the settings file named on the command line, until SIGTERM or SIGINT."""
    settings: Settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
    asyncio.run(_run(build, settings))


@asynccontextmanager
async def serving(app: web.Application, *, host: str, port: int) -> AsyncIterator[int]:
    """*app* answers on *host* and *port* while inside; yields the port, which port 0 leaves to the system."""
    app.middlewares.append(_errors_as_json)
    runner = web.AppRunner(app, access_log=None, keepalive_timeout=KEEPALIVE_S, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        # The backlog holds a whole second of a load of thousands per second while the process is frozen.
        site = web.TCPSite(runner, host, port, backlog=4096)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def health(_: web.Request) -> web.Response:
    """Alive, without asking anybody else."""
    return web.json_response({"state": "up"})


def answer(status: int, body: Mapping[str, object], *, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response(dict(body), status=status, headers=headers)


def refusal(status: int, error: str, *, detail: str = "") -> web.Response:
    """An answer that promises: the request was not carried out and will not be."""
    body: dict[str, object] = {"error": error, "effect": "none"}
    if detail:
        body["detail"] = detail
    # One second is long for a queue that empties in a third of one, and short for a customer.
    return answer(status, body, headers={"Retry-After": "1"} if status == 503 else None)


def unknown(status: int, error: str) -> web.Response:
    """An answer that promises nothing: the request may have been carried out, or may yet be."""
    return answer(status, {"error": error, "effect": "unknown"})


async def body_of(request: web.Request) -> Mapping[str, object]:
    """The JSON object in the body. Raises HTTPBadRequest, before anything was done."""
    try:
        body = await request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise bad_request("the body must be a JSON object")
    return body


def bad_request(detail: str) -> web.HTTPBadRequest:
    text = json.dumps({"error": "bad-request", "effect": "none", "detail": detail})
    return web.HTTPBadRequest(text=text, content_type="application/json")


def now_s() -> float:
    return time.monotonic()


async def _run(build: Callable[[Settings], Awaitable[web.Application]], settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    building = asyncio.ensure_future(build(settings))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({building, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not building.done():
        building.cancel()
        return
    host, port = str(settings["host"]), int(str(settings["port"]))
    async with serving(building.result(), host=host, port=port):
        log.info("listening host=%s port=%d", host, port)
        await stopping
    log.info("stopped")


@web.middleware
async def _errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException:
        raise
    except Exception:
        log.exception("unexpected error method=%s path=%s", request.method, request.path)
        return unknown(500, "internal")
