"""Whenever a run is killed: within ten seconds nothing is left, its folder has a verdict, and the same experiment runs again."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaoskit import janitor
from chaoskit.cli import main
from chaoskit.engine.guard import StopFlag
from chaoskit.engine.store import RunFolder
from chaoskit.environments import leftovers, owner, sweep
from chaoskit.model import undo as ledger
from chaoskit.model.errors import CannotHeal, UsageError
from chaoskit.model.protocols import Undo

SCRIPT = Path(__file__).parent / "killed_runs.py"
WITHIN_S = 10.0
"""What users are promised."""

KINDS = ("kill", "pause", "partition", "latency", "refuse", "saturate")
FAULTS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.floats(0.0, 0.25), st.one_of(st.none(), st.floats(0.01, 0.2))), min_size=1, max_size=3
)


class Killer:
    """Starts runs in processes and kills them."""

    def __init__(self, folder):
        self.child = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def kill(self, faults, after_s, place="fake"):
        """The folder of a run that was killed after that time, unless it had ended by then."""
        self.child.stdin.write(json.dumps({"place": place, "faults": faults, "kill_after_s": after_s}) + "\n")
        self.child.stdin.flush()
        return RunFolder(Path(json.loads(self.child.stdout.readline())["folder"]))

    def close(self):
        self.child.stdin.close()
        self.child.wait(WITHIN_S)
        self.child.stdout.close()


@pytest.fixture(scope="module")
def killer(tmp_path_factory):
    made = Killer(tmp_path_factory.mktemp("killed"))
    yield made
    made.close()


def records_of(folder):
    return ledger.read(folder.undo.read_bytes().splitlines() if folder.undo.exists() else ())


def janitors_of(folder):
    """The processes that watch over a run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"chaoskit.janitor" in words and str(folder.path).encode() in words:
                found.append(int(entry.name))
    return found


def what_is_left(folder):
    """What there is of a dead run, in words; () when all is well."""
    records = records_of(folder)
    left = [f"janitor {pid}" for pid in janitors_of(folder)]
    left += [f"{one.fault} is open" for one in records.open]
    holder = records.holder
    if holder is not None and holder.leftovers:
        engine = sweep.Engine(holder.engine) if holder.engine else None
        left += [line for one in leftovers.find(engine, run=holder.leftovers) for line in one.lines]
        left += [f"process {pid}" for pid in sweep.processes_of(holder.leftovers)]
    # A run that was killed before it had a janitor has begun nothing.
    return left if folder.verdict.exists() or holder is None else [*left, "no verdict"]


def check_within_ten_seconds(folder):
    deadline = time.monotonic() + WITHIN_S
    while left := what_is_left(folder):
        assert time.monotonic() < deadline, f"{left} in {folder.path}: {log_of(folder)}"
        time.sleep(0.02)  # between two looks, until the deadline
    if folder.verdict.exists():
        verdict = json.loads(folder.verdict.read_text())
        # A fault on what another one has killed is refused, which is an error of the run, if it lives to tell it.
        refused = any("may not have been applied" in problem for problem in verdict["problems"])
        assert verdict["verdict"] in {"aborted", "passed", "inconclusive"} or refused, verdict
        assert "may still be there" not in str(verdict["problems"])
        if verdict["verdict"] == "aborted":
            assert "the run died" in verdict["problems"][0]
        for fault in verdict["faults"]:
            was_injected = fault["injected_at_s"] is not None
            assert not was_injected or fault["healed_at_s"] is not None, fault


def log_of(folder):
    log = folder.logs / "janitor.log"
    return log.read_text() if log.exists() else "no log"


def check_killed(killer, faults, after_s, place="fake"):
    check_within_ten_seconds(killer.kill(faults, after_s, place))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(faults=FAULTS, after_s=st.floats(0.0, 0.8))
def test_a_run_that_is_killed_at_any_moment_leaves_nothing(killer, faults, after_s):
    check_killed(killer, faults, after_s)


