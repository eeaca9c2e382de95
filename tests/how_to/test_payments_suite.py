"""The how-to's repository as its reader gets it: copied, installed from the wheel, and run by the commands of the CI page.

But for `docker build`, which needs a registry: its images are stood in for.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

ROOT = Path(__file__).parents[2]
SUITE = ROOT / "docs" / "how-to" / "payments-suite"
PAGE = ROOT / "docs" / "how-to" / "ci" / "README.md"
INSTALL_S, RUN_S = 600, 400  # four times what they took on a busy machine of two cores
EXPERIMENT = "experiments/db_dies.chaos.yaml"

pytestmark = [pytest.mark.docker, pytest.mark.whole]


def call(command, *, cwd, timeout_s, **more):
    """Runs one line in a shell. Nothing of the checkout may be found by accident."""
    ours = ("PYTHON", "VIRTUAL_ENV", "PYTEST_", "CHAOSKIT_RUNS", "CHAOSKIT_SEED")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(
        ["sh", "-e", "-c", command],
        cwd=cwd,
        env={**variables, **more},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    print(command, done.stdout, done.stderr, sep="\n")
    return done


@pytest.fixture(scope="module")
def commands():
    """The commands of the CI page, by the program that they are."""
    lines = re.search(r"<!-- commands -->\n```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)[1].splitlines()
    names = ("venv", "pip", "build", "pytest", "report", "gc")
    assert all(name in line for name, line in zip(names, lines, strict=True))
    return dict(zip(names, lines, strict=True))


@pytest.fixture(scope="module")
def repository(commands, tmp_path_factory):
    """The copy, with everything installed that its own file names, in an environment of its own."""
    wheels, folder = tmp_path_factory.mktemp("wheel"), tmp_path_factory.mktemp("repository") / "payments"
    build = f"{sys.executable} -m build --wheel --no-isolation --outdir {wheels} {ROOT}"
    assert call(build, cwd=wheels, timeout_s=INSTALL_S).returncode == 0
    (wheel,) = wheels.glob("chaoskit-*.whl")
    shutil.copytree(SUITE, folder, ignore=shutil.ignore_patterns(".*", "__pycache__", "runs", "*.egg-info"))
    assert call(commands["venv"].replace("python3", sys.executable), cwd=folder, timeout_s=INSTALL_S).returncode == 0
    # First, so that it is this one that the suite's own requirement finds, whatever an index may have under its name.
    assert call(f".venv/bin/python -m pip install --quiet {wheel}", cwd=folder, timeout_s=INSTALL_S).returncode == 0
    assert call(commands["pip"], cwd=folder, timeout_s=INSTALL_S).returncode == 0
    return folder


@pytest.fixture
def fresh(repository):
    """The repository before its first run."""
    shutil.rmtree(repository / "runs", ignore_errors=True)
    return repository


def outcomes(folder):
    """Test -> what the file for CI says of it."""
    cases = ET.parse(folder / "junit.xml").getroot().iter("testcase")
    return {case.get("name"): [child.tag for child in case if child.tag in {"failure", "error", "skipped"}] for case in cases}


@pytest.fixture
def left(engine):
    """What there is of chaoskit's containers and networks now and was not there before the test."""

    def there():
        filters = {"label": "chaoskit.run"}
        found = [*engine.client.containers.list(all=True, filters=filters), *engine.client.networks.list(filters=filters)]
        return {one.id for one in found}

    before = there()
    return lambda: there() - before


def test_passes_by_itself(fresh, suite_stand_ins, left):
    done = call(".venv/bin/pytest --junitxml=junit.xml", cwd=fresh, timeout_s=RUN_S, **suite_stand_ins)
    assert done.returncode == 0
    assert len(outcomes(fresh)) == 4
    assert not any(outcomes(fresh).values())
    assert EXPERIMENT in done.stdout
    assert left() == set()


def test_passes_in_two_processes_and_is_summed_up(fresh, commands, suite_stand_ins, left):
    more = {**suite_stand_ins, "SEED": "1", "RUNS_URL": "https://ci.example/{run}"}
    assert call(commands["pytest"], cwd=fresh, timeout_s=RUN_S, **more).returncode == 0
    assert not any(outcomes(fresh).values())
    assert call(commands["report"], cwd=fresh, timeout_s=RUN_S, **more).returncode == 0
    summary = (fresh / "summary.md").read_text()
    assert summary.startswith("**chaoskit: 3 runs: 3 PASSED**"), "by hand, by chaos.run, and as the file by itself"
    assert left() == set()


def test_fails_a_service_that_does_not_find_its_database_again(fresh, broken_stand_ins, left):
    """A suite that has never failed has shown nothing."""
    done = call(f".venv/bin/pytest {EXPERIMENT} --junitxml=junit.xml", cwd=fresh, timeout_s=RUN_S, **broken_stand_ins)
    assert done.returncode == 1
    assert list(outcomes(fresh).values()) == [["failure"]]
    assert "FAIL  recovery: pay did not become steady again" in done.stdout
    assert "the end of logs/payments.log" in done.stdout, "the containers are up still, so the run has kept how their logs end"
    assert left() == set()


def test_is_skipped_without_an_engine_and_fails_where_one_is_required(fresh, suite_stand_ins):
    nowhere = {**suite_stand_ins, "DOCKER_HOST": f"unix://{fresh}/no.sock"}
    done = call(".venv/bin/pytest -rs --junitxml=junit.xml", cwd=fresh, timeout_s=RUN_S, **nowhere)
    assert done.returncode == 0
    assert list(outcomes(fresh).values()) == [["skipped"]] * 4
    done = call(".venv/bin/pytest --chaos-require-docker --junitxml=junit.xml", cwd=fresh, timeout_s=RUN_S, **nowhere)
    assert done.returncode == 1
    assert "skipped" not in str(outcomes(fresh))
