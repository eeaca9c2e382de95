"""A system in memory, its load and a folder; `run` runs an experiment on it. Every part of it can be made to lie."""

import json
import threading

import pytest

from chaoskit.checkers.availability import Availability
from chaoskit.engine import store
from chaoskit.engine.guard import StopFlag
from chaoskit.engine.live import Cast
from chaoskit.engine.runner import run
from chaoskit.model.experiment import EnvironmentChoice, Experiment, Injection, LoadShape
from chaoskit.model.history import Outcome
from chaoskit.testing import FakeEnvironment, FakeLoad, FixedChecker, SilentProgress, fake_topology

PASSES = FixedChecker()
STEADY = Availability(journey="visit", at_least=0.99)


class World:
    def __init__(self, folder, *, services=("front", "back")):
        self.environment = FakeEnvironment(fake_topology(services=services))
        back = self.environment.services["back"]
        self.load = FakeLoad(answer=lambda: Outcome.OK if back.is_running() else Outcome.INFO)
        self.probes = ()
        self.stop = StopFlag()
        self.runs = folder

    def run(self, *injections, expect=(PASSES,), steady=(STEADY,), abort_if=(), duration_s=1.0):
        experiment = Experiment(
            title="the fake survives",
            environment=EnvironmentChoice(use="fake"),
            load=LoadShape(arrivals_per_s=100, duration_s=duration_s, mix={"visit": 1}),
            steady_state=steady,
            faults=injections,
            expect=expect,
            abort_if=abort_if,
            document="title: the fake survives\n",
        )
        self.folder = store.RunFolder.create(self.runs, experiment, seed=1)
        cast = Cast(environment=self.environment, load=self.load, probes=self.probes, progress=SilentProgress(), stop=self.stop)
        verdict = run(experiment, cast, folder=self.folder, seed=1, reproduce="chaoskit run x")
        assert not [t.name for t in threading.enumerate() if t.name.startswith(("chaoskit", "fake"))], "a thread of the run is left"
        assert not self.environment.is_up
        return verdict

    def undo_states(self):
        return [json.loads(line)["state"] for line in self.folder.undo.read_text().splitlines()]


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.fixture
def new_world(tmp_path):
    """Makes a world of its own each time: for properties, which run many experiments in one test."""
    return lambda **how: World(tmp_path, **how)


@pytest.fixture
def inject():
    return lambda fault, at_s=0.3, for_s=0.2: Injection(fault=fault, at_s=at_s, for_s=for_s)
