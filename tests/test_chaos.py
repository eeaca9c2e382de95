"""Runs by hand and from documents through the public API, on a system in memory: one record and one verdict each."""

import json
import subprocess
import sys
import threading
from dataclasses import dataclass, replace

import pytest

import chaoskit
from chaoskit.chaos import Chaos, HarnessFailed, NotPassed
from chaoskit.checkers.availability import Availability
from chaoskit.cli import main
from chaoskit.engine.store import RunFolder
from chaoskit.faults.kill import Kill
from chaoskit.faults.partition import Partition
from chaoskit.machine import Machine
from chaoskit.model import undo as ledger
from chaoskit.model.errors import CannotInject, InvalidDocument, UnreadableLedger, UsageError
from chaoskit.model.experiment import EnvironmentChoice, Experiment, Injection, LoadShape
from chaoskit.model.history import Outcome
from chaoskit.model.journey import Habit
from chaoskit.model.topology import LedgerState
from chaoskit.model.verdict import Result
from chaoskit.registry import Registry
from chaoskit.testing import FakeEnvironment, FakeLedger, FakeLoad, FixedChecker, NoFault, fake_topology

PASSES = FixedChecker()
FAILS = FixedChecker(outcome=Result.FAILED)
VISITS = {"arrivals_per_s": 100, "mix": {"visit": 1}}


@pytest.fixture
def environment():
    return FakeEnvironment()


@pytest.fixture
def machine(tmp_path):
    locks = tmp_path / "locks"
    locks.mkdir()
    locks.chmod(0o1777)
    return Machine(policies=(), freezes=(tmp_path / "all", tmp_path / "mine"), locks=(locks,))


@pytest.fixture
def new(tmp_path, machine):
    """Makes a `Chaos` with a fake load whose customers are served while the back runs."""

    def make(environment=None, *, load=FakeLoad, **more):
        def new_load():
            back = environment.services["back"]
            return load(answer=lambda: Outcome.OK if back.is_running() else Outcome.INFO)

        return Chaos(environment, runs=tmp_path / "runs", title="test_x", machine=machine, new_load=new_load, **more)

    return make


def wait_for_operations(chaos, count):
    while len(chaos.history().operations) < count:
        threading.Event().wait(0.01)  # between two looks; the fake load sends a hundred a second


def by_hand(chaos, *faults, visits=20):
    with chaos.load(**VISITS):
        wait_for_operations(chaos, visits)
        for fault in faults:
            with chaos.fault(fault):
                wait_for_operations(chaos, visits * 2)
        wait_for_operations(chaos, visits * 3)


def test_a_run_by_hand_has_one_record_and_one_verdict(new, environment):
    with new(environment, reproduce="pytest tests/x.py::test_x", seed=7) as chaos:
        by_hand(chaos, Kill(service="back"), Partition(between=("front", "back")))
        verdict = chaos.verify(PASSES)
    assert verdict.result is Result.PASSED
    assert [fault["effect_seen"] for fault in verdict.faults] == [True, True]
    assert all(fault["healed_at_s"] >= fault["injected_at_s"] for fault in verdict.faults), "both are rounded to milliseconds"
    assert (verdict.seed, verdict.reproduce) == (7, "pytest tests/x.py::test_x")
    ((same, path),) = chaos.verdicts
    assert same is verdict
    assert json.loads(RunFolder(path).verdict.read_text())["verdict"] == "passed"
    assert RunFolder(path).junit.exists()
    assert len(RunFolder(path).read_history().operations) >= 60
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith(("chaoskit", "fake"))]


def test_a_finding_fails_the_test_with_the_report(new, environment):
    with new(environment) as chaos:
        by_hand(chaos)
        with pytest.raises(NotPassed, match=r"FAILED: test_x[\s\S]*always failed") as failed:
            chaos.verify(FAILS)
    assert failed.value.verdict.result is Result.FAILED
    assert failed.value.folder.exists()


def test_an_outage_is_found_by_a_real_check(new, environment):
    with new(environment) as chaos:
        by_hand(chaos, Kill(service="back"))
        with pytest.raises(NotPassed, match="availability"):
            chaos.verify(Availability(journey="visit", at_least=0.999))


