from chaoskit.faults.kill import Kill
from chaoskit.model.protocols import Stage, Undo
from chaoskit.testing import FakeEnvironment, FakeLoad


def test_kills_is_seen_and_is_undone():
    stage = Stage(FakeEnvironment(), FakeLoad())
    fault = Kill(service="back")
    aim = fault.aim(stage)
    assert aim.undo == (Undo(verb="start", target="back"),)
    assert not fault.observe(stage, aim).present
    fault.inject(stage, aim)
    assert fault.observe(stage, aim).present
    stage.environment.undo(aim.undo[0])
    assert not fault.observe(stage, aim).present
