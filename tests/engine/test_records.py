"""What is on the disk and when: the recorder, the undo ledger, the live history, the run folder."""

import json
import os

import pytest

from chaoskit.engine.recorder import JsonLines, LiveHistory
from chaoskit.engine.store import RunFolder
from chaoskit.engine.undo import UndoLedger
from chaoskit.model.errors import CannotRecord
from chaoskit.model.protocols import Aim, Undo
from chaoskit.model.verdict import Finding, Result, Verdict


def invoked(number):
    return {"event": "invoked", "operation": number, "journey": "visit", "attempt": 1, "due_ns": number, "start_ns": number}


def test_events_are_whole_lines(tmp_path):
    with JsonLines(tmp_path / "h") as lines:
        lines.append(invoked(1), invoked(2))
    assert [json.loads(line)["operation"] for line in (tmp_path / "h").read_text().splitlines()] == [1, 2]


def test_a_full_disk_is_an_error_and_not_a_shrug():
    if not os.path.exists("/dev/full"):  # noqa: PTH110 - a device, not a file
        pytest.skip("this system has no /dev/full")
    with JsonLines("/dev/full") as lines, pytest.raises(CannotRecord, match="free the disk"):
        lines.append(invoked(1))


def test_a_folder_that_is_gone_is_an_error(tmp_path):
    with pytest.raises(CannotRecord, match="cannot be written"):
        JsonLines(tmp_path / "no" / "h")


def test_the_live_history_waits_for_the_end_of_a_line(tmp_path):
    path = tmp_path / "h"
    line = json.dumps(invoked(1)).encode() + b"\n"
    path.write_bytes(line + line[:10])
    live = LiveHistory(path)
    assert len(live.read().operations) == 1
    with path.open("ab") as file:
        file.write(json.dumps(invoked(2)).encode()[10:] + b"\n")
    history = live.read()
    assert [operation.number for operation in history.operations] == [1, 2]
    assert history.torn_lines == 0


def test_the_undo_record_is_there_before_the_act_and_complete(tmp_path):
    ledger = UndoLedger(tmp_path / "undo")
    ledger.injecting("faults[0] kill", Aim(targets=("a",), undo=(Undo(verb="start", target="a", details={"x": "1"}),)))
    (line,) = (tmp_path / "undo").read_text().splitlines()
    record = json.loads(line)
    assert record["state"] == "injecting"
    assert record["undo"] == [{"verb": "start", "target": "a", "details": {"x": "1"}}]
    ledger.close()


def test_a_measure_without_a_number_keeps_the_verdict_readable(tmp_path):
    finding = Finding(
        checker="c", outcome=Result.INCONCLUSIVE, summary="s", measures={"x_s": float("nan"), "y_s": float("inf"), "z": 1.5}
    )
    folder = RunFolder(tmp_path)
    folder.write_verdict(Verdict(result=Result.INCONCLUSIVE, findings=(finding,)))
    (row,) = json.loads(folder.verdict.read_text(), parse_constant=pytest.fail)["findings"]
    assert row["measures"] == {"x_s": None, "y_s": None, "z": 1.5}
