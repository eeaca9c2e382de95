"""Two experiments that are started at once on one environment: the second is refused with the first one's name."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chaoskit.engine.lock import FOLDERS

KIOSK = Path(__file__).parent / "kiosk"
WITHIN_S = 60
"""A run takes five seconds."""

pytestmark = pytest.mark.whole


def command(runs, lock):
    document = KIOSK / "say.chaos.yaml"
    return [sys.executable, "-m", "chaoskit.cli", "run", str(document), "--seed", "5", "--runs", str(runs), "--lock", lock]


def start(runs, lock):
    variables = {**os.environ, "PYTHONPATH": str(KIOSK)}
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command(runs, lock), env=variables, **streams)


def lock_files():
    for path in [path for folder in FOLDERS for path in folder.glob("chaoskit-*.lock")]:
        with contextlib.suppress(OSError):  # another test's, gone meanwhile
            yield path.read_text()


@pytest.fixture
def first(tmp_path):
    """A run with customers, and the name of its lock."""
    lock = f"{tmp_path.name}-{os.getpid()}"
    process = start(tmp_path / "first", lock)
    assert any("customers arrive" in line for line in process.stderr)
    yield process, lock
    if process.poll() is None:
        process.terminate()
    process.communicate(timeout=WITHIN_S)


def test_the_second_is_refused_with_the_first_one_s_name_and_the_first_goes_on(first, tmp_path):
    process, lock = first
    second = start(tmp_path / "second", lock)
    printed, said = second.communicate(timeout=WITHIN_S)
    assert second.returncode == 2
    assert printed == ""
    (folder,) = (tmp_path / "first").iterdir()
    assert f"refused: environment 'kiosk on process, {lock}' is in use by {folder} (process {process.pid} of " in said
    assert not (tmp_path / "second").exists()
    process.communicate(timeout=WITHIN_S)
    assert process.returncode == 0
    third = start(tmp_path / "third", lock)
    third.communicate(timeout=WITHIN_S)
    assert third.returncode == 0


def test_a_copy_with_a_name_of_its_own_runs_beside_it(first, tmp_path):
    process, lock = first
    second = start(tmp_path / "second", lock + "-other")
    assert any("customers arrive" in line for line in second.stderr)
    assert process.poll() is None
    second.communicate(timeout=WITHIN_S)
    assert second.returncode == 0


def test_a_run_that_was_killed_does_not_keep_the_next_one_out(first, tmp_path):
    process, lock = first
    process.kill()
    process.wait(WITHIN_S)
    (folder,) = (tmp_path / "first").iterdir()
    deadline = time.monotonic() + WITHIN_S
    while not (folder / "verdict.json").exists():
        assert time.monotonic() < deadline, "its janitor did not end"
        time.sleep(0.05)  # between two looks, bounded by the deadline
    assert not any(str(folder) in text for text in lock_files()), "its lock's file is left"
    second = start(tmp_path / "second", lock)
    second.communicate(timeout=WITHIN_S)
    assert second.returncode == 0


def janitor_of(folder):
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().decode().split("\0") if process.name.isdecimal() else []
            if "chaoskit.janitor" in words and str(folder) in words:
                return int(process.name)
    raise AssertionError("it has no janitor")


def test_the_next_one_is_kept_out_as_long_as_the_janitor_of_a_killed_run_heals(first, tmp_path):
    process, lock = first
    (folder,) = (tmp_path / "first").iterdir()
    janitor = janitor_of(folder)
    os.kill(janitor, signal.SIGSTOP)
    try:
        process.kill()
        process.wait(WITHIN_S)
        second = start(tmp_path / "second", lock)
        _, said = second.communicate(timeout=WITHIN_S)
    finally:
        os.kill(janitor, signal.SIGCONT)
    assert second.returncode == 2
    assert f"in use by {folder} (process {process.pid} of " in said
    assert "which has died: its janitor is healing what it has left; try again in a moment, or see chaoskit heal RUN" in said
    assert not (tmp_path / "second").exists()
    deadline = time.monotonic() + WITHIN_S
    while not (folder / "verdict.json").exists():
        assert time.monotonic() < deadline, "its janitor did not end"
        time.sleep(0.05)  # between two looks, bounded by the deadline
    third = start(tmp_path / "third", lock)
    third.communicate(timeout=WITHIN_S)
    assert third.returncode == 0
