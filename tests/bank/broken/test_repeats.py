"""The gateway that repeats a payment, before a core that is slow to answer."""

import asyncio

import pytest
from aiohttp import web

from chaoskit.bank.broken.repeats import REPEATED
from chaoskit.bank.services.core_door import CoreDoor
from chaoskit.bank.services.parts import part
from chaoskit.bank.services.serving import serving


@pytest.mark.parametrize("defect", ["none", "gateway-retries"])
def test_a_payment_without_an_answer_goes_out_again_under_another_key(defect):
    async def scenario():
        keys, never = [], asyncio.Event()

        async def move(request):
            keys.append(request.headers.get("Idempotency-Key", ""))
            if not keys[-1].endswith(REPEATED):
                await asyncio.wait_for(never.wait(), 5)
            return web.json_response({"done": True})

        app = web.Application()
        app.router.add_post("/movements", move)
        async with serving(app, host="127.0.0.1", port=0) as port:
            door = part(CoreDoor, defect=defect)(f"http://127.0.0.1:{port}")
            opened = door.connected(app)
            await anext(opened)
            status, _ = await door.call("POST", "/movements", body={}, headers={"Idempotency-Key": "k"}, limit_s=0.4)
            looked = await door.call("POST", "/movements", body={}, headers={}, limit_s=0.2)
            never.set()
            with pytest.raises(StopAsyncIteration):
                await anext(opened)
        assert status == {"none": 504, "gateway-retries": 200}[defect]
        # What has no key is no payment, and is not repeated.
        assert keys == {"none": ["k", ""], "gateway-retries": ["k", f"k{REPEATED}", ""]}[defect]
        assert looked[0] == 504

    asyncio.run(scenario())


@pytest.mark.parametrize("defect", ["none", "gateway-retries"])
def test_the_core_files_a_repetition_under_the_key_of_the_customer(bank, defect):
    async def scenario():
        async with bank(defect=defect) as it:
            payer, payee = it.rich()
            for key in ("k", f"k{REPEATED}", "k", f"k{REPEATED}"):
                assert (await it.pay(key, payer, payee, 5))[0] == 200
            keys = [posting.key for posting in (await it.read()).postings if posting.account == payer]
            assert keys == {"none": ["k", f"k{REPEATED}"], "gateway-retries": ["k", "k"]}[defect]
            assert await it.settle("k") == {"k": "applied"}

    asyncio.run(scenario())
