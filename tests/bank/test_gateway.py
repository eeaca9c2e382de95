"""The mobile API in front of a real core: whose money it is, and what an answer promises."""

import asyncio
import json

import aiohttp
import pytest
from aiohttp import web

from chaoskit.bank.services import gateway, serving


def keyed(headers, key):
    return {**headers, "Idempotency-Key": key}


def test_a_customer_logs_in_looks_and_pays(bank):
    async def scenario():
        async with bank() as it:
            me, other = it.people[0], it.people[1]
            mine, theirs = me.accounts[0], other.accounts[0]
            signed = await it.token(me)
            status, said = await it.call("GET", f"/accounts/{mine}", headers=signed)
            assert (status, said["balance"], said["version"], said["served_by"]) == (200, me.balances[mine], 0, "solo")
            transfer = {"from": mine, "to": theirs, "amount": 1}
            assert (await it.call("POST", "/transfers", body=transfer, headers=keyed(signed, "t")))[0] == 200
            assert (await it.call("POST", "/withdrawals", body={"account": mine, "amount": 2}, headers=keyed(signed, "w")))[
                0
            ] == 200
            interbank = {"from": mine, "to": "other-1", "amount": 3, "bank": "other"}
            assert (await it.call("POST", "/transfers", body=interbank, headers=keyed(signed, "i")))[0] == 200
            legs = {(posting.key, posting.account): posting.amount for posting in (await it.read()).postings}
            assert legs == {
                ("t", mine): -1,
                ("t", theirs): 1,
                ("w", mine): -2,
                ("w", "vault"): 2,
                ("i", mine): -3,
                ("i", "clearing"): 3,
            }

    asyncio.run(scenario())


def test_a_wrong_pin_and_an_unknown_customer_get_no_token(bank):
    async def scenario():
        async with bank() as it:
            for customer, pin in ((it.people[0].name, "wrong"), ("nobody", it.people[0].pin)):
                status, said = await it.call("POST", "/login", body={"customer": customer, "pin": pin})
                assert (status, said) == (401, {"error": "wrong-customer-or-pin", "effect": "none"})

    asyncio.run(scenario())


def test_only_the_owner_may_look_or_pay(bank):
    async def scenario():
        async with bank() as it:
            me, other = it.people[0], it.people[1]
            mine, theirs = me.accounts[0], other.accounts[0]
            signed = await it.token(me)
            forged = {"Authorization": signed["Authorization"][:-1] + ("0" if signed["Authorization"][-1] != "0" else "1")}
            steal = {"from": theirs, "to": mine, "amount": 1}
            for headers, expected in ((signed, 403), (forged, 401), ({}, 401), ({"Authorization": "Bearer é"}, 401)):
                assert (await it.call("POST", "/transfers", body=steal, headers=keyed(headers, "k")))[0] == expected
                assert (await it.call("POST", "/withdrawals", body={"account": theirs, "amount": 1}, headers=keyed(headers, "k")))[
                    0
                ] == expected
                assert (await it.call("GET", f"/accounts/{theirs}", headers=headers))[0] == expected
            assert (await it.read()).postings == ()

    asyncio.run(scenario())


def test_overload_sheds_look_ups_first_and_what_was_shed_has_no_effect(bank):
    async def scenario():
        # One slot of 30 ms: the waiting rooms (40 payments, 16 look-ups) overflow within the burst.
        async with bank(slots=1, service_time_ms=30) as it:
            me, other = it.people[0], it.people[1]
            signed = await it.token(me)

            async def pay(number):
                body = {"from": me.accounts[0], "to": other.accounts[0], "amount": 1}
                return await it.call("POST", "/transfers", body=body, headers=keyed(signed, f"p{number}"))

            async def look(_):
                return await it.call("GET", f"/accounts/{me.accounts[0]}", headers=signed)

            looks = [asyncio.create_task(look(number)) for number in range(40)]
            pays = [asyncio.create_task(pay(number)) for number in range(30)]
            look_answers, pay_answers = await asyncio.gather(*looks), await asyncio.gather(*pays)
            shed = [said for status, said in look_answers if status != 200]
            assert len(shed) >= 20
            assert all(said["effect"] == "none" for said in shed)
            # All payments fit into their own waiting room: 30 of 30 ms are done inside the deadline of 1.5 s.
            assert [status for status, _ in pay_answers] == [200] * 30

            more = await asyncio.gather(*(pay(100 + number) for number in range(80)))
            refused = [
                f"p{100 + n}"
                for n, (status, said) in enumerate(more)
                if (status, said["effect"] if status != 200 else "") == (503, "none")
            ]
            assert refused
            paid = {posting.key for posting in (await it.read()).postings}
            assert not paid & set(refused)
            assert {f"p{100 + n}" for n, (status, _) in enumerate(more) if status == 200} <= paid

    asyncio.run(scenario())


async def through_a_gateway(core_url, *, path="/login", seed=7):
    """What a gateway in front of *core_url* answers to a login."""
    app = await gateway.build({"seed": seed, "core_url": core_url, "slots": 2, "defect": "none"})
    async with (
        serving.serving(app, host="127.0.0.1", port=0) as port,
        aiohttp.ClientSession() as http,
        http.post(f"http://127.0.0.1:{port}{path}", json={"customer": "c001", "pin": "1"}) as response,
    ):
        # Whoever is told that nothing happened is told when to come back.
        assert ("Retry-After" in response.headers) == (response.status == 503)
        return response.status, await response.json()


def test_a_core_that_is_not_there_is_a_refusal_without_effect():
    # Port 1 is reserved and nobody listens there.
    assert asyncio.run(through_a_gateway("http://127.0.0.1:1")) == (503, {"error": "core-unreachable", "effect": "none"})


@pytest.mark.parametrize(
    "sent, status",
    [
        (b"", 502),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", 502),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{", 502),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", 502),
        (None, 504),
    ],
)
def test_a_core_that_took_the_request_and_did_not_answer_well_leaves_the_effect_unknown(sent, status):
    async def scenario():
        done = asyncio.Event()

        async def core(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            if sent is None:
                await done.wait()
            else:
                writer.write(sent)
            writer.close()

        server = await asyncio.start_server(core, "127.0.0.1", 0)
        async with server:
            found, said = await through_a_gateway(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            done.set()
        assert (found, said["effect"]) == (status, "unknown")

    asyncio.run(scenario())


def test_the_core_is_told_how_long_the_customer_still_waits():
    async def scenario():
        told = []

        async def log_in(request):
            told.append(int(request.headers["Deadline-Ms"]))
            return web.json_response({"customer": "c001", "session": "s1", "accounts": ["c001-1"]})

        app = web.Application()
        app.router.add_post("/logins", log_in)
        async with serving.serving(app, host="127.0.0.1", port=0) as port:
            status, said = await through_a_gateway(f"http://127.0.0.1:{port}")
        assert status == 200
        assert json.dumps(said["token"])
        assert 0 < told[0] <= 1300

    asyncio.run(scenario())
