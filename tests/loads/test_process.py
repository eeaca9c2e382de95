"""The load's process as the runner uses it: over its pipes, with a real server on loopback."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from chaoskit.loads.process import OpenLoop
from chaoskit.model.errors import LoadFailed
from chaoskit.model.history import History, LoadCounts, Outcome, read_history
from chaoskit.model.protocols import Load, LoadPlan

START_S = 20.0
DRAIN_S = 10.0

JOURNEYS = """
import asyncio, os, time

async def ok(visit):
    await visit.operation(key=visit.intent).attempt("POST", "/ok", body={"n": visit.random.randrange(10**9)}, timeout_s=10)

async def stall(visit):
    await visit.operation(key=visit.intent).attempt("POST", "/stall", body={}, timeout_s=60)

async def away(visit):
    await visit.operation(key=visit.intent).attempt("POST", "/away", body={}, timeout_s=10)

async def loud(visit):
    print('{"error": "a journey says so"}', flush=True)
    await visit.operation().attempt("GET", "/ok", timeout_s=10)

async def blocked(visit):
    await visit.operation().attempt("GET", "/ok", timeout_s=10)
    time.sleep(60)

def plain(visit):
    pass

class Called:
    async def __call__(self, visit):
        await visit.operation().attempt("GET", "/ok", timeout_s=10)

def build(options, seed):
    if "broken" in options:
        raise ValueError("no such bank")
    if "last_words" in options:
        os.write(2, options["last_words"].encode())
        os._exit(3)

    async def told(visit):
        operation = visit.operation(key=options["word"] + "-key")
        await operation.attempt("GET", "/ok", timeout_s=10)
        raise ValueError("cannot say " + options["word"])

    return {"told": told, "ok": ok, "stall": stall, "away": away, "loud": loud, "blocked": blocked, "plain": plain, "called": Called()}
