"""The load's own process: `python -m chaoskit.loads.worker`. Started and spoken to by `chaoskit.loads.process` only.

It reads one JSON object a line: first the plan, then `{"begin": at_ns}`, `{"surge": times}` and `{"finish": drain_s}`. It answers
`{"ready": true}`, progress, `{"finished": …}` or `{"error": …}`. When its input ends, its runner is dead: it writes what it has
and goes.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import importlib
import inspect
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import NoReturn, TypeVar, cast

from chaoskit.loads.again import send_again
from chaoskit.loads.connection import Client
from chaoskit.loads.dispatcher import Begin, Dispatcher
from chaoskit.loads.journal import Journal, Lines
from chaoskit.loads.journey import Engine, Visit
from chaoskit.loads.loop import loop_factory
from chaoskit.loads.schedule import Timetable
from chaoskit.model.errors import CannotRecord, ChaoskitError, UsageError
from chaoskit.model.experiment import Unanswered
from chaoskit.model.history import Outcome
from chaoskit.model.journey import Journey
from chaoskit.model.protocols import LoadPlan
from chaoskit.model.secrets import Secrets

T = TypeVar("T")

PROGRESS_EVERY_S = 0.1
"""A surge must show in the rate within a fraction of a second; ten lines a second cost nothing that can be measured."""

_PR_SET_PDEATHSIG = 1  # from linux/prctl.h
_INPUT, _OUTPUT, _ERRORS = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the load. 0 when it was finished or its runner went away, 1 when it had to give up."""
    parser = argparse.ArgumentParser(prog="python -m chaoskit.loads.worker")
    parser.add_argument("--loop", default="auto")
    choice = parser.parse_args(arguments)
    say = _Speaker()
    if sys.platform == "linux":
        # A journey that blocks keeps us from seeing the end of our input; the kernel's signal reaches us all the same.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        with asyncio.Runner(loop_factory=loop_factory(choice.loop)) as runner:
            runner.run(drive(say))
    except ChaoskitError as error:
        say.last({"error": str(error)})
        return 1
    return 0


async def drive(say: _Speaker) -> None:
    """One load from its plan to its end."""
    commands = _Commands()
    plan = _plan(await commands.next())
    if plan is None:
        return
    failed: asyncio.Future[CannotRecord] = asyncio.get_running_loop().create_future()
    lines = Lines(plan.history, on_error=failed.set_result)
    signal.signal(signal.SIGTERM, _leave(lines))
    journeys = load_journeys(plan)
    engine = Engine(
        client=Client(plan.url),
        journal=Journal(lines, secrets=Secrets(plan.secrets)),
        seed=plan.seed,
        habits=plan.habits,
        warned=Outcome(plan.warned),
    )
    dispatcher = Dispatcher(Timetable(plan), visits(engine, journeys))
    # What is there now lives until the end: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    say.last({"ready": True})
    progress = asyncio.create_task(_report(dispatcher, say))
    serving = asyncio.create_task(_obey(commands, dispatcher))
    try:
        await asyncio.wait((serving, failed), return_when=asyncio.FIRST_COMPLETED)
        if failed.done():
            raise failed.result()
        drain_s = serving.result()
        dispatcher.stop()
        # None: the runner is gone, and nobody waits for what is still open.
        drained = drain_s is not None and await _unless(failed, dispatcher.wait_quiet(timeout_s=drain_s))
        finished = dispatcher.finished
        engine.is_ending = True
        await dispatcher.cut_off()
        if drain_s is not None and plan.unanswered == Unanswered.RE_SEND:
            await _unless(failed, send_again(engine.unanswered))
        if failed.done():  # while visits were cut off
            raise failed.result()
        counts = {"scheduled": dispatcher.sent, "sent": dispatcher.sent, "finished": finished, "drained": drained}
        if drain_s is not None:
            engine.journal.counts(scheduled=dispatcher.sent, sent=dispatcher.sent, finished=finished, drained=drained)
        lines.close()
        if drain_s is not None:
            say.last({"finished": counts})
    finally:
        for task in (progress, serving):
            task.cancel()
        engine.client.close()


async def _obey(commands: _Commands, dispatcher: Dispatcher) -> float | None:
    """Carry out commands until the load shall finish. Returns the drain's limit, None when the runner is gone."""
    while (command := await commands.next()) is not None:
        if "begin" in command:
            dispatcher.begin(at_ns=int(cast("int", command["begin"])))
        elif "surge" in command:
            dispatcher.surge(float(cast("float", command["surge"])))
        elif "finish" in command:
            return float(cast("float", command["finish"]))
        else:
            raise UsageError(f"load process: {command!r} was given; expected begin, surge or finish")
    return None


