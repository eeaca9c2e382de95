"""The public API is complete for those who check their types: strict mypy and strict pyright agree on right and wrong use."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
WITHIN_S = 240
"""Both take some ten seconds without a cache on a machine that does nothing else."""
PROGRAMS = {
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


PUBLIC = ("Chaos", "chaos", "checkers", "documents", "faults", "model", "registry", "strategies", "testing")
"""The modules that other teams import from, and what `chaoskit` itself gives."""
INFERRED = {"needs", "verify"}
"""`needs` of a fault has no annotation, since pyright takes no ClassVar for a property; `verify` is a program, not a module."""


def test_the_public_api_says_all_of_its_types():
    variables = {**os.environ, "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))}
    variables["VIRTUAL_ENV"] = sys.prefix
    words = (sys.executable, "-m", "pyright", "--verifytypes", "chaoskit", "--ignoreexternal", "--outputjson")
    done = subprocess.run(words, capture_output=True, text=True, timeout=WITHIN_S, check=False, cwd=HERE, env=variables)
    symbols = json.loads(done.stdout)["typeCompleteness"]["symbols"]
    public = [one for one in symbols if one["isExported"] and one["name"].partition(".")[2].partition(".")[0] in PUBLIC]
    assert len(public) > 1000, done.stdout[:2000]
    vague = [
        f"{one['name']}: {said['message']}"
        for one in public
        for said in one["diagnostics"]
        if said["severity"] == "error" and not INFERRED & set(one["name"].split("."))
    ]
    assert vague == []


def test_mypy_accepts_right_use_and_refuses_wrong_use():
    check("mypy")


def test_pyright_accepts_right_use_and_refuses_wrong_use():
    check("pyright")