@pytest.mark.whole
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(faults=FAULTS, after_s=st.floats(0.0, 0.8))
def test_two_hundred_runs_that_are_killed_at_any_moment_leave_nothing(killer, faults, after_s):
    check_killed(killer, faults, after_s)


REAL = [
    ([[kind, 0.05, None], [other, 0.1, 0.1]], 0.5 + 0.35 * number)
    for number, (kind, other) in enumerate(zip(KINDS[:5] * 2, KINDS[1:5] + KINDS[:5] + KINDS[:1], strict=True))
]
"""Faults and moments from before the services answer until after the end; a boot takes one to two seconds."""


@pytest.mark.whole
@pytest.mark.parametrize("faults, after_s", REAL)
def test_a_run_on_processes_that_is_killed_leaves_nothing(killer, faults, after_s):
    check_killed(killer, faults, after_s, place="process")


@pytest.mark.whole
@pytest.mark.docker
@pytest.mark.parametrize("faults, after_s", REAL)
def test_a_run_on_containers_that_is_killed_leaves_nothing(killer, faults, after_s):
    check_killed(killer, faults, after_s * 2, place="docker")


@pytest.mark.whole
@pytest.mark.parametrize("place", ["process", pytest.param("docker", marks=pytest.mark.docker)])
def test_after_a_killed_run_the_next_one_of_the_same_experiment_passes(killer, place):
    faults = [["kill", 0.05, 0.1]]
    check_killed(killer, faults, 1.5, place)
    folder = killer.kill(faults, 60.0, place)
    assert json.loads(folder.verdict.read_text())["verdict"] == "passed"


EXPERIMENT = "title: the fake survives\n"
DEAD = f"{2**22 - 1}-1-{owner.new_run().split('-')[2]}-abcdef"
"""The id of a process of this boot that is gone: no process has so high a number and started with the machine."""


@pytest.fixture
def crashed(tmp_path):
    """The folder of a run that died with a fault injected, and with torn last lines."""
    folder = RunFolder(tmp_path / "20261125T120000-failover-7")
    folder.logs.mkdir(parents=True)
    folder.experiment.write_text(EXPERIMENT)
    holder = ledger.Holder(run=folder.path.name, owner=DEAD)
    undo = (Undo(verb="restore", target="front -> back"),)
    records = [ledger.opened(holder), ledger.injecting("faults[0] partition", undo)]
    folder.undo.write_text("".join(json.dumps(record) + "\n" for record in records) + '{"state": "inje')
    folder.history.write_text('{"event":"run","format":1,"run":"r","title":"t","seed":7,"at_ns":1}\n{"event":"sam')
    return folder


def test_heal_gives_a_crashed_run_its_end(crashed, capsys):
    assert main(["heal", str(crashed.path)]) == 0
    printed = capsys.readouterr().out
    assert "the run died: its owner is gone" in printed
    assert "faults[0] partition: nothing left to undo: it ended with the run" in printed
    verdict = json.loads(crashed.verdict.read_text())
    assert verdict["verdict"] == "aborted"
    assert verdict["exit_code"] == 4
    assert "chaoskit heal cleaned up" in verdict["problems"][0]
    schema = json.loads((Path(janitor.__file__).parent / "engine" / "verdict.schema.json").read_text())
    jsonschema.validate(verdict, schema)
    assert (records_of(crashed).open, records_of(crashed).is_closed) == ((), True)


def test_heal_may_be_done_again(crashed, capsys):
    assert main(["heal", str(crashed.path)]) == 0
    before = crashed.verdict.read_bytes(), crashed.history.read_bytes(), crashed.undo.read_bytes()
    capsys.readouterr()
    assert main(["heal", str(crashed.path)]) == 0
    assert "nothing was left to undo" in capsys.readouterr().out
    assert (crashed.verdict.read_bytes(), crashed.history.read_bytes(), crashed.undo.read_bytes()) == before


