"""A dry run of any experiment starts nothing, connects to nothing, signals nobody and writes nothing: seen by the interpreter's audit."""

import os
import subprocess
import sys

import pytest

from chaoskit.registry import experiments

AUDITED = """\
import os, sys

ACTS = {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "os.system", "os.kill", "os.killpg", "socket.connect",
        "socket.bind", "socket.sendto", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.chmod", "shutil.rmtree"}

def audit(event, args):
    if event in ACTS:
        raise SystemExit(f"a dry run did {event} {args!r}")
    if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        raise SystemExit(f"a dry run opened {args[0]!r} for writing")

sys.addaudithook(audit)
from chaoskit.cli import main
if sys.argv[1] == "write":
    open(sys.argv[2], "w")
sys.exit(main(sys.argv[1:]))
"""


def audited(*words):
    # Compiled modules of a first import would be written.
    variables = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-c", AUDITED, *map(str, words)], capture_output=True, text=True, timeout=60, env=variables, check=False
    )


@pytest.mark.parametrize("name", experiments())
def test_a_dry_run_acts_on_nothing(name, tmp_path):
    done = audited("run", experiments()[name], "--dry-run", "--seed", "3", "--runs", tmp_path / "runs")
    assert done.returncode == 0, done.stderr
    assert "inject" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_audit_would_see_it(tmp_path):
    done = audited("write", tmp_path / "file")
    assert "for writing" in done.stderr
    assert done.returncode == 1


def test_a_real_run_acts(tmp_path):
    done = audited(
        "run", experiments()["database_failover"], "--seed", "3", "--runs", tmp_path / "runs", "--lock", str(os.getpid())
    )
    assert done.returncode != 0
    assert "a dry run did" in done.stderr + done.stdout or "a dry run opened" in done.stderr + done.stdout
