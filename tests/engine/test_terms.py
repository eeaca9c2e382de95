"""On what terms a run goes on: limits are held again when a fault knows what it hits, and what was allowed is in the record."""

import json
import threading
from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from chaoskit.engine.blast import Blast
from chaoskit.engine.conductor import Conductor
from chaoskit.engine.guard import StopFlag
from chaoskit.engine.live import Cast
from chaoskit.engine.recorder import JsonLines
from chaoskit.engine.runner import run
from chaoskit.engine.schedule import Act, Entry
from chaoskit.engine.store import RunFolder
from chaoskit.engine.undo import UndoLedger
from chaoskit.faults.kill import Kill
from chaoskit.model.errors import CannotInject
from chaoskit.model.experiment import EnvironmentChoice, Experiment, Injection, LoadShape
from chaoskit.model.policy import Limits, Permission, Terms
from chaoskit.model.protocols import Aim, Sign, Stage, Undo
from chaoskit.model.verdict import Result
from chaoskit.reports.text import text_report
from chaoskit.testing import FakeEnvironment, FakeLoad, FixedChecker, SilentProgress

ONE = Limits(services=1, source="the policy")


@dataclass(frozen=True, kw_only=True)
class Hidden:
    """A fault that kills a service which none of its fields names."""

    kind: ClassVar[str] = "hidden"
    needs: ClassVar[frozenset[str]] = frozenset()

    def aim(self, stage):
        return Aim(targets=("back",), undo=(Undo(verb="start", target="back"),))

    def inject(self, stage, aim):
        stage.environment.service("back").kill()

    def observe(self, stage, aim):
        return Sign(present=not stage.environment.service("back").is_running(), evidence="looked at back")


def carried_out(tmp_path, *faults, terms, limits=None, environment=None):
    experiment = Experiment(
        title="the fake survives",
        environment=EnvironmentChoice(use="fake"),
        load=LoadShape(arrivals_per_s=100, duration_s=1.0, mix={"visit": 1}),
        faults=faults,
        expect=(FixedChecker(),),
        limits=limits or Limits(),
        document="title: the fake survives\n",
    )
    folder = RunFolder.create(tmp_path, experiment, seed=1)
    environment = environment or FakeEnvironment()
    cast = Cast(environment=environment, load=FakeLoad(), probes=(), progress=SilentProgress(), stop=StopFlag(), terms=terms)
    verdict = run(experiment, cast, folder=folder, seed=1, reproduce="chaoskit run x")
    assert all(service.is_running() for service in environment.services.values())
    return verdict, folder


TWO = (Injection(fault=Kill(service="front"), at_s=0.2, for_s=0.6), Injection(fault=Hidden(), at_s=0.4, for_s=0.2))


@pytest.mark.parametrize("by", ["the policy", "the document"])
def test_a_fault_that_would_break_a_limit_is_not_injected_and_the_run_is_an_error(tmp_path, by):
    limits = {"terms": Terms(limits=(ONE,))} if by == "the policy" else {"terms": Terms(), "limits": ONE}
    verdict, _ = carried_out(tmp_path, *TWO, **limits)
    assert verdict.result is Result.ERROR
    assert "back besides front may not be hurt: 2 services (back, front) would be hurt at the same time" in verdict.problems[0]
    assert verdict.faults[1]["injected_at_s"] is None
    assert verdict.faults[0]["healed_at_s"] is not None


def test_without_the_limit_both_are_injected(tmp_path):
    verdict, _ = carried_out(tmp_path, *TWO, terms=Terms())
    assert all(fault["effect_seen"] for fault in verdict.faults)


class World:
    def __init__(self, tmp_path):
        self.environment = FakeEnvironment()
        stage = Stage(self.environment, FakeLoad())
        self.history, self.undo = JsonLines(tmp_path / "history.jsonl"), UndoLedger(tmp_path / "undo.jsonl")
        self.conductor = Conductor(stage, self.history, self.undo, blast=Blast((ONE,), self.environment.topology))

    def inject(self, name, fault, **more):
        entry = Entry(at_s=0.0, act=Act.INJECT, fault=name, injection=Injection(fault=fault, at_s=0.0))
        self.conductor.inject(entry, **more)


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.history.close()
    made.undo.close()


@dataclass(frozen=True, kw_only=True)
class Lingering(Kill):
    """A kill whose effect is seen until it is let go."""

    gone: threading.Event = field(default_factory=threading.Event)

    def observe(self, stage, aim):
        return Sign(present=not self.gone.is_set(), evidence="looked")


def test_the_next_fault_waits_until_the_last_one_was_seen_to_be_healed(world):
    first = Lingering(service="front")
    world.inject("faults[0] kill", first)
    world.conductor.heal("faults[0] kill")
    world.inject("faults[1] kill", Kill(service="back"), meanwhile=first.gone.set)
    assert first.gone.is_set()
    assert world.environment.services["front"].is_running()
    assert not world.environment.services["back"].is_running()
    world.conductor.heal_all()
    assert world.conductor.errors == []


def test_a_fault_that_could_not_be_healed_still_counts(world):
    world.inject("faults[0] kill", Kill(service="front"))
    world.environment.services["front"].refuses = frozenset({"start"})
    world.conductor.heal("faults[0] kill")
    with pytest.raises(CannotInject, match="back besides front may not be hurt"):
        world.inject("faults[1] kill", Kill(service="back"))
    assert world.environment.services["back"].calls == []
    world.conductor.heal_all()


def test_what_was_allowed_is_in_the_record_the_verdict_and_the_report(tmp_path):
    verdict, folder = carried_out(tmp_path, terms=Terms(allowed=(Permission.PRODUCTION, Permission.REMOTE_TARGET)))
    assert verdict.allowed == ("production", "remote-target")
    assert json.loads(folder.verdict.read_text())["allowed"] == ["production", "remote-target"]
    assert folder.read_history().run["allowed"] == ["production", "remote-target"]
    assert "  Allowed by name:  production, remote-target\n" in text_report(verdict, folder="x")


def test_nothing_is_said_of_what_was_not_allowed(tmp_path):
    verdict, _ = carried_out(tmp_path, terms=Terms())
    assert verdict.allowed == ()
    assert "Allowed" not in text_report(verdict, folder="x")


class Elsewhere(FakeEnvironment):
    def address(self, service, port):
        return ("192.0.2.7", 80)


def test_customers_are_not_sent_to_another_machine_unless_that_was_allowed(tmp_path):
    verdict, _ = carried_out(tmp_path, terms=Terms(), environment=Elsewhere())
    assert verdict.result is Result.ERROR
    assert "192.0.2.7:80, which is not on loopback; allow it with --allow remote-target" in verdict.problems[0]
    assert verdict.operations == {}
    allowed, _ = carried_out(tmp_path, terms=Terms(allowed=(Permission.REMOTE_TARGET,)), environment=Elsewhere())
    assert allowed.operations
