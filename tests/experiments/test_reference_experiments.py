"""Each reference experiment passes on the bank as it is and fails on the defect that it is there for, by the right checker."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
LONGEST_S = 75
"""No run may take longer: the limit that the experiments promise."""

pytestmark = pytest.mark.whole


def run(name, tmp_path, *options):
    """The verdict of one run from the command line, and the seconds it took by its own account."""
    command = [sys.executable, "-m", "chaoskit.cli", "run", EXPERIMENTS / f"{name}.chaos.yaml", "--json", "--seed", "7",
               "--runs", tmp_path / "runs", *options]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=LONGEST_S * 2, check=False, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert done.stdout, done.stderr
    verdict = json.loads(done.stdout)
    assert done.returncode == verdict["exit_code"], done.stderr
    assert processes_below(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["runs"], "something is left outside the run folder"
    return verdict


def processes_below(folder):
    """Processes whose working folder, arguments or environment name *folder*."""
    left = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            texts = (str((process / "cwd").readlink()), (process / "cmdline").read_text(), (process / "environ").read_text())
        except OSError:
            continue
        if int(process.name) != os.getpid() and any(str(folder) in text for text in texts):
            left.append((process.name, texts[1]))
    return left


def failed(verdict):
    return {finding["checker"] for finding in verdict["findings"] if finding["outcome"] == "failed"}


@pytest.mark.parametrize("name", ["database_failover", "network_partition", "server_saturation"])
def test_passes_on_the_bank_as_it_is(name, tmp_path):
    verdict = run(name, tmp_path)
    assert verdict["verdict"] == "passed", json.dumps(verdict, indent=1)
    assert verdict["rpo"] == {"operations": 0, "amount": 0}
    assert all(fault["effect_seen"] and fault["healed_at_s"] is not None for fault in verdict["faults"])
    assert all(fault["late_ms"] <= 50 for fault in verdict["faults"])


@pytest.mark.parametrize(
    "name,defect,checkers",
    [
        ("server_saturation", "unbounded-queue", {"availability", "recovery"}),
        ("database_failover", "async-replication", {"ack-durable"}),
        ("database_failover", "no-takeover", {"takeover"}),
        ("network_partition", "no-idempotency", {"at-most-once"}),
    ],
)
def test_fails_on_the_defect_by_the_right_checker(name, defect, checkers, tmp_path):
    verdict = run(name, tmp_path, "--option", f"defect={defect}")
    assert verdict["verdict"] == "failed", json.dumps(verdict, indent=1)
    assert failed(verdict) & checkers, json.dumps(verdict["findings"], indent=1)
