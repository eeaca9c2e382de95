import asyncio
import sys
import time

import pytest

from chaoskit.loads.loop import loop_factory
from chaoskit.loads.pacer import LoopPacer, TimerPacer, pacer

LIMIT_S = 10.0


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("kind", [TimerPacer, LoopPacer])
def test_wakes_once_for_each_time_and_never_before_it(loop, kind) -> None:
    pytest.importorskip("uvloop") if loop == "uvloop" else None
    if kind is TimerPacer and sys.platform != "linux":
        pytest.skip("timerfd is Linux")

    async def go() -> list[tuple[int, int]]:
        woken: list[tuple[int, int]] = []
        done = asyncio.Event()
        times = [time.monotonic_ns() + ahead for ahead in (-1_000_000, 3_000_000, 3_500_000, 9_000_000)]

        def wake() -> None:
            woken.append((times[len(woken)], time.monotonic_ns()))
            if len(woken) == len(times):
                made.close()
                done.set()
            else:
                made.wake_at(times[len(woken)])

        made = kind(asyncio.get_running_loop(), wake)
        made.wake_at(times[0])
        async with asyncio.timeout(LIMIT_S):
            await done.wait()
        # Time for a call too many to show.
        await asyncio.sleep(0.01)
        made.close()
        return woken

    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        woken = runner.run(go())
    assert len(woken) == 4
    # A loop's own timers count in milliseconds and may be early by less than one.
    early_ns = 0 if kind is TimerPacer else 1_000_000
    assert all(at_ns >= due_ns - early_ns for due_ns, at_ns in woken)


def test_a_later_time_replaces_an_earlier_one() -> None:
    async def go() -> int:
        woken = asyncio.Event()

        def wake() -> None:
            made.close()
            woken.set()

        made = pacer(asyncio.get_running_loop(), wake)
        later_ns = time.monotonic_ns() + 20_000_000
        made.wake_at(time.monotonic_ns() + 1_000_000)
        made.wake_at(later_ns)
        async with asyncio.timeout(LIMIT_S):
            await woken.wait()
        return time.monotonic_ns() - later_ns

    assert asyncio.run(go()) >= 0
