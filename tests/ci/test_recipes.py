"""The CI recipes: valid by the published schemas, the same commands everywhere, and commands that do what the page says.

A Jenkinsfile has no published schema, and the linter that Jenkins has is part of a running server: there only the structure is looked at.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from chaoskit.reports.markdown import markdown

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "docs" / "how-to" / "ci"
PAGE = RECIPES / "README.md"
SCHEMAS = {
    "github-pull-request.yml": ["--builtin-schema", "vendor.github-workflows"],
    "github-nightly.yml": ["--builtin-schema", "vendor.github-workflows"],
    "gitlab-ci.yml": ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"],
}
NEEDS_NETWORK = ("python3 -m venv ", ".venv/bin/python -m pip install ", "docker build ")
"""What is left out here. But for the last one, the test of the how-to's repository runs it."""
OF_THE_SYSTEM = ('cat summary.md >> "$GITHUB_STEP_SUMMARY"',)
"""What a recipe has that only its system knows."""

# A suite that takes a second: one test, on a system in memory.
CONFTEST = """
import os
from pathlib import Path
import pytest
from chaoskit.machine import Machine
from chaoskit.testing import FakeEnvironment, FakeLoad

@pytest.fixture
def fake():
    return FakeEnvironment()

@pytest.fixture(scope="session")
def chaos_arguments(tmp_path_factory):
    locks = tmp_path_factory.mktemp("locks")
    locks.chmod(0o1777)
    return {"new_load": FakeLoad, "machine": Machine(policies=(), freezes=(locks / "none",), locks=(locks,))}
"""
TEST = """
import os, threading
from chaoskit.model.verdict import Result
from chaoskit.faults.kill import Kill
from chaoskit.testing import FixedChecker

def wait_for_operations(chaos, count):
    while len(chaos.history().operations) < count:
        threading.Event().wait(0.01)  # between two looks

def test_quick(chaos):
    with chaos.load(arrivals_per_s=100, mix={"visit": 1}):
        wait_for_operations(chaos, 20)
        with chaos.fault(Kill(service="back")):
            wait_for_operations(chaos, 40)
        wait_for_operations(chaos, 60)
    chaos.verify(FixedChecker(outcome=Result(os.environ["OUTCOME"])))
"""


def yaml(name):
    return YAML(typ="safe").load((RECIPES / name).read_text())


def github(name):
    """The shell commands of a workflow, one a line, in their order."""
    return [line for job in yaml(name)["jobs"].values() for step in job["steps"] for line in step.get("run", "").splitlines()]


def gitlab(name):
    job = yaml(name)[".chaos"]
    return [*job["script"], *job["after_script"]]


def jenkins(name):
    return re.findall(r"\bsh '(.*)'$", (RECIPES / name).read_text(), re.MULTILINE)


COMMANDS = {"github-pull-request.yml": github, "github-nightly.yml": github, "gitlab-ci.yml": gitlab, "Jenkinsfile": jenkins}


def of_the_page():
    found = re.search(r"<!-- commands -->\n```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return found[1].splitlines()


def check_schema(path, *arguments):
    command = [sys.executable, "-m", "check_jsonschema", *arguments, path]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def as_checked(name, text, folder):
    """The file that the schema is asked about. GitLab's says nothing of templates, so they are put where they are used."""
    document = YAML(typ="safe").load(text)
    path = folder / name
    if name == "gitlab-ci.yml":
        jobs = {key: {**document.get(job.get("extends"), {}), **job} for key, job in document.items() if not key.startswith(".")}
        with path.open("w") as file:
            YAML(typ="safe").dump({key: {k: v for k, v in job.items() if k != "extends"} for key, job in jobs.items()}, file)
    else:
        path.write_text(text)
    return path


@pytest.mark.parametrize("name", SCHEMAS)
def test_is_valid_by_the_published_schema(name, tmp_path):
    text = (RECIPES / name).read_text()
    assert check_schema(RECIPES / name, *SCHEMAS[name]).returncode == 0
    done = check_schema(as_checked(name, text, tmp_path), *SCHEMAS[name])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name,right,wrong", [
    ("github-pull-request.yml", "runs-on:", "runs_on:"),
    ("github-nightly.yml", "fail-fast: false", "fail-fast: 17"),
    ("gitlab-ci.yml", "when: always", "when: sometimes"),
    ("gitlab-ci.yml", "after_script:", "afterwards:"),
])  # fmt: skip
def test_a_mistake_is_seen_by_the_schema(name, right, wrong, tmp_path):
    text = (RECIPES / name).read_text()
    assert right in text
    assert check_schema(as_checked(name, text.replace(right, wrong), tmp_path), *SCHEMAS[name]).returncode == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_every_recipe_has_the_commands_of_the_page_and_no_others(name):
    assert [line for line in COMMANDS[name](name) if line not in OF_THE_SYSTEM] == of_the_page()


