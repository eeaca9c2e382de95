"""The command line as a person uses it: exit codes, one clear error each, nothing started by mistake."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from chaoskit import __version__
from chaoskit.cli import main

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
FAILOVER = str(EXPERIMENTS / "database_failover.chaos.yaml")


def test_version_loads_next_to_nothing():
    code = "import sys; from chaoskit.cli import main; main(['--version']); print(len([m for m in sys.modules if m == 'argparse']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["chaoskit", __version__, "0"]


def test_every_shipped_experiment_is_valid(capsys):
    assert main(["validate", *map(str, EXPERIMENTS.glob("*.chaos.yaml"))]) == 0
    assert capsys.readouterr().out.count(": valid: ") == 3


def test_every_mistake_of_a_document_is_told_at_once(tmp_path, capsys):
    text = Path(FAILOVER).read_text().replace("ledger-db.standby", "legder-db.standby").replace("at: 12s", "at: 12")
    (tmp_path / "broken.chaos.yaml").write_text(text)
    assert main(["run", str(tmp_path / "broken.chaos.yaml"), "--runs", str(tmp_path / "runs")]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2, errors
    assert "Did you mean 'ledger-db.standby'?" in errors[1] + errors[0]
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_prints_the_schedule_and_starts_nothing(tmp_path, capsys):
    assert main(["run", FAILOVER, "--dry-run", "--seed", "3", "--runs", str(tmp_path / "runs")]) == 0
    out = capsys.readouterr().out
    assert "(seed 3)" in out
    assert "inject  faults[1] kill" in out
    assert not (tmp_path / "runs").exists()


def test_list_names_every_kind_of_part(capsys):
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    for name in ("database_failover", "kill", "takeover", "ack-durable", "bank", "lebaran", "no-idempotency"):
        assert f"  {name} " in out


def test_the_schemas_are_json_schemas(capsys):
    for of in ("experiment", "verdict"):
        assert main(["schema", of]) == 0
        assert json.loads(capsys.readouterr().out)["$schema"].endswith("2020-12/schema")


@pytest.mark.parametrize(
    "words,complaint",
    [
        (["--option", "defect"], "expected NAME=VALUE"),
        (["--option", "defect=none", "--option", "defect=none"], "give it once"),
        (["--option", "defect=no-idempotencyy"], "Did you mean 'no-idempotency'?"),
        (["--on", "dokcer"], "'dokcer' is not"),
    ],
)
def test_a_wrong_option_is_one_clear_error(words, complaint, tmp_path, capsys):
    assert main(["run", FAILOVER, *words, "--runs", str(tmp_path / "runs")]) == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_runs_folder_that_is_a_file_is_one_clear_error(tmp_path, capsys):
    (tmp_path / "runs").write_text("")
    assert main(["run", FAILOVER, "--runs", str(tmp_path / "runs")]) == 2
    assert "name a folder that you may write to" in capsys.readouterr().err


def test_a_folder_without_a_run_cannot_be_checked(tmp_path, capsys):
    assert main(["check", str(tmp_path)]) == 2
    assert "name a run folder" in capsys.readouterr().err


def test_unknown_words_exit_with_two(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["rnu"])
    assert caught.value.code == 2
    assert "rnu" in capsys.readouterr().err
