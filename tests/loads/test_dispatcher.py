import asyncio
import time

from chaoskit.loads.dispatcher import Dispatcher
from chaoskit.loads.schedule import Timetable, even_draws
from chaoskit.model.protocols import LoadPlan

LIMIT_S = 10.0


def timetable(*, rate: float, duration_s: float) -> Timetable:
    plan = LoadPlan(
        url="",
        journeys="",
        options={},
        seed=1,
        arrivals_per_s=rate,
        duration_s=duration_s,
        mix={"get": 1},
        steps=((0.0, 1.0),),
        history="",
    )
    return Timetable(plan, row=even_draws("get"))


def test_nobody_waits_for_those_before(until) -> None:
    """The open loop: all arrive though not one is answered."""

    async def go() -> tuple[list[int], int, bool]:
        arrived: list[int] = []

        async def stuck(number: int, _journey: str, _due_ns: int) -> None:
            arrived.append(number)
            await asyncio.Event().wait()

        dispatcher = Dispatcher(timetable(rate=2000, duration_s=0.05), stuck)
        dispatcher.begin(at_ns=time.monotonic_ns())
        await until(lambda: dispatcher.sent >= 100)
        is_quiet = await dispatcher.wait_quiet(timeout_s=0.01)
        finished = dispatcher.finished
        await dispatcher.cut_off()
        assert dispatcher.finished == 100
        return arrived, finished, is_quiet

    assert asyncio.run(go()) == (list(range(100)), 0, False)


def test_none_begins_before_it_is_due_and_all_are_told_when_that_was() -> None:
    async def go() -> list[tuple[int, int]]:
        seen: list[tuple[int, int]] = []

        async def visit(_number: int, _journey: str, due_ns: int) -> None:
            seen.append((due_ns, time.monotonic_ns()))

        dispatcher = Dispatcher(timetable(rate=1000, duration_s=0.05), visit)
        begin_ns = time.monotonic_ns() + 5_000_000
        dispatcher.begin(at_ns=begin_ns)
        assert await dispatcher.wait_quiet(timeout_s=LIMIT_S)
        assert [due_ns for due_ns, _ in seen] == [begin_ns + n * 1_000_000 for n in range(50)]
        return seen

    assert all(at_ns >= due_ns for due_ns, at_ns in asyncio.run(go()))


def test_who_was_due_when_the_load_stops_is_still_let_in() -> None:
    """However late: an arrival that is not recorded would make the bank look better than it was."""

    async def go() -> tuple[int, int]:
        async def visit(_number: int, _journey: str, _due_ns: int) -> None:
            return

        dispatcher = Dispatcher(timetable(rate=1000, duration_s=100), visit)
        dispatcher.begin(at_ns=time.monotonic_ns() - 500_000_000)
        dispatcher.stop()
        sent = dispatcher.sent
        assert await dispatcher.wait_quiet(timeout_s=LIMIT_S)
        return sent, dispatcher.finished

    sent, finished = asyncio.run(go())
    assert sent == finished
    assert sent >= 500


def test_who_is_cut_off_before_the_first_step_still_has_a_visit() -> None:
    async def go() -> list[int]:
        seen: list[int] = []

        async def visit(number: int, _journey: str, _due_ns: int) -> None:
            seen.append(number)
            await asyncio.Event().wait()

        dispatcher = Dispatcher(timetable(rate=1000, duration_s=100), visit)
        dispatcher.begin(at_ns=time.monotonic_ns() - 9_500_000)
        await dispatcher.cut_off()
        return seen

    assert asyncio.run(go())[:10] == list(range(10))


def test_a_surge_multiplies_the_rate_at_once(until) -> None:
    async def go() -> int:
        async def visit(_number: int, _journey: str, _due_ns: int) -> None:
            return

        dispatcher = Dispatcher(timetable(rate=1, duration_s=10_000), visit)
        dispatcher.begin(at_ns=time.monotonic_ns())
        dispatcher.surge(2000)
        await until(lambda: dispatcher.sent >= 100)
        await dispatcher.cut_off()
        return dispatcher.sent

    assert asyncio.run(go()) >= 100