"""


@pytest.fixture
def plan(tmp_path, monkeypatch, server):
    (tmp_path / "journeys_of_a_test.py").write_text(JOURNEYS)
    monkeypatch.syspath_prepend(str(tmp_path))

    def plan(
        *,
        mix=None,
        rate=200.0,
        duration_s=0.5,
        steps=((0.0, 1.0),),
        options=None,
        secrets=(),
        journeys="journeys_of_a_test:build",
        history=None,
        unanswered="tombstone",
    ) -> LoadPlan:
        return LoadPlan(
            url=server.url,
            journeys=journeys,
            options=options or {},
            seed=3,
            arrivals_per_s=rate,
            duration_s=duration_s,
            mix=mix or {"ok": 1.0},
            steps=steps,
            history=history or str(tmp_path / "history.jsonl"),
            secrets=secrets,
            unanswered=unanswered,
        )

    return plan


@pytest.fixture
def load():
    made: Load = OpenLoop()
    yield made
    made.close()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("chaoskit-load")]


def history_of(plan: LoadPlan) -> History:
    return read_history(Path(plan.history).read_bytes().splitlines())


def test_every_arrival_becomes_one_recorded_operation(load, plan, server, wait_until) -> None:
    given = plan()
    load.start(given, timeout_s=START_S)
    assert load.is_running()
    begin_ns = load.begin()
    assert 0 < begin_ns - time.monotonic_ns() < 200_000_000
    wait_until(lambda: not load.is_running())
    counts = load.finish(drain_s=DRAIN_S)
    history = history_of(given)
    assert history.torn_lines == 0
    assert counts == history.load == LoadCounts(scheduled=counts.sent, sent=counts.sent, finished=counts.sent, drained=True)
    assert len(history.operations) == counts.sent == len(server.requests) > 50
    assert {operation.outcome for operation in history.operations} == {Outcome.OK}
    assert all(begin_ns <= operation.due_ns < begin_ns + 500_000_000 for operation in history.operations)
    assert len({operation.intent for operation in history.operations}) == counts.sent


def test_every_operation_is_recorded_though_the_server_never_answers(load, plan, wait_until) -> None:
    given = plan(mix={"stall": 1})
    load.start(given, timeout_s=START_S)
    load.begin()
    wait_until(lambda: load.sent_per_s(over_s=60) * 60 > 50)
    assert load.is_running()
    counts = load.finish(drain_s=0.05)
    history = history_of(given)
    assert (counts.drained, counts.finished, counts.scheduled) == (False, 0, counts.sent)
    assert len(history.operations) == counts.sent > 50
    assert {(operation.outcome, operation.end_ns) for operation in history.operations} == {(Outcome.INFO, None)}


def test_the_same_seed_sends_the_same_bodies_on_every_event_loop(plan, server, wait_until) -> None:
    seen = []
    for loop in ("asyncio", "auto"):
        load = OpenLoop(loop=loop)
        load.start(plan(), timeout_s=START_S)
        load.begin()
        wait_until(lambda load=load: not load.is_running())
        load.finish(drain_s=DRAIN_S)
        seen.append(sorted(server.bodies))
        server.bodies.clear()
    assert seen[0] == seen[1]
    assert len(set(seen[0])) > 50


def test_a_surge_is_seen_in_the_rate(load, plan, wait_until) -> None:
    load.start(plan(rate=20, duration_s=60, steps=((0.0, 1.0), (50.0, 5.0))), timeout_s=START_S)
    assert (load.planned_per_s(), load.sent_per_s(over_s=1)) == (0.0, 0.0)
    load.begin()
    wait_until(lambda: load.planned_per_s() == 20.0)
    load.surge(20)
    wait_until(lambda: load.sent_per_s(over_s=0.5) > 200)
    assert load.planned_per_s() == 20.0
    load.surge(1)
    wait_until(lambda: load.sent_per_s(over_s=0.5) < 100)
    load.finish(drain_s=DRAIN_S)


def test_what_journeys_print_does_not_disturb_it(load, plan, wait_until) -> None:
    load.start(plan(mix={"loud": 1, "called": 1}), timeout_s=START_S)
    load.begin()
    wait_until(lambda: not load.is_running())
    assert load.finish(drain_s=DRAIN_S).drained


def test_a_killed_load_keeps_what_it_had_written(load, plan, server, wait_until) -> None:
    given = plan(mix={"ok": 9, "stall": 1}, rate=500, duration_s=60)
    load.start(given, timeout_s=START_S)
    load.begin()
    wait_until(lambda: len(server.requests) > 300)
    recorded_at_least = len(history_of(given).operations)
    os.kill(load._reader._process.pid, signal.SIGKILL)
    wait_until(lambda: not load.is_running())
    with pytest.raises(LoadFailed, match="exit -9"):
        load.finish(drain_s=DRAIN_S)
    history = history_of(given)
    assert len(history.operations) >= recorded_at_least > 200
    assert history.torn_lines <= 1
    assert history.load is None
    with pytest.raises(LoadFailed):
        load.surge(2)


@pytest.mark.parametrize("mix", [{"ok": 1}, {"blocked": 1}])
def test_a_load_whose_runner_dies_writes_what_it_has_and_goes(plan, server, tmp_path, wait_until, mix) -> None:
    given = plan(mix=mix, rate=200, duration_s=600)
    code = (
        "import sys, json, os, threading\n"
        "from chaoskit.loads.process import OpenLoop\n"
        "from chaoskit.model.protocols import LoadPlan\n"
        "plan = json.loads(sys.argv[1])\n"
        "load = OpenLoop()\n"
        "load.start(LoadPlan(**plan), timeout_s=20)\n"
        "load.begin()\n"
        "print(load._reader._process.pid, flush=True)\n"
        "threading.Event().wait(60)\n"
    )
    text = json.dumps({name: getattr(given, name) for name in LoadPlan.__slots__})
    variables = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", code, text], stdout=subprocess.PIPE, env=variables) as runner:
        assert runner.stdout is not None
        pid = int(runner.stdout.readline())
        wait_until(lambda: len(server.requests) > (50 if "ok" in mix else 0))
        runner.kill()
    wait_until(lambda: not Path(f"/proc/{pid}").exists() or "State:\tZ" in Path(f"/proc/{pid}/status").read_text())
    history = history_of(given)
    assert history.torn_lines == 0
    assert len(history.operations) >= len(server.requests) > 0


@pytest.mark.parametrize("mix", [{"away": 1.0}, {"stall": 1.0}], ids=["lost answers", "calls that were under way"])
@pytest.mark.parametrize("unanswered", ["tombstone", "re-send"])
def test_what_had_no_answer_is_sent_again_at_the_end_if_that_is_asked_for(load, plan, server, wait_until, mix, unanswered) -> None:
    given = plan(mix=mix, rate=40.0, unanswered=unanswered)
    load.start(given, timeout_s=START_S)
    load.begin()
    wait_until(lambda: len(server.requests) >= 10)
    if "away" in mix:
        server.release.set()
    else:
        threading.Timer(0.5, server.release.set).start()  # while they are sent again: the first calls have been cut off by then
    load.finish(drain_s=0.0)
    history = history_of(given)
    unknown = [one for one in history.operations if one.as_its_customer_saw.outcome is Outcome.INFO]
    again = [one for one in history.operations if one.attempts[-1].is_resent]
    assert unknown
    if unanswered == "tombstone" or "stall" in mix:  # nobody knows what a customer who was cut off would have done next
        assert not again
    else:
        assert {one.number for one in again} == {one.number for one in unknown}
        assert {one.outcome for one in again} == {Outcome.OK}
        assert [len(one.as_its_customer_saw.attempts) for one in again] == [1] * len(again)


def test_the_end_of_its_input_ends_it_in_order(load, plan, server, wait_until) -> None:
    """Where there is no signal for a dead parent, this is how the load hears of it."""
    given = plan(mix={"ok": 9, "stall": 1}, duration_s=600)
    load.start(given, timeout_s=START_S)
    load.begin()
    wait_until(lambda: len(server.requests) > 50)
    load._reader._process.stdin.close()
    wait_until(lambda: not load.is_running())
    assert load._reader.exit_code == 0
    history = history_of(given)
    assert (history.torn_lines, history.load) == (0, None)
    assert len(history.operations) >= len(server.requests)


def test_ctrl_c_does_not_reach_it(load, plan) -> None:
    load.start(plan(), timeout_s=START_S)
    assert os.getsid(load._reader._process.pid) != os.getsid(0)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"journeys": "no_such_module:build"}, "no_such_module:build' was given and raised ModuleNotFoundError"),
        ({"journeys": "journeys_of_a_test:make"}, "raised AttributeError"),
        ({"options": {"broken": "yes"}}, "raised ValueError: no such bank"),
        (
            {"mix": {"pay": 1.0}},
            r"load\.mix: 'pay' is not a journey of journeys_of_a_test:build \(away, blocked, called, loud, ok, plain, stall, told\)",
        ),
        ({"mix": {"plain": 1.0}}, "expected an `async def` function"),
        ({"history": "/no/such/folder/h"}, "cannot be opened for writing"),
    ],
)
def test_what_cannot_be_driven_is_said_at_the_start(load, plan, change, message) -> None:
    with pytest.raises(LoadFailed, match=message):
        load.start(plan(**change), timeout_s=START_S)


def test_its_last_words_hold_no_secret_not_even_one_that_is_cut_in_two(load, plan) -> None:
    secret = "m4rker-of-a-secret"
    words = f"{secret}{'y' * (2000 - len(secret) // 2)}"
    with pytest.raises(LoadFailed, match=r"exit 3\. Its last words") as caught:
        load.start(plan(options={"last_words": words}, secrets=(secret,)), timeout_s=START_S)
    assert "-secret" not in str(caught.value)
    assert "***y" in str(caught.value)


def test_records_hold_no_secret(load, plan, wait_until) -> None:
    given = plan(mix={"told": 1.0}, options={"word": "m4rker"}, secrets=("m4rker",))
    load.start(given, timeout_s=START_S)
    load.begin()
    wait_until(lambda: not load.is_running())
    load.finish(drain_s=DRAIN_S)
    assert b"m4rker" not in Path(given.history).read_bytes()
    operations = history_of(given).operations
    assert operations
    assert {operation.why for operation in operations} == {"the journey raised ValueError: cannot say ***"}
    assert {operation.key for operation in operations} == {"***-key"}


def test_a_full_disk_ends_the_load_with_an_error(load, plan, wait_until) -> None:
    load.start(plan(history="/dev/full", duration_s=60), timeout_s=START_S)
    load.begin()
    wait_until(lambda: not load.is_running())
    with pytest.raises(LoadFailed, match="/dev/full: took no more records"):
        load.finish(drain_s=DRAIN_S)


def test_a_record_that_is_lost_while_calls_are_sent_again_ends_the_load_though_the_disk_is_free_again(
    load, plan, server, wait_until
) -> None:
    """Else the history would have a hole, and a trailer that says it has none."""
    given = plan(mix={"away": 1.0}, rate=40.0, unanswered="re-send")
    load.start(given, timeout_s=START_S)
    load.begin()
    wait_until(lambda: len(server.requests) >= 10)
    _, most = resource.prlimit(load._reader._process.pid, resource.RLIMIT_FSIZE)
    full = (Path(given.history).stat().st_size + 8192, most)
    resource.prlimit(load._reader._process.pid, resource.RLIMIT_FSIZE, full)

    def free() -> None:
        wait_until(lambda: len(server.requests) >= 200)  # far more than the limit has room for
        with contextlib.suppress(ProcessLookupError):  # it has given up by then, as it should
            resource.prlimit(load._reader._process.pid, resource.RLIMIT_FSIZE, (most, most))
        server.release.set()

    freeing = threading.Thread(target=free)
    freeing.start()
    with pytest.raises(LoadFailed, match="took no more records"):
        load.finish(drain_s=0.0)
    server.requests.extend([""] * 200)
    freeing.join()


def test_it_may_be_closed_at_any_time_and_twice(plan) -> None:
    load = OpenLoop()
    load.close()
    load = OpenLoop()
    load.start(plan(duration_s=60), timeout_s=START_S)
    load.begin()
    load.close()
    load.close()
    assert not load.is_running()
    with pytest.raises(LoadFailed):
        load.finish(drain_s=DRAIN_S)


def test_a_load_that_was_not_started_says_so() -> None:
    with pytest.raises(LoadFailed, match="call start"):
        OpenLoop().begin()
