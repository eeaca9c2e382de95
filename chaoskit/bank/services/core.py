"""The core: a double-entry ledger on PostgreSQL behind HTTP, with a fixed number of slots.

Only the gateway calls it, and it trusts the gateway about who the customer is. Its capacity is fixed by two settings, not by the
machine: see `BankOptions`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar, cast

from aiohttp import web

from chaoskit.bank import schema
from chaoskit.bank.customers import CLEARING, VAULT
from chaoskit.bank.services.bookkeeper import Bookkeeper, Moved, Movement
from chaoskit.bank.services.books import open_books
from chaoskit.bank.services.doorkeeper import Doorkeeper
from chaoskit.bank.services.parts import part
from chaoskit.bank.services.relay import Relay
from chaoskit.bank.services.serving import (
    DEADLINE_HEADER,
    SESSION_HEADER,
    Settings,
    answer,
    bad_request,
    body_of,
    health,
    main,
    now_s,
    refusal,
    unknown,
)
from chaoskit.bank.services.sessions import Database, NotCarriedOut, Sessions, Unanswered

# A caller that does not say how long it waits: as long as the gateway would.
DEFAULT_DEADLINE_MS = 1300
# At the first start of all the cluster may still be choosing its primary; after this the core answers, with refusals, and keeps
# trying.
FIRST_PRIMARY_WITHIN_S = 25.0
# Sessions of the database that only look whether a customer's session has ended: a millisecond each, so two serve ten times what
# the slots can.
LOOKS = 2

T = TypeVar("T")


async def build(settings: Settings) -> web.Application:
    hosts = tuple((str(host), int(port)) for host, port in cast("list[tuple[str, int]]", settings["databases"]))
    database = Database(hosts=hosts, user=str(settings["user"]), name=str(settings["database"]))
    seed = int(str(settings["seed"]))
    defect = str(settings["defect"])
    hold_s = int(str(settings["service_time_ms"])) / 1000
    sessions = part(Sessions, defect=defect)(database, count=int(str(settings["slots"])), application=schema.CORE_SESSION)
    bookkeeper = part(Bookkeeper, defect=defect)(sessions, hold_s=hold_s)
    relaying_sessions = Sessions(database, count=1, application="bank-relay")
    relay = part(Relay, defect=defect)(relaying_sessions, rail_url=str(settings["rail_url"]))
    looks = Sessions(database, count=LOOKS, application="bank-doors")
    doorkeeper = part(Doorkeeper, defect=defect)(sessions, looks, seed=seed, hold_s=hold_s)
    core = Core(bookkeeper, doorkeeper)
    functions = (*bookkeeper.functions, *doorkeeper.functions)
    opened = Path(str(settings["directory"])) / "books-open"
    books = open_books(database, seed=seed, who=str(settings["customers"]), functions=functions, opened=opened)
    opening = asyncio.create_task(books)
    await asyncio.wait({opening}, timeout=FIRST_PRIMARY_WITHIN_S)

    async def background(_: web.Application) -> AsyncIterator[None]:
        sessions.start()
        looks.start()
        relaying = asyncio.create_task(relay.run())
        yield
        for task in (relaying, opening):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await asyncio.gather(sessions.close(), looks.close())

    app = web.Application()
    app.cleanup_ctx.append(background)
    app.add_routes(
        [
            web.get("/health", health),
            web.post("/logins", core.log_in),
            web.post("/logouts", core.log_out),
            web.get("/accounts/{account}", core.signed_in(core.read_account)),
            web.post("/movements", core.signed_in(core.move)),
            web.post("/reversals", core.signed_in(core.reverse)),
        ]
    )
    return app


class Core:
    """The handlers. Each costs one slot; what is left of the caller's time is theirs."""

    def __init__(self, bookkeeper: Bookkeeper, doorkeeper: Doorkeeper) -> None:
        self._bookkeeper = bookkeeper
        self._doorkeeper = doorkeeper

    def signed_in(
        self, handler: Callable[[web.Request, float], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Calls *handler*, with a deadline, for requests whose session has not ended; without a session the caller vouches."""

        async def checked(request: web.Request) -> web.Response:
            deadline_s = _deadline_s(request)
            session = request.headers.get(SESSION_HEADER)
            if session is not None:
                is_live = await _definite(self._doorkeeper.is_live(session, deadline_s=deadline_s))
                if isinstance(is_live, web.Response):
                    return is_live
                if not is_live:
                    return refusal(401, "log-in-first")
            return await handler(request, deadline_s)

        return checked

    async def log_in(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        customer, pin = str(body.get("customer", "")), str(body.get("pin", ""))
        return await _said(self._doorkeeper.log_in(customer, pin, deadline_s=_deadline_s(request)))

    async def log_out(self, request: web.Request) -> web.Response:
        session = str((await body_of(request)).get("session", ""))
        return await _said(self._doorkeeper.log_out(session, deadline_s=_deadline_s(request)))

    async def read_account(self, request: web.Request, deadline_s: float) -> web.Response:
        account = request.match_info["account"]
        row = await _definite(self._bookkeeper.balance(account, deadline_s=deadline_s))
        if isinstance(row, web.Response):
            return row
        if row is None:
            return refusal(404, "unknown-account")
        return answer(200, {"account": account, "balance": row[0], "version": row[1], "served_by": row[2]})

    async def move(self, request: web.Request, deadline_s: float) -> web.Response:
        key = _key(request)
        movement = _movement(await body_of(request))
        return await _moved(self._bookkeeper.move(key, movement, deadline_s=deadline_s))

    async def reverse(self, request: web.Request, deadline_s: float) -> web.Response:
        key, body = _key(request), await body_of(request)
        reverses = body.get("reverses")
        if not isinstance(reverses, str) or not reverses or reverses == key:
            raise bad_request("reverses must be the key of the withdrawal, and another one than that of the reversal")
        withdrawal = _movement({"kind": "withdrawal", "from": body.get("account"), "amount": body.get("amount")})
        return await _moved(self._bookkeeper.reverse(key, reverses, withdrawal, deadline_s=deadline_s))


def _key(request: web.Request) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if not 0 < len(key) <= 200:
        raise bad_request("the header Idempotency-Key must have 1 to 200 characters")
    return key


async def _said(saying: Awaitable[tuple[int, Mapping[str, object]]]) -> web.Response:
    said = await _definite(saying)
    return said if isinstance(said, web.Response) else answer(*said)


async def _moved(moving: Awaitable[Moved]) -> web.Response:
    moved = await _definite(moving)
    if isinstance(moved, web.Response):
        return moved
    # The header tells a replay, not the body: the same key gets the same answer, byte for byte.
    return answer(moved.code, moved.body, headers={"Idempotent-Replayed": "true"} if moved.replayed else None)


def _deadline_s(request: web.Request) -> float:
    limit = request.headers.get(DEADLINE_HEADER, "")
    return now_s() + (int(limit) if limit.isdecimal() else DEFAULT_DEADLINE_MS) / 1000


async def _definite(work: Awaitable[T]) -> T | web.Response:
    """What *work* gives, or the answer that says why there is nothing.

    A commit that was confirmed without the standby is an answer like any other, as a customer sees it, with PostgreSQL's warning.
    """
    try:
        return await work
    except NotCarriedOut as error:
        return refusal(503, "ledger-unavailable", detail=str(error))
    except Unanswered as error:
        return unknown(504, str(error))


def _movement(body: Mapping[str, object]) -> Movement:
    kind, payer, payee, amount = body.get("kind"), body.get("from"), body.get("to", ""), body.get("amount")
    # bool is an int in Python, and true is no amount of money.
    if isinstance(amount, bool) or not isinstance(amount, int) or not 0 < amount < 2**53:
        raise bad_request("amount must be a positive whole number of minor units")
    if kind not in ("transfer", "withdrawal", "interbank") or not isinstance(payer, str) or not isinstance(payee, str):
        raise bad_request("kind must be transfer, withdrawal or interbank; from and to must be accounts")
    if kind == "withdrawal":
        return Movement(kind=kind, payer=payer, payee=VAULT, amount=amount, creditor=None)
    if kind == "interbank":
        return Movement(kind=kind, payer=payer, payee=CLEARING, amount=amount, creditor=payee)
    if payer == payee or payee in (VAULT, CLEARING):
        raise bad_request("a transfer goes to another customer's account")
    return Movement(kind="transfer", payer=payer, payee=payee, amount=amount, creditor=None)


if __name__ == "__main__":
    main(build)
