"""However a run is ended, it heals, nothing is left behind, and the verdict says what happened."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from chaoskit.engine.store import RunFolder

pytestmark = pytest.mark.whole

GONE_WITHIN_S = 30.0
MOMENTS = {
    "before anything is started": "(seed 7)",
    "while the bank starts": "etcd answers",
    "while the database gathers": "ledger-db-1 answers",
    "under load": "customers arrive",
    "with a fault injected": "injected faults[1]",
    "while healing": "healing faults[0]",
}


def verdict_of(chaoskit):
    (folder,) = chaoskit.runs.iterdir()
    return json.loads(RunFolder(folder).verdict.read_text())


@pytest.mark.parametrize("number,moment", [*((signal.SIGINT, moment) for moment in MOMENTS), (signal.SIGTERM, "under load")])
def test_a_signal_heals_and_exits_with_4(chaoskit, number, moment):
    process = chaoskit.run("database_failover")
    chaoskit.wait_for_line(MOMENTS[moment])
    process.send_signal(number)
    assert process.wait(GONE_WITHIN_S) == 4, chaoskit.said
    chaoskit.assert_nothing_is_left()
    verdict = verdict_of(chaoskit)
    assert verdict["verdict"] == "aborted"
    assert all(fault["healed_at_s"] is not None for fault in verdict["faults"] if fault["injected_at_s"] is not None)


def test_who_asks_twice_is_told_what_is_still_injected(chaoskit):
    process = chaoskit.run("database_failover")
    chaoskit.wait_for_line("injected faults[1]")
    process.send_signal(signal.SIGINT)
    chaoskit.wait_for_line("healing")
    process.send_signal(signal.SIGINT)
    assert process.wait(GONE_WITHIN_S) == 4
    assert "still injected, and being healed:" in chaoskit.said
    assert "faults[1] kill: start ledger-db-" in chaoskit.said
    assert "by hand: chaoskit heal " in chaoskit.said
    chaoskit.assert_nothing_is_left()


def test_another_terminal_stops_a_run(chaoskit):
    process = chaoskit.run("database_failover")
    chaoskit.wait_for_line("injected faults[1]")
    (folder,) = chaoskit.runs.iterdir()
    other = [sys.executable, "-m", "chaoskit.cli", "stop", str(folder), "--reason", "the rehearsal is over"]
    done = subprocess.run(other, capture_output=True, text=True, timeout=GONE_WITHIN_S, check=True)
    assert done.stdout.endswith("ended, verdict aborted\n")
    assert process.wait(GONE_WITHIN_S) == 4
    assert verdict_of(chaoskit)["problems"] == ["stopped: the rehearsal is over"]
    chaoskit.assert_nothing_is_left()


def test_a_killed_runner_leaves_no_process_and_its_folder_says_so(chaoskit):
    process = chaoskit.run("database_failover")
    chaoskit.wait_for_line("injected faults[1]")
    process.kill()
    process.wait(5)
    (path,) = chaoskit.runs.iterdir()
    folder = RunFolder(path)
    deadline = time.monotonic() + 10
    while not folder.verdict.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)  # between two looks, bounded by the deadline
    chaoskit.assert_nothing_is_left(within_s=5.0)
    verdict = verdict_of(chaoskit)
    assert verdict["verdict"] == "aborted"
    assert "the run died: its owner is gone; the janitor cleaned up" in verdict["problems"][0]
    assert all(fault["healed_at_s"] is not None for fault in verdict["faults"])
    assert len(folder.read_history().operations) > 100
    states = [json.loads(line)["state"] for line in folder.undo.read_text().splitlines()]
    assert [states.count(state) for state in ("injecting", "healed", "closed")] == [2, 2, 1]


def test_a_disk_that_fills_is_an_error_and_heals(chaoskit):
    """The run folder is a small file system of its own, in a name space of its own, which is filled while customers arrive."""
    chaoskit.runs.mkdir()
    script = 'mount -t tmpfs -o size=24m none "$RUNS" && exec "$@"'
    alone = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode or not shutil.which("mount"):
        pytest.skip("this system does not let us mount a small file system")
    chaoskit.environ["RUNS"] = str(chaoskit.runs)
    process = chaoskit.start(*alone, "sh", "-c", script, "sh", *chaoskit.command("network_partition"))
    chaoskit.wait_for_line("customers arrive")
    filler = f"/proc/{process.pid}/root{chaoskit.runs}/filler"
    subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=64k"], capture_output=True, check=False)  # ends when it is full
    assert process.wait(60) == 5, chaoskit.said
    assert "disk" in chaoskit.said
    chaoskit.assert_nothing_is_left()
