"""The public API is complete for those who check their types: strict mypy and strict pyright agree on right and wrong use."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WITHIN_S = 240
"""Both take some ten seconds without a cache on a machine that does nothing else."""
PROGRAMS = {
    # No cache: it is in the folder of whoever runs the tests, and another version's is worth nothing.
    "mypy": ("mypy", "--strict", "--no-error-summary", "--hide-error-context", "--no-pretty", "--output=json"),
    "pyright": ("pyright", "--outputjson", "--pythonpath", sys.executable, "--project", str(HERE)),
}


def errors(program: str) -> dict[str, dict[int, str]]:
    """The errors of each file by line."""
    words = PROGRAMS[program]
    files = [str(HERE / "api.py"), str(HERE / "misuse.py")] if program == "mypy" else []
    done = subprocess.run(
        [sys.executable, "-m", *words, *files], capture_output=True, text=True, timeout=WITHIN_S, check=False, cwd=ROOT
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    assert "No module named" not in done.stderr, f"{done.stderr}: pip install 'chaoskit[dev]'"
    found: dict[str, dict[int, str]] = {}
    if program == "mypy":
        for one in map(json.loads, done.stdout.splitlines()):
            if one["severity"] == "error":
                found.setdefault(Path(one["file"]).name, {})[one["line"]] = one["message"]
    else:
        for one in json.loads(done.stdout)["generalDiagnostics"]:
            if one["severity"] == "error":
                found.setdefault(Path(one["file"]).name, {})[one["range"]["start"]["line"] + 1] = one["message"]
    return found


def check(program: str) -> None:
    found = errors(program)
    lines = (HERE / "misuse.py").read_text(encoding="utf-8").splitlines()
    refused = {number for number, line in enumerate(lines, start=1) if re.search(r"# refused$", line)}
    assert found.pop("misuse.py", {}).keys() == refused
    assert found == {}, "the right use of the API has errors"


def test_mypy_accepts_right_use_and_refuses_wrong_use():
    check("mypy")


def test_pyright_accepts_right_use_and_refuses_wrong_use():
    check("pyright")
