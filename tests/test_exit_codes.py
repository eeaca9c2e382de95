"""Every verdict once, by the command line on a real system of two small processes: exit code, verdict.json and junit.xml agree."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from chaoskit.model.verdict import Result

KIOSK = Path(__file__).parent / "kiosk"
DOCUMENT = KIOSK / "say.chaos.yaml"
WITHIN_S = 60
"""A run takes five seconds."""


def chaoskit(*words):
    variables = {**os.environ, "PYTHONPATH": str(KIOSK)}
    return subprocess.run(
        [sys.executable, "-m", "chaoskit.cli", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        env=variables,
        check=False,
    )


def case_of(path):
    """What CI shows of the run itself."""
    root = ET.parse(path).getroot()
    run = next(case for case in root.iter("testcase") if case.get("name") == "verdict")
    return next(((element.tag, element.get("type")) for element in run), None), root


VERDICTS = {
    "passed": ((), 0, None),
    "failed": (("OUTCOME=failed",), 1, ("failure", "failed")),
    "inconclusive, as a check says": (("OUTCOME=inconclusive",), 3, ("error", "inconclusive")),
    "inconclusive, without a steady state": (("MOOD=grumpy",), 3, ("error", "inconclusive")),
    "inconclusive, by a check that breaks": (("OUTCOME=broken",), 3, ("error", "inconclusive")),
    "aborted": (("ABORT=failed",), 4, ("error", "aborted")),
    "error, not injected": (("WHERE=error",), 5, ("error", "error")),
    "error, not started": (("MOOD=dead",), 5, ("error", "error")),
}


@pytest.mark.whole
@pytest.mark.parametrize("name", VERDICTS)
def test_exit_code_verdict_and_junit_agree(name, tmp_path):
    variables, code, case = VERDICTS[name]
    own = ("--seed", 5, "--runs", tmp_path, "--lock", os.getpid())
    done = chaoskit("run", DOCUMENT, *own, *(word for one in variables for word in ("--var", one)))
    result = name.partition(",")[0]
    assert done.returncode == code, done.stdout + done.stderr
    assert done.stdout.startswith(result.upper() + ":")
    (folder,) = tmp_path.iterdir()
    verdict = json.loads((folder / "verdict.json").read_text())
    assert (verdict["verdict"], verdict["exit_code"]) == (result, code)
    shown, root = case_of(folder / "junit.xml")
    assert shown == case
    assert (root.get("errors") == root.get("failures") == "0") == (code == 0)
    assert {case.get("classname") for case in root.iter("testcase")} == {"say"}
    again = chaoskit("check", folder)
    assert again.returncode == code


MATRIX = """\
matrix:
  - {expect.0.outcome: passed}
  - {expect.0.outcome: failed}
  - {expect.0.outcome: inconclusive, load.duration: 2s}
"""


@pytest.mark.whole
def test_every_entry_of_a_matrix_is_run_and_the_worst_verdict_is_the_exit_code(tmp_path):
    document, runs = tmp_path / "say.chaos.yaml", tmp_path / "runs"
    document.write_text(DOCUMENT.read_text() + MATRIX)
    own = ("--seed", 5, "--runs", runs, "--lock", os.getpid())
    done = chaoskit("run", document, *own)
    assert done.returncode == 1, done.stdout + done.stderr
    starts = ("PASSED:", "FAILED:", "INCONCLUSIVE:")
    assert [line.split()[0] for line in done.stdout.splitlines() if line.startswith(starts)] == list(starts)
    folders = sorted(runs.iterdir())
    ids = ("outcome=passed", "outcome=failed", "outcome=inconclusive,duration=2s")
    assert [folder.name.partition("-")[2] for folder in folders] == [f"say-{id_}-5" for id_ in ids]
    for folder, id_, code in zip(folders, ids, (0, 1, 3), strict=True):
        verdict = json.loads((folder / "verdict.json").read_text())
        assert verdict["exit_code"] == code
        assert verdict["title"] == f"The kiosk does what it is told [{id_}]"
        assert f"--entry {id_}" in verdict["reproduce"]
        assert chaoskit("check", folder).returncode == code, "the stored document is this entry alone"
        classes = {case.get("classname") for case in ET.parse(folder / "junit.xml").getroot().iter("testcase")}
        assert classes == {f"say-{id_}"}
    again = chaoskit("run", document, *own, "--entry", "outcome=passed", "--json")
    assert again.returncode == 0, again.stdout + again.stderr
    assert json.loads(again.stdout)["verdict"] == "passed"


WRONG = {
    "no such command": ("rnu",),
    "no such option": ("run", DOCUMENT, "--sede", "5"),
    "an option of nobody": ("run", DOCUMENT, "--option", "modo=grumpy"),
    "a document with a mistake": ("run", DOCUMENT, "--var", "OUTCOME=perhaps"),
    "no document": ("run", KIOSK / "gone.chaos.yaml"),
    "a folder without a run": ("check", KIOSK),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_usage_and_an_invalid_document_are_2_and_leave_nothing(name, tmp_path):
    words = WRONG[name]
    runs = ("--runs", tmp_path / "runs") if words[0] == "run" else ()
    done = chaoskit(*words, *runs)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_each_result_has_a_code_of_its_own():
    assert [result.exit_code for result in Result] == [0, 3, 1, 4, 5]
