"""`chaoskit load`: the load engine as a tool. GETs one URL on an even grid and records every operation that was due.

One JSON object a line: `due`, `start` and `end` in nanoseconds of the monotonic clock, and `status` (0: no answer). An operation
that never ended is recorded too, with the time at which waiting for it ended.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import math
import re
import sys
import time
from array import array
from dataclasses import asdict, dataclass

from chaoskit.loads.connection import Client, Target
from chaoskit.loads.dispatcher import Dispatcher
from chaoskit.loads.journal import Lines
from chaoskit.loads.journey import encode
from chaoskit.loads.loop import LOOPS, loop_factory
from chaoskit.loads.schedule import Timetable, even_draws
from chaoskit.model.errors import CannotRecord, ChaoskitError, UsageError
from chaoskit.model.policy import Permission, is_loopback
from chaoskit.model.protocols import LoadPlan
from chaoskit.model.secrets import without_url_passwords
from chaoskit.model.verdict import USAGE_EXIT_CODE, Result

BEGIN_AHEAD_NS = 20_000_000
"""The first operation is due when everything before it is surely done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What the load did and what it saw. Latency counts from the time an operation was due."""

    operations: int
    achieved_per_s: float
    """Operations begun per second of the schedule."""
    lateness_ms_p50: float
    lateness_ms_p99: float
    lateness_ms_max: float
    latency_ms_p50: float
    latency_ms_p99: float
    latency_ms_max: float
    not_200: int
    unanswered: int

    def __str__(self) -> str:
        return (
            f"{self.operations} operations, {self.achieved_per_s:.1f}/s; "
            f"{self.not_200} not 200, {self.unanswered} of them without an answer\n"
            f"latency from due, ms: p50 {self.latency_ms_p50:.3f}, p99 {self.latency_ms_p99:.3f}, max {self.latency_ms_max:.3f}\n"
            f"own lateness, ms: p50 {self.lateness_ms_p50:.3f}, p99 {self.lateness_ms_p99:.3f}, max {self.lateness_ms_max:.3f}"
        )


def load(
    url: str,
    *,
    rate: float,
    duration_s: float,
    record: str,
    timeout_s: float = 10.0,
    loop: str = "auto",
    is_remote_allowed: bool = False,
) -> Summary:
    """GET *url* at *rate* per second for *duration_s* and write every operation to *record*. Blocks until the last one has ended.

    Raises `UsageError` for what cannot be run, a *url* that is not on loopback unless *is_remote_allowed* included, and
    `CannotRecord` when the file takes no more.
    """
    host = Target.of(url).host
    if not is_remote_allowed and not is_loopback(host):
        raise UsageError(
            f"load: {host!r} is not a loopback address; a load can bring down what real customers use. "
            f"If you may do that to it: --allow {Permission.REMOTE_TARGET}"
        )
    if not 0 < rate < math.inf:
        raise UsageError(f"load: rate {rate:g} was given; expected operations per second above 0")
    if not 0 < duration_s < math.inf:
        raise UsageError(f"load: duration {duration_s:g} s was given; expected more than 0")
    if not timeout_s > 0:
        raise UsageError(f"load: timeout {timeout_s:g} s was given; expected more than 0")
    plan = LoadPlan(
        url=url,
        journeys="",
        options={},
        seed=0,
        arrivals_per_s=rate,
        duration_s=duration_s,
        mix={"get": 1},
        steps=((0.0, 1.0),),
        history=record,
    )
    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        return runner.run(_load(plan, timeout_s=timeout_s))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `chaoskit load`."""
    parser.add_argument("--url", required=True, help="what to GET, http://host:port/path")
    parser.add_argument("--rate", required=True, type=float, help="operations per second, on an even grid")
    parser.add_argument("--duration", required=True, type=seconds, metavar="TIME", help="how long arrivals come: 5, 5s, 1m30s")
    parser.add_argument("--record", required=True, metavar="FILE", help="where each operation becomes one line of JSON")
    parser.add_argument("--timeout", type=seconds, default=10.0, metavar="TIME", help="how long to wait for an answer (10s)")
    parser.add_argument("--loop", choices=LOOPS, default="auto", help="event loop; auto takes uvloop if it is installed")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        choices=[Permission.REMOTE_TARGET.value],
        metavar="WHAT",
        help=f"{Permission.REMOTE_TARGET}, for a URL that is not on loopback",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the load that *arguments* describe and print its summary. Returns the exit code."""
    try:
        summary = load(
            arguments.url,
            rate=arguments.rate,
            duration_s=arguments.duration,
            record=arguments.record,
            timeout_s=arguments.timeout,
            loop=arguments.loop,
            is_remote_allowed=Permission.REMOTE_TARGET.value in arguments.allow,
        )
    except ChaoskitError as error:
        sys.stderr.write(f"chaoskit: {without_url_passwords(str(error))}\n")
        # A record that could not be opened is a mistake of the call; one that broke off is the harness failing.
        return USAGE_EXIT_CODE if isinstance(error, UsageError) else Result.ERROR.exit_code
    sys.stdout.write((json.dumps(asdict(summary)) if arguments.json else str(summary)) + "\n")
    return 0


def seconds(text: str) -> float:
    """`5`, `5s`, `250ms` or `1m30s` as seconds; a type for argparse."""
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise argparse.ArgumentTypeError(f"{text!r} is not a duration; expected 5, 5s, 250ms or 1m30s")
    return sum(float(number) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600}[unit] for number, unit in parts)


async def _load(plan: LoadPlan, *, timeout_s: float) -> Summary:
    failed: asyncio.Future[CannotRecord] = asyncio.get_running_loop().create_future()
    client = Client(plan.url)
    try:
        lines = Lines(plan.history, on_error=failed.set_result, is_new=True)
    except CannotRecord as error:
        raise UsageError(str(error)) from None
    getter = _Getter(client, lines, timeout_s=timeout_s)
    dispatcher = Dispatcher(Timetable(plan, row=even_draws("get")), getter.get)
    gc.collect()
    gc.freeze()
    dispatcher.begin(at_ns=time.monotonic_ns() + BEGIN_AHEAD_NS)
    # Every call ends by its own limit, so this needs none.
    quiet = asyncio.create_task(dispatcher.wait_quiet())
    try:
        await asyncio.wait((quiet, failed), return_when=asyncio.FIRST_COMPLETED)
        if failed.done():
            raise failed.result()
    finally:
        quiet.cancel()
        await dispatcher.cut_off()
        client.close()
        lines.close()
    return getter.summary(plan.duration_s)


class _Getter:
    """Does one operation and keeps eight bytes of it for the summary."""

    def __init__(self, client: Client, lines: Lines, *, timeout_s: float) -> None:
        self._client = client
        self._lines = lines
        self._timeout_s = timeout_s
        self._request = encode("GET", client.target.path, host=client.target.name)
        # Whole microseconds in four bytes each: 0.8 MiB for 100,000 operations.
        self._lateness_us = array("I")
        self._latency_us = array("I")
        self._not_200 = 0
        self._unanswered = 0

    async def get(self, _number: int, _journey: str, due_ns: int) -> None:
        start_ns = time.monotonic_ns()
        try:
            reply = await self._client.exchange(self._request, timeout_s=self._timeout_s)
        except asyncio.CancelledError:
            self._record(due_ns, start_ns, time.monotonic_ns(), 0)
            raise
        self._record(due_ns, start_ns, reply.end_ns, reply.status)

    def summary(self, duration_s: float) -> Summary:
        lateness, latency = sorted(self._lateness_us), sorted(self._latency_us)
        assert lateness, "a load has at least one operation"
        return Summary(
            operations=len(latency),
            achieved_per_s=len(latency) / duration_s,
            lateness_ms_p50=_at(lateness, 0.5),
            lateness_ms_p99=_at(lateness, 0.99),
            lateness_ms_max=lateness[-1] / 1000,
            latency_ms_p50=_at(latency, 0.5),
            latency_ms_p99=_at(latency, 0.99),
            latency_ms_max=latency[-1] / 1000,
            not_200=self._not_200,
            unanswered=self._unanswered,
        )

    def _record(self, due_ns: int, start_ns: int, end_ns: int, status: int) -> None:
        self._lines.add(f'{{"due":{due_ns},"start":{start_ns},"end":{end_ns},"status":{status}}}')
        self._lateness_us.append((start_ns - due_ns) // 1000)
        self._latency_us.append((end_ns - due_ns) // 1000)
        if status != 200:
            self._not_200 += 1
            self._unanswered += status == 0


def _at(ordered: list[int], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] / 1000


def main() -> int:
    parser = argparse.ArgumentParser(prog="chaoskit load", description="Drive one URL on an even grid and record every operation.")
    add_arguments(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
