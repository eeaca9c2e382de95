"""SIGTERM and Ctrl-C heal and say that the run was stopped, whatever a fault is doing when they come."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chaoskit.engine.store import RunFolder
from chaoskit.model import undo

CORNER = Path(__file__).parents[1] / "comparison"
WITHIN_S = 30.0
"""Half of it is what healing may take on a busy machine; the fault itself hangs for five seconds."""
SIGNALS = {
    "sleep": signal.SIGTERM,
    "socket": signal.SIGINT,
    "child": signal.SIGTERM,
    "thread": signal.SIGINT,
    "swallow": signal.SIGTERM,
    "log": signal.SIGINT,
}
"""Each place once; both signals take the same way."""

DOCUMENT = """\
chaoskit: 1
title: The shop stays open
environment: "corner:topology"
load: {{arrivals_per_s: 50, duration: 1m, mix: {{look: 1}}}}
faults:
  - {{fault: hang, how: {how}, tells: "{tells}", at: 1s}}
expect:
  - {{check: availability, journey: look, at_least: 1%}}
"""


def with_mark(mark):
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes():
                found.append(path.parent.name)
    return found


@pytest.mark.whole
@pytest.mark.parametrize("how", SIGNALS)
def test_a_signal_heals_wherever_a_fault_is(how, tmp_path):
    tells, document, mark = tmp_path / "tells", tmp_path / "shop.chaos.yaml", f"mark-{os.getpid()}-{how}"
    document.write_text(DOCUMENT.format(how=how, tells=tells))
    words = [sys.executable, "-m", "chaoskit.cli", "run", document, "--runs", tmp_path / "runs", "--lock", mark]
    variables = {**os.environ, "PYTHONPATH": str(CORNER), "CORNER_MARK": mark}
    with (tmp_path / "printed").open("wb") as printed:
        process = subprocess.Popen(words, stdout=printed, stderr=printed, env=variables, start_new_session=True)
    try:
        deadline = time.monotonic() + WITHIN_S
        while not tells.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)  # between two looks, bounded by the deadline
        process.send_signal(SIGNALS[how])
        # Twice, as somebody does who is in a hurry.
        process.send_signal(SIGNALS[how])
        code = process.wait(3 * WITHIN_S)
    finally:
        process.kill()
        process.wait()
    said = (tmp_path / "printed").read_text()
    (path,) = (tmp_path / "runs").iterdir()
    folder = RunFolder(path)
    verdict = json.loads(folder.verdict.read_text())
    with folder.undo.open("rb") as lines:
        records = undo.read(lines)
    assert not with_mark(mark), said
    assert records.is_closed
    assert (code, verdict["verdict"]) == (4, "aborted"), said
    # Whether it had an effect was not looked at any more, and that is told, too.
    assert verdict["problems"][0] == (f"stopped: {'Ctrl-C' if SIGNALS[how] == signal.SIGINT else 'SIGTERM'}")
    assert records.open == ()
    assert folder.read_history().faults[0].healed_ns is not None