def test_a_fault_without_effect_does_not_run_its_block(new, environment):
    with new(environment) as chaos:
        with pytest.raises(CannotInject, match="had no effect"), chaos.load(**VISITS), chaos.fault(NoFault()):
            pytest.fail("the block was run")
        chaos.close()
        assert [verdict.result for verdict, _ in chaos.verdicts] == [Result.ERROR]


def test_a_load_that_nobody_judged_is_an_error(new, environment):
    with pytest.raises(HarnessFailed, match="never judged"), new(environment) as chaos:
        by_hand(chaos)
    ((verdict, path),) = chaos.verdicts
    assert verdict.result is Result.ERROR
    folder = RunFolder(path)
    assert json.loads(folder.verdict.read_text())["verdict"] == "error"
    assert 'type="error"' in folder.junit.read_text()


def test_an_error_of_the_block_stays_the_first_one_and_everything_is_healed(new, environment):
    with pytest.raises(ZeroDivisionError), new(environment) as chaos, chaos.load(**VISITS), chaos.fault(Kill(service="back")):
        raise ZeroDivisionError("the test is wrong")
    ((verdict, _),) = chaos.verdicts
    assert verdict.result is Result.ABORTED
    assert "the test left the load by ZeroDivisionError: the test is wrong" in verdict.problems[0]
    assert environment.services["back"].is_running()


def test_what_is_called_in_the_wrong_order_says_the_right_one(new, environment):
    chaos = new(environment)
    with pytest.raises(UsageError, match="inside `with chaos"), chaos.fault(Kill(service="back")):
        pass
    with pytest.raises(UsageError, match="nothing to judge"):
        chaos.verify(PASSES)
    with pytest.raises(UsageError, match="there is no load"):
        chaos.history()
    with (
        pytest.raises(UsageError, match=r"brows is not a journey of the fake \(visit\)"),
        chaos.load(arrivals_per_s=1, mix={"brows": 1}),
    ):
        pass
    with chaos.load(**VISITS):
        with pytest.raises(UsageError, match="still goes on"):
            chaos.verify(PASSES)
        wait_for_operations(chaos, 10)
    with pytest.raises(UsageError, match="no check was given"):
        chaos.verify()
    with pytest.raises(UsageError, match="was not judged yet"), chaos.load(**VISITS):
        pass
    chaos.verify(PASSES)
    with pytest.raises(UsageError, match="no environment was given"), new().load(**VISITS):
        pass


def test_habits_reach_the_load_of_a_run_by_hand(environment, new):
    given = []

    class Load(FakeLoad):
        def start(self, plan, *, timeout_s):
            given.append(plan)
            super().start(plan, timeout_s=timeout_s)

    environment.topology = replace(environment.topology, habit_names=("double-tap",))
    chaos = new(environment, load=Load)
    with chaos.load(**VISITS, habits={Habit.DOUBLE_TAP: 0.25}):
        wait_for_operations(chaos, 1)
    chaos.verify(PASSES)
    assert given[0].habits == {"double-tap": 0.25}


@pytest.mark.parametrize(
    "habits, message",
    [
        ({Habit.NEW_KEY: 0.1}, r"new-key is not a habit that journeys of the fake heed \(double-tap, late-retry\)"),
        ({Habit.DOUBLE_TAP: 5}, "double-tap 5; expected shares above 0 and up to 1"),
        ({Habit.DOUBLE_TAP: float("nan")}, "double-tap nan; expected shares above 0 and up to 1"),
        ({Habit.DOUBLE_TAP: 0.6, Habit.LATE_RETRY: 0.5}, "the shares of habits come to 1.1; expected at most 1"),
    ],
)
def test_habits_that_cannot_be_are_refused_before_anybody_comes(environment, new, habits, message):
    environment.topology = replace(environment.topology, habit_names=("double-tap", "late-retry"))
    with pytest.raises(UsageError, match=message), new(environment).load(**VISITS, habits=habits):
        pass


def experiment(*faults):
    return Experiment(
        title="the fake survives",
        environment=EnvironmentChoice(use="fake"),
        load=LoadShape(arrivals_per_s=100, duration_s=0.6, mix={"visit": 1}),
        faults=faults,
        expect=(PASSES,),
    )


