"""None waits for another: not the run for an injection that blocks, not a healing for one that hangs."""

import json
import threading
from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from chaoskit.engine.conductor import Conductor
from chaoskit.engine.recorder import JsonLines
from chaoskit.engine.schedule import Act, Entry
from chaoskit.engine.undo import UndoLedger
from chaoskit.faults.kill import Kill
from chaoskit.faults.partition import Partition
from chaoskit.faults.pause import Pause
from chaoskit.model import undo as ledger
from chaoskit.model.errors import CannotInject, Stopped
from chaoskit.model.experiment import Injection
from chaoskit.model.protocols import Aim, Sign, Stage, Undo
from chaoskit.testing import FakeEnvironment, FakeLoad

WITHIN_S = 10.0


@dataclass(frozen=True)
class Slow:
    """A fault whose injection blocks until it is let go."""

    kind: ClassVar[str] = "slow"
    needs: ClassVar[frozenset[str]] = frozenset()
    began: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def aim(self, stage):
        return Aim(targets=("front",), undo=(Undo(verb="start", target="front"),))

    def inject(self, stage, aim):
        self.began.set()
        assert self.go_on.wait(WITHIN_S)
        stage.environment.service("front").kill()

    def observe(self, stage, aim):
        return Sign(present=not stage.environment.service("front").is_running(), evidence="looked at front")


class World:
    def __init__(self, tmp_path, **limits):
        self.environment = FakeEnvironment()
        self.history = JsonLines(tmp_path / "history.jsonl")
        self.undo = UndoLedger(tmp_path / "undo.jsonl")
        self.path = tmp_path
        self.conductor = Conductor(Stage(self.environment, FakeLoad()), self.history, self.undo, **limits)

    def inject(self, name, fault, **more):
        injection = Injection(fault=fault, at_s=0.0)
        self.conductor.inject(Entry(at_s=0.0, act=Act.INJECT, fault=name, injection=injection), **more)

    def events(self, kind):
        rows = [json.loads(line) for line in (self.path / "history.jsonl").read_text().splitlines()]
        return [row["fault"] for row in rows if row["event"] == kind]

    def records(self):
        return ledger.read((self.path / "undo.jsonl").read_text().splitlines())


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("chaoskit")]


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.history.close()
    made.undo.close()
    assert not threads()


def test_a_run_that_is_stopped_does_not_wait_for_an_injection_that_blocks(world):
    slow = Slow()

    def stop():
        if slow.began.is_set():
            raise Stopped("in the middle of an injection")

    with pytest.raises(Stopped):
        world.inject("slow", slow, meanwhile=stop)
    assert world.conductor.injected == ("slow",), "it may come yet, so it is open"
    slow.go_on.set()
    world.conductor.heal_all()
    assert world.environment.services["front"].is_running()
    assert world.events("healed") == ["slow"]
    assert world.records().open == ()


def test_what_an_injection_that_blocks_has_done_is_undone_without_waiting_for_it(world):
    """It has frozen the back, and hangs over the front."""
    undone = threading.Event()

    @dataclass(frozen=True)
    class Half(Slow):
        def aim(self, stage):
            return Aim(targets=("back", "front"), undo=(Undo(verb="start", target="front"), Undo(verb="resume", target="back")))

        def inject(self, stage, aim):
            stage.environment.service("back").pause()
            super().inject(stage, aim)

    back = world.environment.services["back"]

    class Telling(type(back)):
        def resume(self):
            self.state = "running"
            undone.set()

    world.environment.services["back"] = Telling("back")
    half = Half()

    def stop():
        if half.began.is_set():
            raise Stopped("in the middle of an injection")

    with pytest.raises(Stopped):
        world.inject("half", half, meanwhile=stop)
    world.conductor.heal("half")
    assert undone.wait(WITHIN_S), "it waits for the injection"
    half.go_on.set()
    world.conductor.heal_all()
    assert world.environment.services["front"].is_running(), "what came after the undo is undone as well"
    assert world.conductor.errors == []


def test_an_injection_that_never_ends_is_an_error_and_stays_open(tmp_path):
    world = World(tmp_path, injected_within_s=0.2)
    slow = Slow()
    with pytest.raises(CannotInject, match="did not end within"):
        world.inject("slow", slow)
    world.conductor.heal_all()
    assert ["may come after its undo" in str(error) for error in world.conductor.errors] == [True]
    assert [one.fault for one in world.records().open] == ["slow"], "whoever reads the ledger tries again"
    slow.go_on.set()
    for thread in threads():
        thread.join(WITHIN_S)
    world.history.close()
    world.undo.close()


def test_a_healing_that_hangs_keeps_no_other_from_being_healed(world):
    """The undo of one link waits for ever, as that of a wedged proxy would."""
    let_go, healed = threading.Event(), threading.Event()
    link, back = world.environment.links_by_name["front -> back"], world.environment.services["back"]

    class Wedged(type(link)):
        def restore(self):
            assert let_go.wait(WITHIN_S)
            self.is_cut = False

    class Telling(type(back)):
        def start(self):
            self.state = "running"
            healed.set()

    world.environment.links_by_name["front -> back"] = wedged = Wedged(link.name)
    world.environment.services["back"] = Telling("back")
    world.inject("killed", Kill(service="back"))
    wedged.is_cut = True
    world.inject("cut", Partition(between=("front", "back")))
    healing = threading.Thread(target=world.conductor.heal_all, name="healing")
    healing.start()
    assert healed.wait(WITHIN_S), "the service waits for the link"
    assert "cut" not in world.events("healed")
    let_go.set()
    healing.join(WITHIN_S)
    assert world.conductor.errors == []
    assert set(world.events("healed")) == {"killed", "cut"}


def test_two_faults_of_one_target_are_undone_in_reverse_order(world):
    world.inject("first", Pause(service="back"))
    world.inject("second", Kill(service="back"))
    world.conductor.heal_all()
    assert world.environment.services["back"].calls == ["pause", "kill", "start", "resume"]
    assert world.events("healed") == ["second", "first"]


def test_a_fault_on_a_target_that_is_being_healed_waits_for_it(world):
    world.inject("first", Kill(service="back"))
    world.conductor.heal("first")
    world.inject("second", Kill(service="back"))
    assert world.environment.services["back"].calls == ["kill", "start", "kill"]
    world.conductor.heal_all()


def test_a_target_that_may_not_be_hurt_is_left_alone(world):
    world.environment.forbidden = frozenset({"back"})
    with pytest.raises(CannotInject, match="may not be hurt"):
        world.inject("kill", Kill(service="back"))
    assert world.environment.services["back"].calls == []
    assert world.records().open == ()
    assert world.conductor.injected == ()