def test_the_page_shows_a_summary_of_today():
    shown = re.search(r"<!-- summary -->\n```text\n(.*?)```", PAGE.read_text(), re.DOTALL)[1].splitlines()
    assert shown[1:4] == markdown([]).splitlines()[1:4]


def test_every_recipe_is_in_the_page_and_here():
    assert {path.name for path in RECIPES.iterdir()} == {*COMMANDS, PAGE.name}
    assert all(f"]({name})" in PAGE.read_text() for name in COMMANDS)


@pytest.mark.parametrize("name", ["github-pull-request.yml", "github-nightly.yml"])
def test_github_reports_whatever_the_tests_said_and_keeps_everything(name):
    (job,) = yaml(name)["jobs"].values()
    steps = job["steps"]
    broke = next(index for index, step in enumerate(steps) if "pytest" in step.get("run", ""))
    assert all("always()" in step["if"] or "!cancelled()" in step["if"] for step in steps[broke + 1 :])
    kept = next(step["with"] for step in steps if step.get("uses", "").startswith("actions/upload-artifact@"))
    assert kept["path"].split() == ["runs/", "junit.xml", "summary.md"]
    assert kept["if-no-files-found"] == "error"
    assert yaml(name)["permissions"] == {"contents": "read"}


def test_gitlab_reads_the_junit_file_and_keeps_everything():
    kept = yaml("gitlab-ci.yml")[".chaos"]["artifacts"]
    assert (kept["when"], kept["reports"], kept["paths"]) == (
        "always",
        {"junit": "junit.xml"},
        ["runs/", "junit.xml", "summary.md"],
    )


def test_a_gate_has_one_seed_and_a_night_another():
    assert yaml("github-pull-request.yml")["env"]["SEED"] == yaml("gitlab-ci.yml")["chaos"]["variables"]["SEED"] == "1"
    assert yaml("github-nightly.yml")["env"]["SEED"] == "${{ github.run_number }}"
    assert yaml("gitlab-ci.yml")["chaos-nightly"]["variables"]["SEED"] == "$CI_PIPELINE_IID"
    assert re.findall(r"\bSEED = (.*)", (RECIPES / "Jenkinsfile").read_text()) == ["'1'", '"${BUILD_NUMBER}"']


@pytest.fixture
def repository(tmp_path):
    """A quick suite where the commands expect one, with this interpreter's environment in the place of the one they make."""
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_quick.py").write_text(TEST)
    (tmp_path / "pytest.ini").write_text("[pytest]\nchaos_environment = fake\n")
    return tmp_path


def run_all(lines, folder, *, outcome):
    """Each command as these systems do it: in a shell that stops at the first failure. Returns the exit codes by program."""
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "CHAOSKIT_"))},
        "SEED": "7",
        "RUNS_URL": "https://ci.example/runs/{run}",
        "GITHUB_STEP_SUMMARY": str(folder / "step-summary.md"),
        "OUTCOME": outcome,
    }
    codes = {}
    for line in lines:
        if line.startswith(NEEDS_NETWORK):
            continue
        # Looking is enough: other runs on this machine are none of this test's business.
        command = line + " --dry-run" if line.endswith("chaoskit gc") else line
        done = subprocess.run(["sh", "-e", "-c", command], cwd=folder, env=variables, capture_output=True, text=True, timeout=120)  # noqa: PLW1510
        codes[Path(line.split()[0]).name + " " + line.split()[1]] = done.returncode
        print(command, done.stdout, done.stderr, sep="\n")
    return codes


@pytest.mark.whole
@pytest.mark.parametrize("name,outcome,code", [
    ("gitlab-ci.yml", "passed", 0),
    ("Jenkinsfile", "inconclusive", 1),
    ("github-pull-request.yml", "failed", 1),
    ("github-nightly.yml", "passed", 0),
])  # fmt: skip
def test_the_commands_do_what_the_page_says(name, outcome, code, repository):
    """That all recipes have the same commands is another test's: here each of them is run to one outcome."""
    codes = run_all(COMMANDS[name](name), repository, outcome=outcome)
    assert codes["pytest -n"] == code
    assert codes["chaoskit report"] == 0
    assert codes["chaoskit gc"] in {0, 1}
    summary = (repository / "summary.md").read_text()
    assert summary.startswith(f"**chaoskit: 1 run: 1 {outcome.upper()}**")
    (run,) = (repository / "runs").iterdir()
    assert f"](<https://ci.example/runs/{run.name}>)" in summary
    assert "chaos_verdict" in (repository / "junit.xml").read_text()
    if name.startswith("github"):
        assert (repository / "step-summary.md").read_text() == summary


def test_a_suite_that_did_not_run_fails_its_summary(repository):
    codes = run_all([line for line in of_the_page() if "chaoskit report" in line], repository, outcome="passed")
    assert codes["chaoskit report"] == 2
    assert "NO VERDICT" in (repository / "summary.md").read_text()
