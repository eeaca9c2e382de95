"""The core: a double-entry ledger on PostgreSQL behind HTTP, with a fixed number of slots.

Only the gateway calls it, and it trusts the gateway about who the customer is. Its capacity is fixed by two settings, not by the
machine: see `BankOptions`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hmac import compare_digest
from pathlib import Path
from typing import cast

from aiohttp import web

from chaoskit.bank import schema
from chaoskit.bank.customers import CLEARING, VAULT
from chaoskit.bank.services.books import open_books
from chaoskit.bank.services.relay import Relay
from chaoskit.bank.services.serving import (
    DEADLINE_HEADER,
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
from chaoskit.bank.services.sessions import Database, NotCarriedOut, Row, Sessions, Unanswered
from chaoskit.bank.tokens import pin_hash

# A caller that does not say how long it waits: as long as the gateway would.
DEFAULT_DEADLINE_MS = 1300
# At the first start of all the cluster may still be choosing its primary; after this the core answers, with refusals, and keeps
# trying.
FIRST_PRIMARY_WITHIN_S = 25.0


async def build(settings: Settings) -> web.Application:
    hosts = tuple((str(host), int(port)) for host, port in cast("list[tuple[str, int]]", settings["databases"]))
    database = Database(hosts=hosts, user=str(settings["user"]), name=str(settings["database"]))
    seed = int(str(settings["seed"]))
    opened = Path(str(settings["directory"])) / "books-open"
    opening = asyncio.create_task(open_books(database, seed=seed, opened=opened))
    await asyncio.wait({opening}, timeout=FIRST_PRIMARY_WITHIN_S)
    sessions = Sessions(database, count=int(str(settings["slots"])), application=schema.CORE_SESSION)
    core = Core(
        sessions,
        seed=seed,
        hold_s=int(str(settings["service_time_ms"])) / 1000,
        looks_keys_up=bool(settings["looks_keys_up"]),
    )
    relay = Relay(Sessions(database, count=1, application="bank-relay"), rail_url=str(settings["rail_url"]))

    async def background(_: web.Application) -> AsyncIterator[None]:
        sessions.start()
        relaying = asyncio.create_task(relay.run())
        yield
        for task in (relaying, opening):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await sessions.close()

    app = web.Application()
    app.cleanup_ctx.append(background)
    app.add_routes(
        [
            web.get("/health", health),
            web.post("/logins", core.log_in),
            web.get("/accounts/{account}", core.read_account),
            web.post("/movements", core.move),
        ]
    )
    return app


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """A payment as it was asked for. `creditor` is an account at another bank, None for one of ours."""

    kind: str
    payer: str
    payee: str
    amount: int
    creditor: str | None

    def fingerprint(self) -> str:
        """Equal for equal requests: a key that comes back with another one is refused."""
        text = json.dumps([self.kind, self.payer, self.payee, self.amount, self.creditor])
        return hashlib.sha256(text.encode()).hexdigest()


class Core:
    """The handlers. Each costs one slot for at least *hold_s*."""

    def __init__(self, sessions: Sessions, *, seed: int, hold_s: float, looks_keys_up: bool) -> None:
        self._sessions = sessions
        self._seed = seed
        self._hold_s = hold_s
        self._looks_keys_up = looks_keys_up

    async def log_in(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        customer, pin = str(body.get("customer", "")), str(body.get("pin", ""))
        row = await self._run(request, schema.READ_CUSTOMER, (customer,))
        if isinstance(row, web.Response):
            return row
        if row is None or not compare_digest(str(row[0]), pin_hash(customer, pin, seed=self._seed)):
            return refusal(401, "wrong-customer-or-pin")
        return answer(200, {"customer": customer, "accounts": row[1], "served_by": row[2]})

    async def read_account(self, request: web.Request) -> web.Response:
        account = request.match_info["account"]
        row = await self._run(request, schema.READ_BALANCE, (account,))
        if isinstance(row, web.Response):
            return row
        if row is None:
            return refusal(404, "unknown-account")
        return answer(200, {"account": account, "balance": row[0], "version": row[1], "served_by": row[2]})

    async def move(self, request: web.Request) -> web.Response:
        key = request.headers.get("Idempotency-Key", "")
        if not 0 < len(key) <= 200:
            raise bad_request("the header Idempotency-Key must have 1 to 200 characters")
        movement = _movement(await body_of(request))
        values = (
            key,
            movement.fingerprint(),
            movement.kind,
            movement.payer,
            movement.payee,
            movement.amount,
            movement.creditor,
            self._looks_keys_up,
        )
        row = await self._run(request, schema.CALL_MOVE_MONEY, values)
        if isinstance(row, web.Response):
            return row
        assert row is not None, "the function always answers one row"
        code, body, replayed = int(str(row[0])), cast("Mapping[str, object]", row[1]), bool(row[2])
        # The header tells a replay, not the body: the same key gets the same answer, byte for byte.
        return answer(code, body, headers={"Idempotent-Replayed": "true"} if replayed else None)

    async def _run(self, request: web.Request, statement: str, values: tuple[object, ...]) -> Row | web.Response | None:
        """The first row of *statement*, or the answer that says why there is none."""
        limit = request.headers.get(DEADLINE_HEADER, "")
        deadline_s = now_s() + (int(limit) if limit.isdecimal() else DEFAULT_DEADLINE_MS) / 1000
        try:
            # A commit that was confirmed without the standby is an answer like any other, as a customer sees it; the log has the
            # warning.
            rows = await self._sessions.run(statement, values, deadline_s=deadline_s, hold_s=self._hold_s)
        except NotCarriedOut as error:
            return refusal(503, "ledger-unavailable", detail=str(error))
        except Unanswered as error:
            return unknown(504, str(error))
        return rows[0] if rows else None


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
