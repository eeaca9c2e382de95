"""The switch between banks: called at least once, books once."""

import asyncio


async def journal(it):
    _, said = await it.call("GET", "/journal", to="rail")
    return {credit["key"]: credit for credit in said["credits"]}


def test_the_same_credit_delivered_twice_is_booked_once(bank):
    async def scenario():
        async with bank() as it:
            credit = {"key": "k", "creditor": "other-1", "amount": 5}
            answers = await asyncio.gather(*(it.call("POST", "/credits", to="rail", body=credit) for _ in range(3)))
            assert answers == [(200, {"key": "k", "state": "credited"})] * 3
            assert await journal(it) == {"k": {**credit, "deliveries": 3}}
            status, said = await it.call("POST", "/credits", to="rail", body={**credit, "amount": 6})
            assert (status, said["effect"]) == (422, "none")
            assert (await journal(it))["k"]["amount"] == 5

    asyncio.run(scenario())


def test_a_payment_to_another_bank_reaches_the_rail_with_its_key(bank):
    async def scenario():
        async with bank() as it:
            payer, _ = it.rich()
            order = {"kind": "interbank", "from": payer, "to": "other-9", "amount": 7}
            assert (await it.call("POST", "/movements", to="core", body=order, headers={"Idempotency-Key": "k"}))[0] == 200
            for _ in range(500):
                if "k" in (booked := await journal(it)):
                    break
                await asyncio.sleep(0.02)
            assert booked["k"]["creditor"] == "other-9"
            assert booked["k"]["amount"] == 7

    asyncio.run(scenario())
