"""kill -9 of a test run in the middle: half a minute later nothing of it is there, whatever it had broken."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from chaoskit.environments import sweep

pytestmark = [pytest.mark.docker, pytest.mark.whole]

# What another team's suite may look like: in the middle of it everything is broken in some way.
SUITE = """
import pytest, subprocess, sys, time
from pathlib import Path
from chaoskit.environments.docker import DockerEnvironment
from chaoskit.testing import tiny_topology

def test_with_everything_broken(tmp_path):
    environment = DockerEnvironment(tiny_topology(), seed=1, options={}, logs=Path(sys.argv[-1]).parent / "logs")
    try:
        environment.up(is_stopping=lambda: False, say=print)
        environment.service("pair-1").kill()
        environment.service("back").pause()
        (link,) = environment.links("front", "back")
        link.cut(direction="both")
        child = subprocess.Popen(["sleep", "600"], env={"PATH": "/usr/bin:/bin", "CHAOSKIT_RUN": environment.stack.run})
        Path(sys.argv[-1]).with_name("run").write_text(f"{environment.stack.run} {environment.stack.reaper.pid} {child.pid}")
        time.sleep(600)
    finally:
        environment.down()
"""


def left(address, run):
    """Everything of a run that the engine or the kernel still has."""
    engine, labels = sweep.Engine(address), (f"{sweep.RUN_LABEL}={run}",)
    rows = [*engine.containers(*labels), *engine.networks(*labels), *engine.volumes(*labels)]
    groups = [str(group) for group in Path("/sys/fs/cgroup").glob(f"**/*{run}*")]
    links = [line for line in Path("/proc/mounts").read_text().splitlines() if run in line]
    return [sweep.name_of(row) for row in rows] + groups + links + [f"process {pid}" for pid in sweep.processes_of(run)]


def test_nothing_is_left_half_a_minute_after_a_test_run_was_killed(engine, tmp_path, wait_until, is_alive):
    suite = tmp_path / "test_suite.py"
    suite.write_text(SUITE)
    log = (tmp_path / "output").open("wb")
    runner = subprocess.Popen([sys.executable, "-m", "pytest", "-q", str(suite)], stdout=log, stderr=log, cwd=tmp_path)
    told = tmp_path / "run"
    try:
        wait_until(lambda: (told.exists() and told.read_text()) or runner.poll() is not None, timeout_s=60)
        assert told.exists(), (tmp_path / "output").read_text()
        run, reaper, child = told.read_text().split()
        assert len(left(engine.address, run)) > 5
    finally:
        runner.kill()
        runner.wait()
        log.close()
    killed_at = time.monotonic()
    wait_until(lambda: not is_alive(int(reaper)), timeout_s=30)
    print(f"the reaper was done after {time.monotonic() - killed_at:.1f} s")
    assert left(engine.address, run) == []
    assert not is_alive(int(child))
    written = (tmp_path / "logs" / "reaper.log").read_text()
    assert written.rstrip().endswith("nothing is left"), written
