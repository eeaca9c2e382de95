"""Whole runs on a system in memory: every way in which a run may end, and that it is healed whatever happens."""

import json
import threading
from importlib import resources

import jsonschema
import pytest

from chaoskit.checkers.availability import Availability
from chaoskit.checkers.error_rate import ErrorRate
from chaoskit.engine import store
from chaoskit.engine.guard import StopFlag
from chaoskit.engine.live import Cast
from chaoskit.engine.runner import run
from chaoskit.faults.kill import Kill
from chaoskit.faults.partition import Partition
from chaoskit.faults.saturate import Saturate
from chaoskit.model.errors import CannotHeal, NotReady, UsageError
from chaoskit.model.experiment import EnvironmentChoice, Experiment, Injection, LoadShape
from chaoskit.model.history import Outcome
from chaoskit.model.topology import AccountState, LedgerState
from chaoskit.model.verdict import Result
from chaoskit.testing import FakeEnvironment, FakeLedger, FakeLoad, FixedChecker, NoFault, SilentProgress

PASSES = FixedChecker()
STEADY = Availability(journey="visit", at_least=0.99)


class World:
    """A fake system, its load, and a folder; `run` runs an experiment on it."""

    def __init__(self, tmp_path, ledger=None):
        self.environment = FakeEnvironment(ledger=ledger)
        back = self.environment.services["back"]
        self.load = FakeLoad(answer=lambda: Outcome.OK if back.is_running() else Outcome.INFO)
        self.stop = StopFlag()
        self.progress = SilentProgress()
        self.tmp_path = tmp_path

    def run(self, *faults, expect=(PASSES,), steady=(STEADY,), abort_if=(), duration_s=1.0):
        experiment = Experiment(
            title="the fake survives",
            environment=EnvironmentChoice(use="fake"),
            load=LoadShape(arrivals_per_s=100, duration_s=duration_s, mix={"visit": 1}),
            steady_state=steady,
            faults=faults,
            expect=expect,
            abort_if=abort_if,
            document="title: the fake survives\n",
        )
        self.folder = store.RunFolder.create(self.tmp_path, experiment, seed=1)
        cast = Cast(environment=self.environment, load=self.load, probes=(), progress=self.progress, stop=self.stop)
        verdict = run(experiment, cast, folder=self.folder, seed=1, reproduce="chaoskit run x")
        assert not [t.name for t in threading.enumerate() if t.name.startswith(("chaoskit", "fake"))], "a thread of the run is left"
        assert not self.environment.is_up
        return verdict


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def injection(fault, at_s=0.5, for_s=0.2):
    return Injection(fault=fault, at_s=at_s, for_s=for_s)


def undo_states(world):
    return [json.loads(line)["state"] for line in world.folder.undo.read_text().splitlines()]


def test_a_run_whose_expectations_hold_passes_and_leaves_its_evidence(world):
    verdict = world.run(injection(Kill(service="back"), at_s=1.5), duration_s=2.0)
    assert (verdict.result, verdict.problems) == (Result.PASSED, ())
    (fault,) = verdict.faults
    assert fault["targets"] == ["back"]
    assert fault["effect_seen"] is True
    assert fault["healed_at_s"] > fault["injected_at_s"]
    assert undo_states(world) == ["opened", "injecting", "injected", "healed", "closed"]
    stored = json.loads(world.folder.verdict.read_text())
    assert stored["exit_code"] == 0
    jsonschema.validate(stored, json.loads((resources.files("chaoskit.engine") / "verdict.schema.json").read_text()))
    assert world.folder.read_history().complete


def test_a_failed_expectation_fails_the_run(world):
    verdict = world.run(injection(Kill(service="back")), expect=(FixedChecker(outcome=Result.FAILED),))
    assert verdict.result is Result.FAILED


def test_no_expectation_is_no_pass(world):
    assert world.run(injection(Kill(service="back")), expect=(), steady=()).result is Result.INCONCLUSIVE


def test_without_a_steady_state_nothing_is_injected_and_nothing_is_undone(world):
    world.environment.services["back"].state = "killed"
    verdict = world.run(injection(Kill(service="back")))
    assert verdict.result is Result.INCONCLUSIVE
    assert "no steady state" in verdict.problems[0]
    assert world.environment.services["back"].calls == []
    assert world.environment.undone == []
    assert undo_states(world) == ["opened", "closed"]


def test_a_fault_without_effect_never_passes(world):
    verdict = world.run(injection(NoFault()))
    assert verdict.result is Result.INCONCLUSIVE
    assert verdict.faults[0]["effect_seen"] is False


def test_a_cut_that_does_not_cut_is_seen(world):
    world.environment.links_by_name["front -> back"].is_deaf = True
    verdict = world.run(injection(Partition(between=("front", "back"))))
    assert verdict.result is Result.INCONCLUSIVE
    assert "front -> back answered" in str(verdict.faults[0]["evidence"])


def test_a_surge_that_does_not_come_is_seen(world):
    world.load.deaf = True
    verdict = world.run(injection(Saturate(times=4)))
    assert verdict.result is Result.INCONCLUSIVE