async def _unless(failed: asyncio.Future[CannotRecord], work: Coroutine[object, object, T]) -> T:
    """What *work* gives. Raises at once when something could not be recorded: the history has a hole then."""
    task = asyncio.create_task(work)
    await asyncio.wait((task, failed), return_when=asyncio.FIRST_COMPLETED)
    if failed.done():
        task.cancel()
        raise failed.result()
    return task.result()


def visits(engine: Engine, journeys: Mapping[str, Journey]) -> Begin:
    async def visit(number: int, journey: str, due_ns: int) -> None:
        customer = Visit(engine, number=number, journey=journey, due_ns=due_ns)
        try:
            await journeys[journey](customer)
        except asyncio.CancelledError:
            customer.cut_off()
            raise
        except Exception as error:
            # Other people's code: what it raises is evidence, like any answer.
            customer.end(why=f"the journey raised {type(error).__name__}: {error}")
        else:
            customer.end()

    return visit


async def _report(dispatcher: Dispatcher, say: _Speaker) -> None:
    while True:
        say.progress({"sent": dispatcher.sent, "finished": dispatcher.finished, "at_ns": time.monotonic_ns()})
        await asyncio.sleep(PROGRESS_EVERY_S)


def load_journeys(plan: LoadPlan) -> Mapping[str, Journey]:
    """The journeys of *plan*, by name. Raises `UsageError` if one of the mix is missing or cannot be awaited."""
    module_name, _, function_name = plan.journeys.partition(":")
    try:
        build = getattr(importlib.import_module(module_name), function_name)
        journeys: Mapping[str, Journey] = build(plan.options, plan.seed)
    except Exception as error:
        # Other people's code, and its place is all that a reader needs.
        raise UsageError(
            f"journeys: {plan.journeys!r} was given and raised {type(error).__name__}: {error}; "
            "expected module:function of a function (options, seed) that returns journeys by name"
        ) from error
    for name in sorted(name for name, weight in plan.mix.items() if weight > 0):
        if name not in journeys:
            raise UsageError(f"load.mix: {name!r} is not a journey of {plan.journeys} ({', '.join(sorted(journeys))})")
        journey = journeys[name]
        if not (inspect.iscoroutinefunction(journey) or inspect.iscoroutinefunction(getattr(journey, "__call__", None))):  # noqa: B004
            raise UsageError(
                f"{plan.journeys}: journey {name!r} is {journey!r}; expected an `async def` function that takes a visit"
            )
    return journeys


def _plan(given: Mapping[str, object] | None) -> LoadPlan | None:
    if given is None:
        return None
    steps = tuple((float(at_s), float(times)) for at_s, times in cast("Sequence[tuple[float, float]]", given["steps"]))
    secrets = tuple(cast("Sequence[str]", given.get("secrets", ())))
    return LoadPlan(**{**given, "steps": steps, "secrets": secrets})  # type: ignore[arg-type]


def _leave(lines: Lines) -> Callable[[int, object], NoReturn]:
    """The runner died and the loop may be stuck in a journey: keep what was recorded and go without any further step."""

    def leave(_signal: int, _frame: object) -> NoReturn:
        try:
            lines.flush()
        finally:
            os._exit(1)

    return leave


class _Commands:
    """Commands from the runner, one JSON object a line; None for ever once it is gone."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Mapping[str, object] | None] = asyncio.Queue()
        self._rest = b""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(_INPUT, self._on_readable)

    async def next(self) -> Mapping[str, object] | None:
        return await self._queue.get()

    def _on_readable(self) -> None:
        data = os.read(_INPUT, 65_536)
        if not data:
            self._loop.remove_reader(_INPUT)
            self._queue.put_nowait(None)
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._queue.put_nowait(json.loads(line))


class _Speaker:
    """Speaks to the runner. Takes standard output for itself: what journeys print goes to standard error."""

    def __init__(self) -> None:
        self._file = os.dup(_OUTPUT)
        os.dup2(_ERRORS, _OUTPUT)

    def progress(self, what: Mapping[str, object]) -> None:
        """Say it if the runner listens. One that was stopped for long must not stop the load."""
        os.set_blocking(self._file, False)
        try:
            os.write(self._file, _line(what))
        except BlockingIOError:
            # The pipe is full of older progress; a line shorter than PIPE_BUF is written whole or not at all.
            return
        except BrokenPipeError:
            # The runner is gone; the end of our input says so too and ends the load in order.
            return

    def last(self, what: Mapping[str, object]) -> None:
        """Say something that the runner waits for."""
        os.set_blocking(self._file, True)
        try:
            os.write(self._file, _line(what))
        except BrokenPipeError:
            return


def _line(what: Mapping[str, object]) -> bytes:
    return json.dumps(what).encode() + b"\n"


if __name__ == "__main__":
    sys.exit(main())
