"""Sessions and PINs at a real gateway, core and PostgreSQL: what has ended is over, and who guesses is locked out."""

import asyncio

import pytest

from chaoskit.bank import customers

SEED = 7


async def log_in(it, customer, pin=None):
    return await it.call("POST", "/login", body={"customer": customer.name, "pin": pin or customer.pin})


def signed(said):
    return {"Authorization": f"Bearer {said['token']}"}


@pytest.mark.parametrize("defect", ["none", "revoked-session"])
def test_an_ended_session_opens_nothing_and_others_of_the_same_customer_go_on(bank, defect):
    """The defect shows only when a standby takes over: before, this bank is like the sound one."""

    async def scenario():
        async with bank(defect=defect) as it:
            me, payee = it.people[0], it.people[1].accounts[0]
            mine = me.accounts[0]
            (_, first), (_, second) = [await log_in(it, me) for _ in range(2)]
            assert first["session"] != second["session"]
            assert await it.call("POST", "/logout", headers=signed(first)) == (
                200,
                {"session": first["session"], "ended": True, "served_by": "solo"},
            )
            out = (401, {"error": "log-in-first", "effect": "none"})
            keyed = {**signed(first), "Idempotency-Key": "k"}
            assert await it.call("GET", f"/accounts/{mine}", headers=signed(first)) == out
            assert await it.call("POST", "/transfers", body={"from": mine, "to": payee, "amount": 1}, headers=keyed) == out
            assert await it.call("POST", "/withdrawals", body={"account": mine, "amount": 1}, headers=keyed) == out
            order = {"account": mine, "amount": 1, "reverses": "k0"}
            assert await it.call("POST", "/reversals", body=order, headers=keyed) == out
            assert (await it.call("GET", f"/accounts/{mine}", headers=signed(second)))[0] == 200
            assert (await it.read()).postings == ()
            again = await it.call("POST", "/logout", headers=signed(first))
            assert (again[0], again[1]["ended"]) == (200, True)

    asyncio.run(scenario())


def test_nobody_is_logged_out_without_a_token_and_a_session_that_is_gone_is_unknown(bank):
    async def scenario():
        async with bank() as it:
            assert (await it.call("POST", "/logout"))[0] == 401
            _, said = await log_in(it, it.people[0])
            with it.connect() as stranger:
                stranger.execute("DELETE FROM customer_sessions")
            assert await it.call("POST", "/logout", headers=signed(said)) == (404, {"error": "unknown-session", "effect": "none"})
            account = it.people[0].accounts[0]
            assert (await it.call("GET", f"/accounts/{account}", headers=signed(said)))[0] == 401

    asyncio.run(scenario())


def test_three_wrong_pins_lock_a_customer_out_and_a_right_one_before_sets_the_count_back(bank):
    async def scenario():
        async with bank() as it:
            guessed, other = customers.guessed(SEED)[:2]
            for pin, status in (("x", 401), ("x", 401), (None, 200), ("x", 401), ("x", 401), ("x", 401), (None, 423), ("x", 423)):
                found, said = await log_in(it, guessed, pin)
                assert found == status, pin
                assert found == 200 or said["effect"] == "none"
            assert (await log_in(it, other))[0] == 200, "each for themselves"

    asyncio.run(scenario())


def test_wrong_pins_that_come_at_once_are_all_counted(bank):
    async def scenario():
        async with bank() as it:
            guessed = customers.guessed(SEED)[0]
            answers = await asyncio.gather(*(log_in(it, guessed, "x") for _ in range(6)))
            assert sorted(status for status, _ in answers) == [401, 401, 401, 423, 423, 423]

    asyncio.run(scenario())


def test_where_nobody_can_tell_whether_a_session_has_ended_nothing_is_done(bank):
    async def scenario():
        async with bank() as it:
            _, said = await log_in(it, it.people[0])
            account = it.people[0].accounts[0]
            with it.connect() as stranger:
                stranger.execute("LOCK TABLE customer_sessions IN ACCESS EXCLUSIVE MODE")
                status, refused = await it.call(
                    "POST",
                    "/withdrawals",
                    body={"account": account, "amount": 1},
                    headers={**signed(said), "Idempotency-Key": "k"},
                )
            assert (status, refused["effect"]) == (503, "none")
            assert await it.settle("k") == {"k": "tombstone"}

    asyncio.run(scenario())


def test_a_reversal_takes_back_what_was_booked_and_bars_what_was_not(bank):
    async def scenario():
        async with bank() as it:
            me = next(one for one in it.people if one.balances[one.accounts[0]] > 100_000)
            mine = me.accounts[0]
            headers = signed((await log_in(it, me))[1])

            async def ask(path, key, **more):
                body = {"account": mine, "amount": 500, **more}
                return await it.call("POST", path, body=body, headers={**headers, "Idempotency-Key": key})

            assert (await ask("/withdrawals", "k1"))[0] == 200
            status, said = await ask("/reversals", "k1-reversal", reverses="k1")
            assert (status, said["account"], said["version"]) == (200, "vault", 2)
            assert await ask("/reversals", "k1-reversal", reverses="k1") == (200, said), "once, and answered alike"

            nothing = (422, {"error": "nothing-to-reverse", "effect": "none"})
            assert await ask("/reversals", "k2-reversal", reverses="k2") == nothing
            assert await ask("/withdrawals", "k2") == (409, {"error": "key-closed", "effect": "none"})
            assert (await ask("/withdrawals", "k3"))[0] == 200
            assert await ask("/reversals", "k3-reversal", reverses="k3", amount=501) == nothing, "another withdrawal"
            assert (await ask("/reversals", "k4", reverses="k4"))[0] == 400
            assert (await ask("/reversals", "k4"))[0] == 400
            posted = [(posting.key, posting.amount) for posting in (await it.read()).postings if posting.account == mine]
            assert posted == [("k1", -500), ("k1-reversal", 500), ("k3", -500)]
            assert await it.settle("k1", "k2") == {"k1": "applied", "k2": "tombstone"}

    asyncio.run(scenario())
