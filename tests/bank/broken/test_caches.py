"""The cache that is filled before the payment is done."""

import asyncio

import pytest


@pytest.mark.parametrize("defect", ["none", "dirty-read"])
def test_a_refused_payment_is_seen_by_who_looks_next(bank, defect):
    async def scenario():
        async with bank(defect=defect) as it:
            payer, payee = it.rich()

            async def look():
                _, said = await it.call("GET", f"/accounts/{payer}", to="core")
                return said["balance"], said["version"]

            balance, version = await look()
            assert (await it.pay("refused", payer, payee, balance + 1))[0] == 422
            assert await look() == {"none": (balance, version), "dirty-read": (-1, version + 1)}[defect]
            assert (await it.pay("done", payer, payee, 5))[0] == 200
            assert await look() == (balance - 5, version + 1)

    asyncio.run(scenario())