def test_an_experiment_runs_on_an_environment_that_is_up_and_leaves_it_up(new, environment):
    environment.is_up = True
    with new(environment) as chaos:
        verdict = chaos.check(chaos.run(experiment(Injection(fault=Kill(service="back"), at_s=0.2, for_s=0.2))))
    assert verdict.result is Result.PASSED
    assert environment.is_up
    with new(environment) as chaos:
        assert chaos.run(experiment()).result is Result.PASSED, "an environment without books takes several"


def test_names_of_a_document_are_checked_on_the_environment_that_a_fixture_gave(new, environment, tmp_path):
    document = tmp_path / "fake.chaos.yaml"
    text = """\
chaoskit: 1
title: the fake survives
environment: {fixture: fake}
load: {arrivals_per_s: 100, duration: 600ms, mix: {visit: 1}}
faults: [{fault: kill, service: back, at: 200ms, for: 200ms}]
expect: [{check: availability, journey: visit, at_least: 1%}]
"""
    environment.is_up = True
    with new(environment) as chaos:
        document.write_text(text.replace("service: back", "service: bakc"))
        with pytest.raises(InvalidDocument, match=r"fake\.chaos\.yaml:5:33: .* Did you mean 'back'\?"):
            chaos.run(document)
        document.write_text(text)
        assert chaos.check(chaos.run(document)).result is Result.PASSED


DOCUMENT = """\
chaoskit: 1
title: the fake survives
environment: {use: "chaoskit.testing:fake_topology"}
load: {arrivals_per_s: 100, duration: 600ms, mix: {visit: 1}}
faults: [{fault: kill, service: back, at: 200ms, for: 200ms}]
expect: [{check: availability, journey: visit, at_least: 1%}]
"""
SWEEP = DOCUMENT + "matrix: {faults.0.service: [back, front]}\n"


@pytest.fixture
def document(tmp_path):
    """Writes a document and gives its path; the pairs say what is different in it."""

    def write(text=DOCUMENT, *changes):
        for old, new in changes:
            assert text.count(old) == 1
            text = text.replace(old, new)
        path = tmp_path / "fake.chaos.yaml"
        path.write_text(text)
        return path

    return write


def test_an_entry_of_a_matrix_is_run_by_its_id(new, environment, document):
    with new(environment) as chaos:
        assert chaos.entries(document(SWEEP)) == ("service=back", "service=front")
        for entry in chaos.entries(document(SWEEP)):
            chaos.check(chaos.run(document(SWEEP), entry=entry))
    assert [verdict.title for verdict, _ in chaos.verdicts] == [f"the fake survives [service={name}]" for name in ("back", "front")]
    assert chaos.verdicts[1][0].reproduce.endswith("--entry service=front")


def test_a_document_without_a_matrix_has_one_entry(new, environment, document):
    with new(environment) as chaos:
        for entry in chaos.entries(document()):
            assert chaos.check(chaos.run(document(), entry=entry)).title == "the fake survives"


def test_variables_of_a_document_are_given_to_both(new, environment, document):
    path = document(SWEEP, ("[back, front]", '["${WHO}"]'))
    with new(environment) as chaos:
        (entry,) = chaos.entries(path, variables={"WHO": "back"})
        assert entry == "service=back"
        chaos.check(chaos.run(path, entry=entry, variables={"WHO": "back"}))


def test_a_matrix_without_an_entry_names_them_all_and_starts_nothing(new, environment, document, tmp_path):
    path = document(SWEEP)
    chaos = new(environment)
    with pytest.raises(InvalidDocument) as ambiguous:
        chaos.run(path)
    assert str(ambiguous.value) == (
        f"{path}:7:9: matrix: there are 2 entries (service=back, service=front); "
        "choose one by its id: chaos.run(…, entry='service=back'), and chaos.entries(…) gives all of them"
    )
    with pytest.raises(
        InvalidDocument, match=r"entry: 'service=bakc' is not an entry of the matrix .*Did you mean 'service=back'\?"
    ):
        chaos.run(path, entry="service=bakc")
    with pytest.raises(InvalidDocument, match="the document has no matrix, so it has no entries; leave it out"):
        chaos.run(document(), entry="service=back")
    assert not (tmp_path / "runs").exists()


