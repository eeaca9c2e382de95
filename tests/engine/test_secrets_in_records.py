"""Secrets on their way to the disk: replaced before they are records, and in logs once nobody writes there any more."""

import json

import pytest

from chaoskit.engine.judge import judge
from chaoskit.engine.recorder import JsonLines
from chaoskit.engine.store import RunFolder
from chaoskit.engine.undo import UndoLedger
from chaoskit.model.errors import CannotRecord
from chaoskit.model.experiment import EnvironmentChoice, Experiment, LoadShape
from chaoskit.model.history import History
from chaoskit.model.protocols import Aim, Undo
from chaoskit.model.secrets import Secrets

VALUE = 'm4rk","event":"problem'
SECRETS = Secrets((VALUE,))


def experiment(**more):
    values = {"title": "the shop", "environment": EnvironmentChoice(use="shop"), "source": "a/shop.chaos.yaml", **more}
    return Experiment(load=LoadShape(arrivals_per_s=1, duration_s=1, mix={"buy": 1}), **values)


def test_a_line_stays_one_event_whatever_the_secret_looks_like(tmp_path):
    with JsonLines(tmp_path / "h", secrets=SECRETS) as lines:
        lines.append({"event": "sample", "values": {VALUE: f"seen {VALUE}", "number": 5}, "at_ns": 7})
    (line,) = (tmp_path / "h").read_text().splitlines()
    assert json.loads(line) == {"event": "sample", "values": {"***": "seen ***", "number": 5}, "at_ns": 7}


def test_without_secrets_nothing_is_changed(tmp_path):
    event = {"event": "sample", "values": {"a": (1, 2)}}
    with JsonLines(tmp_path / "h") as lines:
        lines.append(event)
    assert json.loads((tmp_path / "h").read_text()) == {"event": "sample", "values": {"a": [1, 2]}}


def test_an_undo_with_a_secret_forbids_the_injection_and_is_not_written(tmp_path):
    ledger = UndoLedger(tmp_path / "undo", secrets=SECRETS)
    with pytest.raises(CannotRecord, match="nothing was injected"):
        ledger.injecting("faults[0] x", Aim(targets=("a",), undo=(Undo(verb="start", target="a", details={"x": VALUE}),)))
    ledger.close()
    assert (tmp_path / "undo").read_bytes() == b""


class Quotes:
    """A checker that quotes its secret, or breaks over it."""

    name = "quotes"

    def __init__(self, error):
        self.error = error

    def check(self, history):
        raise self.error


def test_a_verdict_does_not_repeat_what_a_checker_says():
    verdict = judge(
        experiment(expect=(Quotes(ValueError(f"no {VALUE}")),), secrets=SECRETS), History(), seed=1, reproduce=f"run {VALUE}"
    )
    assert "m4rk" not in str(verdict)
    assert verdict.findings[0].summary == "the checker itself broke: ValueError: no ***"
    assert verdict.reproduce == "run ***"


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path, experiment(), seed=7)


def test_logs_lose_their_secrets_and_nothing_else(folder):
    (folder.logs / "deep").mkdir()
    log = folder.logs / "deep" / "core.log"
    before = (
        b"\xff\x00 first\n"
        + b"x" * (3 << 20)
        + b"\nsecond %s end\n%s\nno end of line" % (VALUE.encode(), json.dumps(VALUE).encode())
    )
    log.write_bytes(before)
    log.chmod(0o640)
    untouched = folder.logs / "other.log"
    untouched.write_bytes(b"nothing\n")
    number = untouched.stat().st_ino
    folder.redact_logs(SECRETS)
    assert log.read_bytes() == b"\xff\x00 first\n" + b"x" * (3 << 20) + b'\nsecond *** end\n"***"\nno end of line'
    assert log.stat().st_mode & 0o777 == 0o640
    assert untouched.stat().st_ino == number
    assert sorted(path.name for path in folder.logs.rglob("*")) == ["core.log", "deep", "other.log"]


def test_what_a_link_in_the_logs_leads_to_is_not_ours_to_change(folder, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(VALUE)
    (folder.logs / "link.log").symlink_to(elsewhere)
    folder.redact_logs(SECRETS)
    assert elsewhere.read_text() == VALUE


def test_a_log_that_cannot_be_rewritten_is_named(folder):
    (folder.logs / "core.log").write_text(VALUE)
    (folder.logs / "core.log.part").mkdir()
    with pytest.raises(CannotRecord, match=r"core\.log: secrets in it could not be replaced"):
        folder.redact_logs(SECRETS)


def test_the_slug_is_the_same_in_every_run_of_an_experiment(folder, tmp_path):
    assert folder.slug == "shop"
    assert RunFolder(tmp_path / "20261125T072052-network-partition-5-2").slug == "network-partition"
    assert RunFolder(tmp_path / "renamed").slug == "renamed"


def test_a_report_that_cannot_be_written_is_an_error_and_leaves_no_half(folder):
    (folder.path / "junit.xml.part").symlink_to("/dev/full")
    with pytest.raises(CannotRecord, match=r"junit\.xml: the report for CI could not be written"):
        folder.write_junit("<testsuites/>" * 10_000)
    assert not folder.junit.exists()
