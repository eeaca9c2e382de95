"""Sessions on any node, and looks that go to either. That they go to the wrong one is seen in whole experiments."""

import asyncio
import time
from contextlib import suppress

import pytest

from chaoskit.bank.broken.standbys import AnyNode, AnyPrimary
from chaoskit.bank.services.sessions import Database, NotCarriedOut, Unanswered


async def nodes_of(sessions):
    """Process ids of the server's end, asked for until there were two, for at most 10 s."""
    sessions.start()
    found = set()
    try:
        deadline_s = time.monotonic() + 10
        while len(found) < 2 and time.monotonic() < deadline_s:
            with suppress(NotCarriedOut, Unanswered):
                found.add((await sessions.run("SELECT pg_backend_pid()", (), deadline_s=time.monotonic() + 1))[0])
            await asyncio.sleep(0.05)
    finally:
        await sessions.close()
    return found


def test_sessions_on_any_primary_are_made_anew_now_and_then(postgres):
    database = Database(hosts=((postgres.host, postgres.port),), user=postgres.user, name="postgres")
    assert len(asyncio.run(nodes_of(AnyPrimary(database, count=1, application="test")))) == 2


def test_sessions_on_any_node_take_the_primary_when_there_is_no_standby(postgres):
    async def scenario():
        database = Database(hosts=((postgres.host, postgres.port),), user=postgres.user, name="postgres")
        sessions = AnyNode(database, count=1, application="test")
        sessions.start()
        try:
            deadline_s = time.monotonic() + 10
            while time.monotonic() < deadline_s:
                with suppress(NotCarriedOut, Unanswered):
                    return await sessions.run("SELECT pg_is_in_recovery()", (), deadline_s=time.monotonic() + 1)
                await asyncio.sleep(0.02)
        finally:
            await sessions.close()

    assert asyncio.run(scenario()) == [(False,)]


@pytest.mark.parametrize("defect", ["standby-reads", "mixed-reads"])
def test_looks_of_the_wrong_node_are_looks(bank, defect):
    async def scenario():
        async with bank(defect=defect) as it:
            payer, payee = it.rich()
            deadline_s = time.monotonic() + 10
            seen = []
            while len(seen) < 8 and time.monotonic() < deadline_s:
                status, said = await it.call("GET", f"/accounts/{payer}", to="core")
                if status == 200:
                    seen.append(said["version"])
                await asyncio.sleep(0.02)
            assert seen == [0] * 8
            assert (await it.pay("done", payer, payee, 5))[0] == 200

    asyncio.run(scenario())
