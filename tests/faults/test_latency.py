import pytest

from chaoskit.faults.latency import Latency
from chaoskit.model.errors import Unsupported
from chaoskit.model.protocols import Stage, Undo
from chaoskit.testing import FakeEnvironment, FakeLoad


@pytest.fixture
def stage():
    return Stage(FakeEnvironment(), FakeLoad())


def test_slows_is_seen_and_is_undone(stage):
    fault = Latency(between=("front", "back"), add_s=0.2)
    aim = fault.aim(stage)
    assert aim.undo == (Undo(verb="restore", target="front -> back"),)
    assert not fault.observe(stage, aim).present
    fault.inject(stage, aim)
    assert fault.observe(stage, aim).present
    stage.environment.undo(aim.undo[0])
    assert not fault.observe(stage, aim).present


def test_a_delay_that_does_nothing_is_not_seen(stage):
    stage.environment.links_by_name["front -> back"].is_deaf = True
    fault = Latency(between=("front", "back"), add_s=0.2)
    fault.inject(stage, fault.aim(stage))
    assert not fault.observe(stage, fault.aim(stage)).present


def test_services_without_a_link_are_refused(stage):
    with pytest.raises(Unsupported, match="no link between them"):
        Latency(between=("front", "front"), add_s=0.2).aim(stage)