def test_what_cannot_be_undone_is_louder_than_what_needs_no_undo(crashed, capsys):
    undo = (Undo(verb="resume", target="db", details={"container": "c1"}),)
    holder = ledger.Holder(run="r", owner=DEAD, engine="unix:///no/such/engine")
    records = [ledger.opened(holder), ledger.injecting("faults[0] pause", undo), ledger.injecting("faults[1] kill", ())]
    crashed.undo.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert main(["heal", str(crashed.path)]) == 5
    captured = capsys.readouterr()
    assert "could not undo: faults[0] pause may still be there: resume db: no container engine" in captured.err
    assert "faults[1] kill: nothing left to undo" in captured.out
    assert json.loads(crashed.verdict.read_text())["verdict"] == "error"
    assert [one.fault for one in records_of(crashed).open] == ["faults[0] pause"], "so that the next heal tries again"
    assert not records_of(crashed).is_closed


def test_heal_all_takes_every_dead_run_and_no_living_one(crashed, tmp_path, capsys):
    living = RunFolder(tmp_path / "20261125T130000-failover-8")
    living.logs.mkdir(parents=True)
    living.experiment.write_text(EXPERIMENT)
    living.undo.write_text(json.dumps(ledger.opened(ledger.Holder(run="r", owner=owner.new_run()))) + "\n")
    (tmp_path / "something else").mkdir()
    assert main(["heal", "--all", "--runs", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert f"the run goes on in process {os.getpid()}" in printed
    assert "its verdict is now aborted" in printed
    assert crashed.verdict.exists()
    assert not living.verdict.exists()
    assert main(["heal", "--all", "--runs", str(tmp_path)]) == 0
    assert "Nothing is left of the runs below" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, expected",
    [
        ([], "name a run folder"),
        (["x", "--all"], "not both"),
        (["/no/such/folder"], "not the folder of a run"),
        (["--all", "--runs", "/no/such/folder"], "there is no such folder"),
    ],
)
def test_heal_without_a_run_says_what_to_give(words, expected, capsys):
    assert main(["heal", *words]) == 2
    assert expected in capsys.readouterr().err


def test_stop_of_what_does_not_run_says_so(crashed, tmp_path, capsys):
    assert main(["stop", str(tmp_path)]) == 2
    assert "not the folder of a run that has begun" in capsys.readouterr().err
    assert main(["stop", str(crashed.path)]) == 2
    assert f"chaoskit heal {crashed.path}" in capsys.readouterr().err
    janitor.heal(crashed, by="a test")
    with pytest.raises(UsageError, match="has ended before, with verdict aborted"):
        janitor.stop(crashed, reason="", within_s=1)


def test_a_run_that_does_not_stop_is_named(crashed):
    crashed.undo.write_text(json.dumps(ledger.opened(ledger.Holder(run="r", owner=owner.new_run()))) + "\n")
    with pytest.raises(CannotHeal, match=f"process {os.getpid()} was asked to stop and has not ended"):
        janitor.stop(crashed, reason="enough", within_s=0.1)
    assert crashed.stop.read_text() == "enough\n"


def test_who_asks_twice_is_told_what_is_still_injected(crashed):
    flag = StopFlag()
    assert "nothing was injected yet" in janitor.still_injected(flag)[0]
    flag.asked = crashed.stop
    lines = "\n".join(janitor.still_injected(flag))
    assert "faults[0] partition: restore front -> back" in lines
    assert f"chaoskit heal {crashed.path}" in lines
    janitor.heal(crashed, by="a test")
    assert "nothing is injected any more" in janitor.still_injected(flag)[0]


def test_a_janitor_that_is_asked_to_end_touches_nothing(crashed):
    before = crashed.undo.read_bytes()
    with janitor.Janitor.start(crashed) as watching:
        assert janitors_of(crashed) == [watching.pid]
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(watching.pid, number)
    watching.close()
    assert janitors_of(crashed) == []
    assert (crashed.undo.read_bytes(), crashed.verdict.exists()) == (before, False)
