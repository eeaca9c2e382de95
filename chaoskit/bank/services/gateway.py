"""The mobile API: who you are, what is yours, and a fixed number of requests at a time to the core.

Every answer says what is known: `"effect": "none"` promises that nothing happened and nothing will. Without that promise an error
is unknown, and the customer must ask again with the same key.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from aiohttp import web

from chaoskit.bank.services.admission import Admission, Refused
from chaoskit.bank.services.core_door import MARGIN_S, CoreDoor, Said
from chaoskit.bank.services.parts import part
from chaoskit.bank.services.serving import SESSION_HEADER, Settings, answer, bad_request, body_of, health, main
from chaoskit.bank.tokens import Claims, sign, verify

# From the first byte of the request to the last of the answer; below the two seconds that a customer's phone waits.
DEADLINE_S = 1.5
# In flight at the core beyond its slots, so that a slot never waits for the wire.
ON_THE_WIRE = 2
# Waiting payments and look-ups. At 133 operations a second a full queue of payments empties in 0.3 s, well inside the deadline;
# look-ups are refused early, since a customer who sees no balance for a moment loses nothing.
WAITING = {"write": 40, "read": 16}
TOKEN_S = 3600


async def build(settings: Settings) -> web.Application:
    app = web.Application()
    gateway = Gateway(settings)
    app.cleanup_ctx.append(gateway.core.connected)
    app.add_routes(
        [
            web.get("/health", health),
            web.post("/login", gateway.log_in),
            web.post("/logout", gateway.log_out),
            web.get("/accounts/{account}", gateway.read_account),
            web.post("/transfers", gateway.transfer),
            web.post("/withdrawals", gateway.withdraw),
            web.post("/reversals", gateway.reverse),
        ]
    )
    return app


class Gateway:
    """The handlers."""

    def __init__(self, settings: Settings) -> None:
        defect = str(settings["defect"])
        self._seed = int(str(settings["seed"]))
        self.core = part(CoreDoor, defect=defect)(str(settings["core_url"]))
        self._admission = part(Admission, defect=defect)(slots=int(str(settings["slots"])) + ON_THE_WIRE, waiting=WAITING)

    async def log_in(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        credentials = {"customer": str(body.get("customer", "")), "pin": str(body.get("pin", ""))}
        status, said = await self._forward("read", "POST", "/logins", body=credentials)
        if status != 200:
            return answer(status, said, headers=_retry_after(status))
        accounts = said.get("accounts")
        assert isinstance(accounts, list)
        claims = Claims(
            customer=credentials["customer"],
            session=str(said["session"]),
            accounts=tuple(accounts),
            until_s=int(time.time()) + TOKEN_S,
        )
        return answer(200, {**said, "token": sign(claims, seed=self._seed)})

    async def log_out(self, request: web.Request) -> web.Response:
        session = self._claims(request).session
        status, said = await self._forward("read", "POST", "/logouts", body={"session": session})
        return answer(status, said, headers=_retry_after(status))

    async def read_account(self, request: web.Request) -> web.Response:
        account = request.match_info["account"]
        headers = self._authorise(request, account)
        status, said = await self._forward("read", "GET", f"/accounts/{account}", headers=headers)
        return answer(status, said, headers=_retry_after(status))

    async def transfer(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        bank = body.get("bank", "own")
        if bank not in ("own", "other"):
            raise bad_request(f"bank is {bank!r}; it must be own or other")
        kind = "transfer" if bank == "own" else "interbank"
        return await self._move(request, kind, payer=body.get("from"), payee=body.get("to"), amount=body.get("amount"))

    async def withdraw(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        return await self._move(request, "withdrawal", payer=body.get("account"), payee="", amount=body.get("amount"))

    async def _move(self, request: web.Request, kind: str, *, payer: object, payee: object, amount: object) -> web.Response:
        headers = self._authorise(request, payer) | {"Idempotency-Key": request.headers.get("Idempotency-Key", "")}
        order = {"kind": kind, "from": payer, "to": payee, "amount": amount}
        status, said = await self._forward("write", "POST", "/movements", body=order, headers=headers)
        return answer(status, said, headers=_retry_after(status))

    async def reverse(self, request: web.Request) -> web.Response:
        body = await body_of(request)
        headers = self._authorise(request, body.get("account")) | {"Idempotency-Key": request.headers.get("Idempotency-Key", "")}
        order = {name: body.get(name) for name in ("reverses", "account", "amount")}
        status, said = await self._forward("write", "POST", "/reversals", body=order, headers=headers)
        return answer(status, said, headers=_retry_after(status))

    def _authorise(self, request: web.Request, account: object) -> dict[str, str]:
        """The headers by which the core knows who asks. Raises 403 for somebody else's account, before anything was done."""
        claims = self._claims(request)
        if account not in claims.accounts:
            raise web.HTTPForbidden(text='{"error": "not-your-account", "effect": "none"}', content_type="application/json")
        return {SESSION_HEADER: claims.session}

    def _claims(self, request: web.Request) -> Claims:
        """What the request's token says. Raises 401 without one that is ours and valid, before anything was done."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        claims = verify(token, seed=self._seed, now_s=time.time()) if scheme == "Bearer" else None
        if claims is None:
            raise web.HTTPUnauthorized(text='{"error": "log-in-first", "effect": "none"}', content_type="application/json")
        return claims

    async def _forward(
        self,
        kind: str,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Said:
        """The core's status and answer, or ours that says why there is none. Never raises for what the core does."""
        try:
            async with self._admission.slot(kind, wait_s=DEADLINE_S - MARGIN_S) as left_s:
                return await self.core.call(method, path, body=body, headers=headers or {}, limit_s=left_s + MARGIN_S)
        except Refused as reason:
            return 503, {"error": str(reason), "effect": "none"}


def _retry_after(status: int) -> Mapping[str, str] | None:
    return {"Retry-After": "1"} if status == 503 else None


if __name__ == "__main__":
    main(build)
