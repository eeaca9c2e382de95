"""A marker is planted wherever a secret can be, and then every artefact of a run is searched for it, whatever it is dressed as.

An option, a fault's argument and error, what services print and answer, a URL, what a journey raises, a probe's value, a version, a
checker's text, a ledger's error, and an error of chaoskit itself.
"""

import base64
import contextlib
import html
import json
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest

KIOSK = Path(__file__).parent / "kiosk"
DOCUMENT = KIOSK / "tell.chaos.yaml"
WITHIN_S = 60
"""A run takes five seconds."""


def dresses(value):
    """How it may look; the last ones are its base64 behind the `user:` that the kiosk puts there, without what a neighbour decides."""
    coded = base64.b64encode(f"user:{value}".encode()).decode()
    in_json = [json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]]
    in_xml = [html.escape(value), html.escape(value, quote=False), html.escape(value, quote=False).replace('"', "&quot;")]
    return [value, quote(value), quote(value, safe=""), *in_json, *in_xml, repr(value)[1:-1], coded[8:-4]]


class Told:
    """One run with marks of its own, which nothing else on this machine has."""

    def __init__(self, tmp_path):
        self.token, self.told, self.password = (f"{name}/µ\"{secrets.token_hex(8)}'<" for name in ("token", "told", "pass"))
        self.password = f"pass{secrets.token_hex(8)}"
        self.runs = tmp_path / "runs"
        self.tmp_path = tmp_path

    def run(self, *words, command="run", variables=(), **environ):
        given = ["--var", f"PASSWORD={self.password}", *(word for one in variables for word in ("--var", one))]
        where = ["--runs", str(self.runs), "--lock", str(os.getpid())] if command == "run" else []
        call = [sys.executable, "-m", "chaoskit.cli", command, str(DOCUMENT), *where, *given, *words]
        self.call(call, KIOSK_TOKEN=self.token, KIOSK_TELLS=self.told, **environ)
        return self

    def call(self, words, **environ):
        out, err = self.tmp_path / "stdout", self.tmp_path / "stderr"
        variables = {**os.environ, "PYTHONPATH": str(KIOSK), **environ}
        variables = {name: value for name, value in variables.items() if value}
        self.command_lines = set()
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(words, stdout=stdout, stderr=stderr, env=variables)
            deadline = time.monotonic() + WITHIN_S
            while process.poll() is None:
                assert time.monotonic() < deadline
                # A child has the command line of its parent until it has become another program.
                self.command_lines |= command_lines() - {" ".join([*words, ""])}
                time.sleep(0.02)  # between two looks, bounded by the deadline
        self.code = process.returncode
        self.out, self.err = out.read_text(), err.read_text()

    @property
    def folder(self):
        (folder,) = self.runs.iterdir()
        return folder

    def artefacts(self):
        files = [path for path in self.runs.rglob("*") if path.is_file()] if self.runs.exists() else []
        texts = {str(path.relative_to(self.folder)): path.read_text(errors="replace") for path in files}
        return {**texts, "stdout": self.out, "stderr": self.err, **dict.fromkeys(self.command_lines, "")}

    def assert_nothing_is_seen(self):
        for name, text in self.artefacts().items():
            for value in (self.token, self.told, self.password):
                for dress in dresses(value):
                    # A command line is an artefact without content: its name is all there is.
                    assert dress not in name + text, f"{name} has {dress!r}:\n{text[:3000]}"


