"""The how-to's test as its reader runs it: with pytest, in a process of its own, on images that stand in for published ones."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "test-your-own-containers.md"

pytestmark = [pytest.mark.docker, pytest.mark.whole]


def test_the_test_of_the_page_passes(stand_ins, tmp_path):
    variables = {**os.environ, **stand_ins}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--basetemp={tmp_path / 'own'}",
        PAGE.parent / "test_payments.py",
    ]
    done = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "1 passed" in done.stdout