def test_a_long_matrix_is_not_listed_to_its_end(new, environment, document):
    path = document(SWEEP, ("faults.0.service: [back, front]", f"load.arrivals_per_s: [{', '.join(map(str, range(1, 101)))}]"))
    with pytest.raises(InvalidDocument, match=r"there are 100 entries \(arrivals_per_s=1, .*, arrivals_per_s=20 and 80 more\)"):
        new(environment).run(path)


def test_what_cannot_be_chosen_any_more_is_refused(new, environment, document, tmp_path):
    """An environment that is up has its place and its options: what is said of them else would say nothing."""
    chaos = new(environment)
    for words in ({"on": "process"}, {"options": {"colour": "blue"}}, {"entry": "service=back"}):
        with pytest.raises(UsageError, match=rf"chaos.run: {next(iter(words))}=… chooses .* an Experiment says"):
            chaos.run(experiment(), **words)
    for words in ({"on": "process"}, {"options": {"colour": "blue"}}):
        with pytest.raises(UsageError, match=rf"chaos.run: {next(iter(words))}=… .* environment 'fake' is up already"):
            chaos.run(document(), **words)
    fake = '{use: "chaoskit.testing:fake_topology"}'
    bank = (("visit: 1", "transfer: 1"), ("service: back", "service: core"), ("visit,", "transfer,"))
    with pytest.raises(UsageError, match=r"fake\.chaos\.yaml: environment: the document is about 'bank', .* is 'fake'"):
        chaos.run(document(DOCUMENT, (fake, "bank"), *bank))
    like_the_bank = new(FakeEnvironment(Registry().topology("bank")))
    for key, value in ("on", "process"), ("options", "{defect: none}"):
        path = document(DOCUMENT, (fake, f"{{use: bank, {key}: {value}}}"), *bank)
        with pytest.raises(UsageError, match=rf"fake\.chaos\.yaml: environment.{key}: .* environment 'bank' is up already"):
            like_the_bank.run(path)
    assert not (tmp_path / "runs").exists()


def test_an_experiment_without_expectations_is_refused_before_anything_is_started(new, environment, tmp_path):
    with pytest.raises(UsageError, match="'the fake survives' expects nothing, and no expectation is no pass"):
        new(environment).run(replace(experiment(), expect=()))
    assert not (tmp_path / "runs").exists()


def test_a_verdict_is_returned_and_check_raises_it(new, environment):
    chaos = new(environment)
    verdict = chaos.run(experiment(Injection(fault=NoFault(), at_s=0.1)))
    assert verdict.result is Result.INCONCLUSIVE
    with pytest.raises(NotPassed, match="INCONCLUSIVE"):
        chaos.check(verdict)
    environment.services["back"].refuses = frozenset({"kill"})
    verdict = chaos.run(experiment(Injection(fault=Kill(service="back"), at_s=0.1)))
    with pytest.raises(HarnessFailed, match="may not have been applied"):
        chaos.check(verdict)


def test_who_watches_is_told_of_every_record_and_cannot_disturb(new, environment):
    events = []

    def observe(event):
        events.append(event["event"])
        if event["event"] == "healed":
            raise RuntimeError("the watcher is broken")

    with new(environment, observe=observe) as chaos:
        verdict = chaos.run(experiment(Injection(fault=Kill(service="back"), at_s=0.1, for_s=0.1)))
    assert [event for event in events if event in {"injecting", "injected", "healing", "healed"}] == [
        "injecting",
        "injected",
        "healing",
        "healed",
    ]
    assert verdict.result is Result.ERROR
    assert "whoever watched the run broke: RuntimeError: the watcher is broken" in verdict.problems


def test_books_that_a_run_has_moved_judge_no_second_one(new):
    ledger = FakeLedger(LedgerState(read_from="one", accounts=(), postings=()))
    environment = FakeEnvironment(ledger=ledger)
    with new(environment) as chaos:
        chaos.run(experiment())
        with pytest.raises(UsageError, match="an earlier run has moved its money"):
            chaos.run(experiment())


def test_books_that_are_read_at_the_beginning_judge_every_run(new):
    ledger = FakeLedger(LedgerState(read_from="one", accounts=(), postings=()))
    environment = FakeEnvironment(replace(fake_topology(ledger=ledger), opening=None), ledger=ledger)
    with new(environment) as chaos:
        for _ in range(2):
            chaos.run(experiment())
            _verdict, folder = chaos.verdicts[-1]
            assert '"event":"opening","balances":{},"found":true' in (folder / "history.jsonl").read_text()


