"""A history is sealed when its verdict is written; a change afterwards makes it no evidence."""

import hashlib
import json

import pytest

from chaoskit.engine.store import RunFolder
from chaoskit.model.errors import CannotRecord

LINES = [
    {"event": "run", "run": "a-run", "at_ns": 1},
    {"event": "phase", "phase": "load", "at_ns": 2},
    {"event": "finished", "at_ns": 3},
]


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path)
    folder.history.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in LINES))
    return folder


def problems(folder):
    return [(problem.result, problem.text) for problem in folder.read_history().problems]


CHANGED = [("error", "history.jsonl was changed after it was sealed: it is no evidence any more")]


def test_the_last_line_is_a_digest_of_all_before(folder):
    before = folder.history.read_bytes()
    folder.seal()
    whole = folder.history.read_bytes()
    assert whole.startswith(before)
    assert json.loads(whole[len(before) :]) == {"event": "sealed", "sha256": hashlib.sha256(before).hexdigest()}
    history = folder.read_history()
    assert (history.problems, history.complete, history.torn_lines) == ((), True, 0)


def test_a_history_without_a_seal_is_read_as_before(folder):
    assert problems(folder) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b'"at_ns":2', b'"at_ns":1'),
        lambda data: data.replace(b'"sha256":"', b'"sha256":"0'),
        lambda data: data.split(b"\n", 1)[1],
        lambda data: data + b'{"event":"phase","phase":"end","at_ns":4}\n',
        lambda data: data[:-20],
    ],
    ids=["a line changed", "the seal changed", "a line is gone", "a line was added", "the seal was cut short"],
)
def test_what_was_changed_afterwards_is_no_evidence(folder, change):
    folder.seal()
    folder.history.write_bytes(change(folder.history.read_bytes()))
    assert problems(folder) == CHANGED


def test_a_run_that_is_cleaned_up_later_is_sealed_again(folder):
    folder.seal()
    with folder.history.open("a") as file:
        file.write('{"event":"problem","result":"aborted","text":"cleaned up"}\n')
    assert problems(folder) == [("aborted", "cleaned up")]
    folder.seal()
    assert problems(folder) == [("aborted", "cleaned up")]
    folder.history.write_bytes(folder.history.read_bytes().replace(b"cleaned up", b"was well"))
    assert problems(folder) == [("aborted", "was well"), *CHANGED]


def test_a_history_that_cannot_be_written_is_not_passed_over(tmp_path):
    with pytest.raises(CannotRecord, match="could not be sealed"):
        RunFolder(tmp_path / "gone").seal()
