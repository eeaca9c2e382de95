import pytest

from chaoskit.faults.partition import Partition
from chaoskit.model.errors import Unsupported
from chaoskit.model.protocols import Stage, Undo
from chaoskit.testing import FakeEnvironment, FakeLoad


@pytest.fixture
def stage():
    return Stage(FakeEnvironment(), FakeLoad())


@pytest.mark.parametrize("between", [("front", "back"), ("back", "front")])
def test_cuts_whichever_side_is_named_first_and_is_undone(stage, between):
    fault = Partition(between=between)
    aim = fault.aim(stage)
    assert aim.undo == (Undo(verb="restore", target="front -> back"),)
    assert not fault.observe(stage, aim).present
    fault.inject(stage, aim)
    assert fault.observe(stage, aim).present
    stage.environment.undo(aim.undo[0])
    assert not fault.observe(stage, aim).present


def test_a_cut_that_does_nothing_is_not_seen(stage):
    stage.environment.links_by_name["front -> back"].is_deaf = True
    fault = Partition(between=("front", "back"))
    aim = fault.aim(stage)
    fault.inject(stage, aim)
    assert not fault.observe(stage, aim).present


def test_silence_of_a_dead_service_is_no_proof_of_a_cut(stage):
    stage.environment.service("back").kill()
    fault = Partition(between=("front", "back"))
    aim = fault.aim(stage)
    fault.inject(stage, aim)
    assert not fault.observe(stage, aim).present


def test_services_without_a_link_are_refused_before_anything_is_touched(stage):
    with pytest.raises(Unsupported, match="no link between them"):
        Partition(between=("front", "front")).aim(stage)