def test_a_fault_that_could_not_be_injected_is_an_error_and_is_undone_all_the_same(world):
    world.environment.services["back"].refuses = frozenset({"kill"})
    verdict = world.run(injection(Kill(service="back")))
    assert verdict.result is Result.ERROR
    assert "may not have been applied" in verdict.problems[0]
    assert world.environment.services["back"].calls == ["kill", "start"]


def test_a_misspelt_target_is_an_error_before_anything_is_touched(world):
    verdict = world.run(injection(Kill(service="bakc")))
    assert verdict.result is Result.ERROR
    assert "'bakc'" in verdict.problems[0]
    assert world.environment.undone == []


def test_a_fault_that_cannot_be_healed_is_an_error_and_the_others_are_healed(world):
    world.environment.services["front"].refuses = frozenset({"start"})
    faults = (Injection(fault=Kill(service="back"), at_s=0.3), Injection(fault=Kill(service="front"), at_s=0.4))
    verdict = world.run(*faults)
    assert verdict.result is Result.ERROR
    assert any("may still be there" in problem for problem in verdict.problems)
    assert world.environment.services["back"].state == "running"


def test_what_has_no_end_is_healed_when_the_load_ends(world):
    faults = (Injection(fault=Kill(service="back"), at_s=0.3), Injection(fault=Partition(between=("front", "back")), at_s=0.4))
    world.run(*faults)
    assert {undo.verb for undo in world.environment.undone} == {"restore", "start"}, "side by side, since they share no target"


def test_a_stop_heals_and_aborts(world):
    threading.Timer(0.6, world.stop.request, ["Ctrl-C"]).start()
    verdict = world.run(Injection(fault=Kill(service="back"), at_s=0.3), duration_s=30.0)
    assert verdict.result is Result.ABORTED
    assert verdict.problems == ("stopped: Ctrl-C",)
    assert world.environment.services["back"].state == "running"


def test_an_abort_rule_ends_the_run_and_heals(world):
    rule = ErrorRate(journey="visit", above=0.9, for_s=0.3)
    verdict = world.run(Injection(fault=Kill(service="back"), at_s=0.5), abort_if=(rule,), duration_s=30.0)
    assert verdict.result is Result.ABORTED
    assert "abort_if error-rate" in verdict.problems[0]
    assert world.environment.services["back"].state == "running"


def test_an_environment_that_does_not_come_up_is_an_error(world):
    world.environment.up_error = NotReady("back did not answer")
    verdict = world.run(injection(Kill(service="back")))
    assert verdict.result is Result.ERROR
    assert "back did not answer" in verdict.problems[0]


def test_something_left_behind_is_an_error(world):
    world.environment.down_error = CannotHeal("process 42 is left")
    assert world.run(injection(Kill(service="back"))).result is Result.ERROR


def test_a_load_that_dies_is_an_error(world):
    world.load.dies_after = 20
    verdict = world.run(injection(Kill(service="back"), at_s=1.5), duration_s=3.0)
    assert verdict.result is Result.ERROR
    assert "LoadFailed" in verdict.problems[0]


def test_the_surge_of_a_load_that_died_is_not_left_behind(world):
    world.load.dies_after = 100
    verdict = world.run(Injection(fault=Saturate(times=4), at_s=0.5), duration_s=3.0)
    assert verdict.result is Result.ERROR
    assert not any("may still be there" in problem for problem in verdict.problems)


def test_an_environment_that_cannot_do_a_fault_says_which(world):
    world.environment.capabilities = frozenset({"pause"})
    verdict = world.run(injection(Kill(service="back")))
    assert verdict.result is Result.ERROR
    assert "faults[0] kill needs kill" in verdict.problems[0]


def test_the_ledger_is_fenced_and_read_twice(tmp_path):
    account = AccountState(account="A", kind="customer", balance=100, version=0, lowest=0)
    state = LedgerState(read_from="one", accounts=(account,), postings=())
    world = World(tmp_path, ledger=FakeLedger(state))
    world.run(injection(Kill(service="back")))
    final = world.folder.read_history().final
    assert final.first == final.second == state
    assert final.open_transactions == 0
    assert final.digests == {"one": "d", "other": "d"}


def test_two_reads_that_differ_are_both_kept(tmp_path):
    states = [LedgerState(read_from=name, accounts=(), postings=()) for name in ("one", "other")]
    world = World(tmp_path, ledger=FakeLedger(*states))
    world.run(injection(Kill(service="back")))
    final = world.folder.read_history().final
    assert (final.first, final.second) == tuple(states)


def test_a_runs_folder_that_cannot_be_written_is_a_usage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--runs"):
        World(tmp_path / "file").run()


def test_two_runs_in_the_same_second_have_two_folders(tmp_path):
    one, two = World(tmp_path), World(tmp_path)
    one.run(duration_s=0.1)
    two.run(duration_s=0.1)
    assert one.folder.path != two.folder.path
