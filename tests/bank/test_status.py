"""The public page tells what a customer outside sees."""

import asyncio

from aiohttp import web

from chaoskit.bank.services import serving, status


async def looks(page, *seen):
    for answers, reads in seen:
        page._note(answers=answers, reads=reads)
    return page._said()


def test_the_page_changes_when_two_looks_agree_and_keeps_a_history():
    async def scenario():
        page = status.Page("http://127.0.0.1:1", seed=7)
        assert (await looks(page, (True, True)))["state"] == "operational"
        assert (await looks(page, (True, False), (True, True)))["state"] == "operational"
        said = await looks(page, (True, False), (True, False))
        assert said["state"] == "partial-outage"
        assert said["components"] == {"gateway": "operational", "accounts": "outage"}
        assert (await looks(page, (False, False), (False, False)))["state"] == "major-outage"
        said = await looks(page, (True, True), (True, True))
        assert [line["state"] for line in said["history"]] == ["operational", "partial-outage", "major-outage", "operational"]
        assert said["since"] == said["history"][-1]["at"]

    asyncio.run(scenario())


def test_a_bank_that_answers_its_health_but_no_balance_is_not_operational():
    async def scenario():
        async def no(_):
            return web.json_response({}, status=503)

        app = web.Application()
        app.add_routes([web.get("/health", serving.health), web.post("/login", no)])
        async with serving.serving(app, host="127.0.0.1", port=0) as port:
            said = await first_state(f"http://127.0.0.1:{port}")
        assert said["state"] == "partial-outage"

    asyncio.run(scenario())


def test_the_page_of_a_bank_that_is_gone_still_answers():
    said = asyncio.run(first_state("http://127.0.0.1:1"))
    assert said["state"] == "major-outage"
    assert said["components"] == {"gateway": "outage", "accounts": "outage"}


def test_the_page_reads_a_real_balance(bank):
    async def scenario():
        async with bank() as it:
            assert (await first_state(it.urls["gateway"]))["state"] == "operational"

    asyncio.run(scenario())


async def first_state(gateway_url):
    import aiohttp

    app = await status.build({"gateway_url": gateway_url, "seed": 7})
    async with serving.serving(app, host="127.0.0.1", port=0) as port, aiohttp.ClientSession() as http:
        for _ in range(500):
            async with http.get(f"http://127.0.0.1:{port}/status") as response:
                said = await response.json()
            if said["state"] != "unknown":
                async with http.get(f"http://127.0.0.1:{port}/") as response:
                    assert said["state"] in await response.text()
                return said
            await asyncio.sleep(0.02)
    raise AssertionError("the page saw nothing in 10 s")
