"""The command line as a person uses it: exit codes, one clear error each, nothing started by mistake."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chaoskit import __version__, wiring
from chaoskit.cli import main
from chaoskit.engine import freeze, lock
from chaoskit.engine.user import user_name
from chaoskit.machine import Machine

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
FAILOVER = str(EXPERIMENTS / "database_failover.chaos.yaml")


def test_version_loads_next_to_nothing():
    code = "import sys; from chaoskit.cli import main; main(['--version']); print(len([m for m in sys.modules if m == 'argparse']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["chaoskit", __version__, "0"]


def test_every_shipped_experiment_is_valid(capsys):
    documents = [str(path) for path in EXPERIMENTS.glob("*.chaos.yaml")]
    assert main(["validate", *documents]) == 0
    assert capsys.readouterr().out.count(": valid: ") == len(documents) >= 3


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


def test_a_dry_run_says_what_speaks_against_the_run(world, capsys):
    assert world.run("--dry-run") == 0
    assert "this machine would" not in capsys.readouterr().out
    world.policy.write_text("chaoskit: 1\nproduction: true\nlimits: {services: 0}\n")
    world("freeze", "--reason", "salary day")
    capsys.readouterr()
    assert world.run("--dry-run", "--allow", "remote-target") == 0
    out = capsys.readouterr().out
    head, _, reasons = out.partition("this machine would refuse it now:\n")
    assert "inject  faults[1] kill" in head
    lines = reasons.splitlines()
    assert all(line.startswith("  ") for line in lines)
    assert "salary day" in lines[0]
    assert "--allow production" in lines[1]
    assert "limits.services of" in lines[2]


def test_a_dry_run_knows_an_engine_that_is_elsewhere(world, capsys, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    assert world.run("--dry-run", "--on", "docker") == 0
    assert "  the container engine at tcp://192.0.2.1:2375 is not on this machine; " in capsys.readouterr().out
    assert world.run("--dry-run", "--on", "docker", "--allow", "remote-engine") == 0
    assert "this machine would" not in capsys.readouterr().out


@pytest.fixture
def sweep(tmp_path):
    path = tmp_path / "sweep.chaos.yaml"
    path.write_text(
        Path(FAILOVER).read_text() + "matrix: {faults.0.for: [5s, 8s], environment.options.defect: [none, no-idempotency]}\n"
    )
    return str(path)


def test_a_dry_run_prints_the_schedule_of_every_entry_of_a_matrix(sweep, capsys):
    assert main(["run", sweep, "--dry-run", "--seed", "3"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if "(seed 3)" in line] == [
        f"The standby takes over when the ledger's primary dies [for={for_},defect={defect}] (seed 3)"
        for for_ in ("5s", "8s")
        for defect in ("none", "no-idempotency")
    ]
    assert main(["run", sweep, "--dry-run", "--seed", "3", "--entry", "for=8s,defect=none"]) == 0
    assert capsys.readouterr().out.count("(seed 3)") == 1


def test_an_unknown_entry_is_one_clear_error(sweep, tmp_path, capsys):
    assert main(["run", sweep, "--entry", "for=7s,defect=none", "--runs", str(tmp_path / "runs")]) == 2
    assert "entry: 'for=7s,defect=none' is not an entry of the matrix (for=5s,defect=no-idempotency, " in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_validate_reads_every_entry_of_a_matrix(sweep, capsys):
    assert main(["validate", sweep]) == 0
    assert capsys.readouterr().out.count(": valid: ") == 4
    Path(sweep).write_text(Path(sweep).read_text().replace("8s]", "40s]"))
    assert main(["validate", sweep]) == 2
    assert "'40s' lets the fault end at 52s" in capsys.readouterr().err


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


class World:
    """A machine in a folder, and `chaoskit` on it."""

    def __init__(self, folder):
        (folder / "locks").mkdir()
        (folder / "locks").chmod(0o1777)
        self.runs, self.policy = folder / "runs", folder / "policy.yaml"
        self.machine = Machine(
            policies=(self.policy,), freezes=(folder / "all.json", folder / "user.json"), locks=(folder / "locks",)
        )

    def __call__(self, *words):
        return main(words, machine=self.machine)

    def run(self, *more, document=FAILOVER):
        return self("run", str(document), "--runs", str(self.runs), *more)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_a_frozen_machine_starts_no_run_and_tells_who_when_and_why(world, capsys):
    assert world("freeze", "--reason", "quarter end") == 0
    said = capsys.readouterr().out
    assert "quarter end" in said
    assert "Runs that are under way go on" in said
    assert ("all users of this machine" in said) == (os.geteuid() == 0)
    assert world.run() == 2
    refused = capsys.readouterr().err
    assert f"by {user_name()} since 20" in refused
    assert ": quarter end; lift it with: chaoskit unfreeze" in refused
    assert not world.runs.exists()


def test_what_starts_nothing_goes_on_while_runs_are_frozen(world, capsys):
    assert world("freeze") == 0
    assert world.run("--dry-run") == 0
    assert world("validate", FAILOVER) == 0
    world("doctor")
    assert "\nRuns are frozen for " in capsys.readouterr().out


def test_unfreeze_allows_runs_again(world, capsys):
    assert world("unfreeze") == 0
    assert "Nothing was frozen" in capsys.readouterr().out
    world("freeze")
    assert world("unfreeze") == 0
    assert "Runs are allowed again" in capsys.readouterr().out
    world.policy.write_text("chaoskit: 1\nproduction: true\n")
    assert world.run() == 2
    refused = capsys.readouterr().err
    assert "frozen" not in refused
    assert "--allow production" in refused


def test_a_freeze_that_this_user_may_not_lift_is_told(world, capsys):
    blocked = world.machine.freezes[0]
    if os.geteuid() == 0:
        pytest.skip("root may lift any")
    freeze.freeze(blocked, reason="of root", until=None, now=world.machine.now())
    assert world("unfreeze") == 1
    assert "of root" in capsys.readouterr().err


@pytest.mark.parametrize(
    "until,complaint",
    [
        ("tomorrow", "expected a time with its offset"),
        ("2099-01-01", "expected a time with its offset"),
        ("2020-01-01T00:00:00Z", "over"),
    ],
)
def test_a_freeze_without_a_real_end_is_refused(world, capsys, until, complaint):
    assert world("freeze", "--until", until) == 2
    assert complaint in capsys.readouterr().err
    assert world("unfreeze") == 0


def test_a_policy_with_mistakes_starts_no_run(world, capsys):
    world.policy.write_text("chaoskit: 1\nlimits: {service: 1}\nproduction: maybe\n")
    assert world.run() == 2
    errors = capsys.readouterr().err.splitlines()
    assert [line.rpartition("policy.yaml:")[2].partition(": ")[0] for line in errors if "policy.yaml" in line] == ["2:10", "3:13"]
    assert not world.runs.exists()


def test_an_unknown_permission_is_a_usage_error_that_names_the_valid_ones(world, capsys):
    assert world.run("--allow", "prodution", "--dry-run") == 2
    assert "(production, remote-engine, remote-target). Did you mean 'production'?" in capsys.readouterr().err


def test_a_document_cannot_loosen_a_policy(world, tmp_path, capsys):
    world.policy.write_text("chaoskit: 1\nlimits: {services: 1}\nnever_allow: [production]\n")
    generous = tmp_path / "generous.chaos.yaml"
    generous.write_text(Path(FAILOVER).read_text() + "limits: {services: 9}\nproduction: true\n")
    assert world("validate", str(generous)) == 0
    assert world.run("--allow", "production", document=generous) == 2
    refused = capsys.readouterr().err
    assert f"refused: --allow production: {world.policy} never allows it" in refused
    assert f"refused: limits.services of {world.policy}: at 12 s faults[0] partition may hurt 2 services" in refused
    assert not world.runs.exists()


def test_validate_tells_the_limits_that_a_document_itself_breaks(tmp_path, capsys):
    document = tmp_path / "x.chaos.yaml"
    document.write_text(Path(FAILOVER).read_text() + "limits: {services: 1, for: 10s}\n")
    assert main(["validate", str(document)]) == 2
    errors = capsys.readouterr().err
    assert (
        "limits.services: at 12 s faults[0] partition may hurt 2 services (2 of ledger-db) at the same time; it allows 1" in errors
    )
    assert "limits.for: faults[1] kill lasts 12 s; it allows 10 s for any fault" in errors


def test_an_environment_in_use_starts_no_run(world, capsys):
    held = lock.take("bank on process", run="20261125T080000-first-7", now=world.machine.now(), folders=world.machine.locks)
    assert world.run() == 2
    assert "'bank on process' is in use by 20261125T080000-first-7" in capsys.readouterr().err
    assert not world.runs.exists()
    held.release()


def test_an_engine_elsewhere_starts_no_run_unless_it_is_allowed(world, capsys, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.7:2375")
    assert world.run("--on", "docker") == 2
    assert "the container engine at tcp://192.0.2.7:2375 is not on this machine" in capsys.readouterr().err
    assert not world.runs.exists()


def test_a_load_goes_to_this_machine_only_unless_that_is_allowed(world, tmp_path, capsys):
    words = ("load", "--url", "http://192.0.2.7/", "--rate", "1", "--duration", "1s", "--record", str(tmp_path / "record"))
    assert world(*words) == 2
    assert "--allow remote-target" in capsys.readouterr().err
    world.policy.write_text("chaoskit: 1\nnever_allow: [remote-target]\n")
    assert world(*words, "--allow", "remote-target") == 2
    assert "never allows it" in capsys.readouterr().err
    assert not (tmp_path / "record").exists()


def test_what_was_allowed_is_in_the_command_that_runs_the_same_again():
    request = wiring.Request(path=Path("x.chaos.yaml"), allow=("production", "remote-target"), lock="worker 1")
    assert request.reproduce(7) == "chaoskit run x.chaos.yaml --seed 7 --allow production --allow remote-target"
