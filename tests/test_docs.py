"""Every example in the README and the docs is run, validated or compared with the file that it shows."""

import json
import re
import shlex
from pathlib import Path

import pytest

from chaoskit import documents
from chaoskit.cli import main
from chaoskit.documents.policy import read_policies
from chaoskit.machine import Machine
from chaoskit.model.history import EVENTS
from chaoskit.registry import Registry

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"(?:<!-- (?P<note>[^\n]*?) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)```", re.DOTALL)
STARTS_SOMETHING = {"run", "load"}


def blocks(language):
    return [
        pytest.param(page, match, id=f"{page.relative_to(ROOT)}:{page.read_text()[: match.start()].count(chr(10)) + 1}")
        for page in PAGES
        for match in BLOCK.finditer(page.read_text())
        if match["language"] == language
    ]


@pytest.mark.parametrize("page,match", blocks("python"))
def test_python_runs(page, match, monkeypatch):
    """Also that a file which is shown is shown as it is; it has a test of its own then, and is only read here."""
    if match["note"] and match["note"].startswith("file: "):
        shown = ROOT / match["note"].removeprefix("file: ")
        assert match["text"] == shown.read_text(), "run tests/refresh_docs.py"
        monkeypatch.syspath_prepend(shown.parent)  # what stands beside it may be imported
    exec(compile(match["text"], str(page), "exec"), {"__name__": "example"})


@pytest.mark.parametrize("page,match", blocks("yaml"))
def test_a_document_is_valid(page, match, tmp_path):
    text = match["text"]
    if match["note"] and match["note"].startswith("file: "):
        assert text == (ROOT / match["note"].removeprefix("file: ")).read_text(), "run tests/refresh_docs.py"
    if match["note"] == "policy":
        (tmp_path / "policy.yaml").write_text(text)
        assert read_policies([tmp_path / "policy.yaml"])
    elif text.startswith("chaoskit: 1") or "\nchaoskit: 1" in text:
        documents.read_text(text, registry=Registry(), file=str(page))


@pytest.mark.parametrize("page,match", blocks("sh"))
def test_commands_are_there(page, match, monkeypatch, capsys, tmp_path):
    """A make target exists; a chaoskit command that starts nothing is run; one that starts something is read up to its dry run.

    `RUN` stands for the folder of a run that has ended. What is frozen is a machine of the test's, not this one.
    """
    machine = Machine(policies=(), freezes=(tmp_path / "all.json", tmp_path / "user.json"))
    monkeypatch.chdir(ROOT)
    (tmp_path / "experiment.yaml").write_text("")
    (tmp_path / "verdict.json").write_text("{}")
    for line in match["text"].splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["make"]:
            assert re.search(rf"^{words[1]}:.*##", (ROOT / "Makefile").read_text(), re.MULTILINE), line
        elif words[:2] == ["chaoskit", "run"]:
            assert main([*words[1:], "--dry-run"]) == 0, capsys.readouterr().err
        elif words[:1] == ["chaoskit"] and words[1] not in STARTS_SOMETHING:
            given = [str(tmp_path) if word == "RUN" else word for word in words[1:]]
            assert main(given, machine=machine) in {0, 1}, capsys.readouterr().err


def test_links_between_pages_lead_somewhere():
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_the_schema_of_the_verdict_is_published_as_it_is():
    schema = json.loads((ROOT / "chaoskit" / "engine" / "verdict.schema.json").read_text())
    page = (ROOT / "docs" / "reference" / "verdict.md").read_text()
    for key in schema["properties"]:
        assert f"`{key}`" in page, key


def test_every_event_of_a_history_is_described():
    page = (ROOT / "docs" / "reference" / "run-folder.md").read_text()
    described = set(re.findall(r"^\| `([a-z-]+)` \|", page.partition("## Events")[2], re.MULTILINE))
    assert described == set(EVENTS)