def test_books_that_cannot_be_read_at_the_beginning_let_nobody_in(new):
    class Unreadable(FakeLedger):
        def read(self, keys=(), *, timeout_s):
            raise UnreadableLedger("query postings, column amount, row 1: NULL was given")

    ledger = Unreadable()
    environment = FakeEnvironment(replace(fake_topology(ledger=ledger), opening=None), ledger=ledger)
    with new(environment) as chaos:
        verdict = chaos.run(experiment())
    assert (verdict.result, verdict.operations) == (Result.ERROR, {})
    assert "UnreadableLedger: query postings, column amount, row 1: NULL was given" in verdict.problems


def test_a_frozen_machine_lets_nothing_run(new, environment, machine):
    machine.freezes[1].write_text(
        json.dumps({"by": "ops", "since": "2026-11-25T08:00:00+00:00", "reason": "salary day", "until": ""})
    )
    with pytest.raises(UsageError, match="frozen"):
        new(environment).run(experiment())


def test_the_package_gives_it_when_it_is_asked_for():
    assert chaoskit.Chaos is Chaos
    with pytest.raises(AttributeError, match="no attribute 'Chaoss'"):
        chaoskit.Chaoss  # noqa: B018
    code = "import chaoskit, sys; print('chaoskit.chaos' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"


def test_a_run_by_hand_is_judged_again_by_its_test_alone(new, environment, capsys):
    with new(environment, reproduce="pytest tests/x.py::test_x") as chaos:
        by_hand(chaos)
        chaos.verify(PASSES)
    assert main(["check", str(chaos.verdicts[0][1])]) == 2
    assert "run that again: pytest tests/x.py::test_x" in capsys.readouterr().err


@pytest.mark.parametrize("error", [SystemExit("enough"), pytest.fail.Exception("Timeout (>3.0s)")])
def test_a_run_that_is_left_by_something_else_has_its_verdict_all_the_same(new, environment, error, tmp_path):
    """What ends a process or a test, such as a time limit, is no Exception: such a run must not look like a whole one later."""
    with new(environment) as chaos, pytest.raises(type(error)) as left:
        chaos.run(experiment(Injection(fault=Left(error=error), at_s=0.1)))
    assert environment.services["back"].is_running()
    (folder,) = (tmp_path / "runs").iterdir()
    verdict = json.loads(RunFolder(folder).verdict.read_text())
    assert verdict["verdict"] == "aborted"
    assert verdict["problems"][0] == f"stopped: {type(error).__name__}: {error}"
    assert left.value.__notes__ == [f"chaoskit: what was injected is healed; the run is aborted: {folder}"]


@dataclass(frozen=True, kw_only=True)
class Left(NoFault):
    """A fault during whose aiming the test is left."""

    error: BaseException

    def aim(self, stage):
        raise self.error


def test_an_interrupt_ends_the_run_and_goes_on_to_whoever_called(new, environment):
    chaos = new(environment)
    with pytest.raises(KeyboardInterrupt):
        chaos.run(experiment(Injection(fault=Interrupted(), at_s=0.1)))
    ((verdict, _),) = chaos.verdicts
    assert verdict.result is Result.ABORTED
    assert verdict.reproduce == "run 'test_x' again", "an experiment built in Python has no command of its own"


@dataclass(frozen=True, kw_only=True)
class Interrupted(NoFault):
    """A fault during whose aiming somebody presses Ctrl-C."""

    def aim(self, stage):
        raise KeyboardInterrupt


def test_the_ledger_of_an_environment_that_stays_up_is_not_closed_over_what_may_still_be_there(new, environment):
    environment.services["back"].refuses = frozenset({"start"})
    chaos = new(environment)
    verdict = chaos.run(experiment(Injection(fault=Kill(service="back"), at_s=0.1, for_s=0.1)))
    assert verdict.result is Result.ERROR
    records = ledger.read(RunFolder(chaos.verdicts[0][1]).undo.read_text().splitlines())
    assert [one.fault for one in records.open] == ["faults[0] kill"]
    assert not records.is_closed
