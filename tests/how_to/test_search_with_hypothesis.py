"""The page's search, on the bank as it is: one schedule, which is the same every time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SEARCH = Path(__file__).parents[2] / "docs" / "how-to" / "search_the_bank.py"
WITHIN_S = 180
"""One run of the bank takes half a minute."""


@pytest.mark.whole
def test_the_search_of_the_page_finds_nothing_in_the_bank_as_it_is(tmp_path):
    variables = {**os.environ, "CI": "1", "EXAMPLES": "1", "DEFECT": "none"}
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", str(tmp_path / "pytest"), str(SEARCH)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=WITHIN_S, env=variables, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert len(list((tmp_path / "pytest").rglob("verdict.json"))) == 1
