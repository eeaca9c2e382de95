"""The how-to's repository under strict types, as a team that copies it may have them."""

import subprocess
import sys
from pathlib import Path

import pytest

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"


@pytest.mark.parametrize("folder", ["payments-suite", "wallets"])
def test_the_repository_is_strictly_typed(tmp_path, folder):
    suite = HOW_TO / folder
    command = [sys.executable, "-m", "mypy", "--strict", f"--cache-dir={tmp_path}", "--config-file=", *sorted(suite.rglob("*.py"))]
    done = subprocess.run(command, cwd=suite, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