def command_lines():
    """Of all processes of this machine: who is a child of whom does not matter to who looks."""
    lines = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.add(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return lines


@pytest.fixture
def told(tmp_path):
    return Told(tmp_path)


@pytest.mark.whole
def test_nothing_that_is_secret_is_in_any_artefact_of_a_run(told):
    told.run("--seed", "7")
    assert told.code == 1, told.out + told.err
    told.assert_nothing_is_seen()
    artefacts = told.artefacts()
    # Each of them was told: without the marks below this test would search where nothing ever was.
    for name in ("history.jsonl", "verdict.json", "junit.xml", "stdout", "stderr", "logs/front.log", "logs/spare.log"):
        assert "***" in artefacts[name], f"{name} was told nothing"
    assert "token: !secret KIOSK_TOKEN" in artefacts["experiment.yaml"]
    assert "amqp://guest:***@mq/" in artefacts["experiment.yaml"]
    events = [json.loads(line) for line in artefacts["history.jsonl"].splitlines()]
    told_by = {event["event"] for event in events if "***" in json.dumps(event)}
    assert told_by >= {"run", "facts", "injected", "healed", "completed", "sample", "not-settled"}
    assert any("the journey raised RuntimeError: the customer with *** fell over" in str(event.get("why")) for event in events)
    assert any("-m kiosk" in line for line in told.command_lines), "no process was looked at"
    assert any("chaoskit.loads.worker" in line for line in told.command_lines)


@pytest.mark.whole
def test_a_stored_run_is_judged_again_without_its_secrets(told):
    told.run("--seed", "7")
    before = json.loads((told.folder / "verdict.json").read_text())
    told.call([sys.executable, "-m", "chaoskit.cli", "check", str(told.folder), "--json"], KIOSK_TOKEN="", KIOSK_TELLS="")
    assert told.code == 1, told.err
    assert json.loads(told.out)["findings"] == before["findings"]
    assert before["findings"][0]["summary"] == "***"


@pytest.mark.whole
@pytest.mark.parametrize(
    "variables,environ,code,says",
    [
        (("WHERE=error",), {}, 5, "could not say *** in Blurt(text='***'"),
        (("WHERE=undo",), {}, 5, "its undo holds a secret"),
        (("MOOD=dead",), {}, 5, "front"),
        ((), {"KIOSK_BOOKS": "burnt"}, 5, "the books burnt together with ***"),
    ],
)
def test_an_error_says_what_happened_without_the_secret(told, variables, environ, code, says):
    told.run("--seed", "7", variables=variables, **environ)
    assert told.code == code, told.out + told.err
    told.assert_nothing_is_seen()
    assert says in told.out
    assert says in json.loads((told.folder / "verdict.json").read_text())["problems"][0]
    if environ:
        assert says in (told.folder / "logs" / "chaoskit.log").read_text()
    if "WHERE=undo" in variables:
        assert "injecting" not in (told.folder / "undo.jsonl").read_text()


@pytest.mark.whole
def test_a_killed_run_s_logs_are_cleaned_by_its_janitor_as_far_as_it_can(told):
    variables = {**os.environ, "PYTHONPATH": str(KIOSK), "KIOSK_TOKEN": told.token, "KIOSK_TELLS": told.told}
    words = [sys.executable, "-m", "chaoskit.cli", "run", DOCUMENT, "--runs", told.runs, "--var", f"PASSWORD={told.password}"]
    words += ["--lock", str(os.getpid())]
    process = subprocess.Popen(words, env=variables, stderr=subprocess.PIPE, text=True)
    with process.stderr as lines:
        assert any("customers arrive" in line for line in lines)
        process.kill()
    process.wait(WITHIN_S)
    deadline = time.monotonic() + WITHIN_S
    while not (verdict := told.folder / "verdict.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)  # between two looks, bounded by the deadline
    problem, *_ = json.loads(verdict.read_text())["problems"]
    assert "logs/ may hold passwords of URLs" in problem
    texts = "".join(path.read_text() for path in told.folder.rglob("*") if path.is_file())
    assert "and '***' on the other side" in texts
    for value in (told.token, told.told):
        for dress in dresses(value):
            assert dress not in texts


def test_what_starts_nothing_shows_nothing_either(told):
    told.run("--dry-run", "--seed", "7")
    assert told.code == 0, told.err
    assert "text ***" in told.out
    told.assert_nothing_is_seen()
    told.run(command="validate")
    assert told.code == 0, told.err
    told.assert_nothing_is_seen()
    told.run("--option", f"fed=amqp://u:{told.password}@mq", "--option", "mood=sad")
    assert told.code == 2
    assert "mood=sad" in told.err
    told.assert_nothing_is_seen()
    told.run("--option", f"amqp://u:{told.password}@mq")
    assert told.code == 2
    told.assert_nothing_is_seen()


def test_the_load_tool_does_not_repeat_the_password_of_its_url(told):
    url = f"http://u:{told.password}@127.0.0.1:9/"
    load = [
        sys.executable,
        "-m",
        "chaoskit.cli",
        "load",
        "--url",
        url,
        "--rate",
        "1",
        "--duration",
        "1",
        "--record",
        str(told.tmp_path / "r"),
    ]
    told.call(load)
    assert told.code == 2
    assert "http://u:***@127.0.0.1:9/" in told.err
    told.assert_nothing_is_seen()
