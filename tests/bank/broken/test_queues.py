"""The admission that lets everybody in."""

import asyncio

import pytest

from chaoskit.bank.broken.queues import EndlessQueue
from chaoskit.bank.services.admission import Admission, Refused


async def settled():
    for _ in range(5):
        await asyncio.sleep(0)


async def visitor(admission, kind, served, name):
    async with admission.slot(kind, wait_s=0.001) as left_s:
        served.append((name, left_s))
        await settled()


def test_everybody_waits_in_one_line_and_is_worked_for_as_if_just_come():
    async def scenario():
        admission, served = EndlessQueue(slots=1, waiting={"write": 1, "read": 1}), []
        async with admission.slot("write", wait_s=0):
            tasks = [asyncio.create_task(visitor(admission, "read", served, n)) for n in range(100)]
            tasks.append(asyncio.create_task(visitor(admission, "write", served, "write")))
            await settled()
        await asyncio.gather(*tasks)
        assert served == [(name, 0.001) for name in (*range(100), "write")]

    asyncio.run(scenario())


def test_the_sound_one_turns_them_away():
    async def scenario():
        admission, served = Admission(slots=1, waiting={"write": 1, "read": 1}), []
        async with admission.slot("write", wait_s=0):
            tasks = [asyncio.create_task(visitor(admission, "read", served, n)) for n in range(100)]
            results = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(result, Refused) for result in results)
        assert served == []

    asyncio.run(scenario())


def test_who_is_cancelled_gives_the_turn_back():
    async def scenario():
        admission, served = EndlessQueue(slots=1, waiting={"write": 1}), []
        async with admission.slot("write", wait_s=0):
            gone = asyncio.create_task(visitor(admission, "write", served, "gone"))
            await settled()
            gone.cancel()
            with pytest.raises(asyncio.CancelledError):
                await gone
        await visitor(admission, "write", served, "next")
        assert [name for name, _ in served] == ["next"]

    asyncio.run(scenario())
