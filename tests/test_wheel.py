"""The wheel as a stranger gets it: built from the checkout, installed with nothing but its dependencies, used away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXPERIMENTS = ("database_failover", "network_partition", "server_saturation")

pytestmark = pytest.mark.whole


def call(*command: object, cwd: Path) -> str:
    """Standard output of a command that must succeed. No PYTHONPATH: nothing of the checkout may be found by accident."""
    words = [str(word) for word in command]
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(words, cwd=cwd, env=variables, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    (made,) = folder.glob("chaoskit-*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The folder of programs of a fresh environment that has the wheel and its dependencies, no extras."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=True)
    call(folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, cwd=folder)
    return folder / "bin"


def test_the_wheel_has_code_data_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"chaoskit/experiments/{name}.chaos.yaml" for name in EXPERIMENTS} <= names
    assert "chaoskit/py.typed" in names
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "chaoskit").rglob("*.py")}
    assert sources <= names
    assert [name for name in names if name.split("/")[0] != "chaoskit" and ".dist-info/" not in name] == []


def test_only_the_core_dependency_is_installed(installed):
    lines = call(installed / "python", "-m", "pip", "list", "--format=freeze", cwd=installed).split()
    assert {line.partition("==")[0].lower() for line in lines} - {"pip", "setuptools", "wheel"} == {"chaoskit", "ruamel.yaml"}


def test_lists_every_kind(installed):
    printed = call(installed / "chaoskit", "list", cwd=installed)
    for name in (*EXPERIMENTS, "partition", "at-most-once", "bank", "lebaran", "no-idempotency"):
        assert name in printed
    assert "broken" not in printed


def test_shipped_experiments_are_found_and_valid(installed):
    code = "from chaoskit.registry import experiments; print(*experiments().values(), sep='\\n')"
    paths = [Path(line) for line in call(installed / "python", "-c", code, cwd=installed).split()]
    assert {path.name.partition(".")[0] for path in paths} >= set(EXPERIMENTS)
    assert all(installed.parent in path.parents for path in paths)
    assert call(installed / "chaoskit", "validate", *paths, cwd=installed).count(": valid: ") == len(paths)


def test_prints_the_schema(installed):
    assert '"fault-kill"' in call(installed / "chaoskit", "schema", cwd=installed)
