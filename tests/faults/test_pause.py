from chaoskit.faults.pause import Pause
from chaoskit.model.protocols import Stage, Undo
from chaoskit.testing import FakeEnvironment, FakeLoad


def test_freezes_is_seen_and_goes_on():
    stage = Stage(FakeEnvironment(), FakeLoad())
    fault = Pause(service="back")
    aim = fault.aim(stage)
    assert aim.undo == (Undo(verb="resume", target="back"),)
    assert not fault.observe(stage, aim).present
    fault.inject(stage, aim)
    assert stage.environment.service("back").state == "paused"
    assert fault.observe(stage, aim).present
    stage.environment.undo(aim.undo[0])
    assert not fault.observe(stage, aim).present
