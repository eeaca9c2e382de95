"""Who is let in, who waits, and who is told to come back, without any clock but the loop's."""

import asyncio

import pytest

from chaoskit.bank.services.admission import Admission, Refused

LONG_S = 30


async def settled():
    for _ in range(5):
        await asyncio.sleep(0)


async def visitor(admission, kind, served, name):
    async with admission.slot(kind, wait_s=LONG_S):
        served.append(name)
        await settled()


def test_a_payment_goes_before_a_look_up_that_came_earlier():
    async def scenario():
        admission, served = Admission(slots=1, waiting={"write": 5, "read": 5}), []
        async with admission.slot("write", wait_s=0):
            tasks = [asyncio.create_task(visitor(admission, "read", served, f"read {n}")) for n in (1, 2)]
            await settled()
            tasks.append(asyncio.create_task(visitor(admission, "write", served, "write")))
            await settled()
            assert served == []
        await asyncio.gather(*tasks)
        assert served == ["write", "read 1", "read 2"]

    asyncio.run(scenario())


def test_a_full_queue_of_look_ups_refuses_look_ups_and_still_takes_payments():
    async def scenario():
        admission, served = Admission(slots=1, waiting={"write": 1, "read": 1}), []
        async with admission.slot("write", wait_s=0):
            tasks = [asyncio.create_task(visitor(admission, "read", served, "read"))]
            await settled()
            with pytest.raises(Refused, match="overloaded"):
                await visitor(admission, "read", served, "one too many")
            tasks.append(asyncio.create_task(visitor(admission, "write", served, "write")))
            await settled()
            with pytest.raises(Refused, match="overloaded"):
                await visitor(admission, "write", served, "one too many")
        await asyncio.gather(*tasks)
        assert served == ["write", "read"]

    asyncio.run(scenario())


def test_who_waited_too_long_is_turned_away_before_any_work_and_leaves_no_slot_behind():
    async def scenario():
        admission, served = Admission(slots=1, waiting={"write": 5, "read": 5}), []
        async with admission.slot("write", wait_s=0):
            with pytest.raises(Refused, match="waited-too-long"):
                async with admission.slot("write", wait_s=0.001):
                    served.append("too late")
        await visitor(admission, "read", served, "next")
        assert served == ["next"]

    asyncio.run(scenario())


def test_a_visitor_who_is_cancelled_gives_a_turn_back():
    async def scenario():
        admission, served = Admission(slots=1, waiting={"write": 5, "read": 5}), []
        async with admission.slot("write", wait_s=0):
            gone = [asyncio.create_task(visitor(admission, "write", served, "gone")) for _ in range(2)]
            await settled()
            gone[0].cancel()
            await settled()
        # The second one has just been given the slot and has not yet run.
        gone[1].cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        await visitor(admission, "read", served, "next")
        assert served == ["next"]

    asyncio.run(scenario())
