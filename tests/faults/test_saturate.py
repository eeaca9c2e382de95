from chaoskit.faults.saturate import Saturate
from chaoskit.model.protocols import Stage, Undo
from chaoskit.testing import FakeEnvironment, FakeLoad


def test_raises_the_load_is_seen_and_is_undone_by_plain_data():
    stage = Stage(FakeEnvironment(), FakeLoad())
    fault = Saturate(times=4)
    aim = fault.aim(stage)
    assert aim.undo == (Undo(verb="surge", target="load", details={"times": "1"}),)
    assert not fault.observe(stage, aim).present
    fault.inject(stage, aim)
    assert fault.observe(stage, aim).present
    stage.load.surge(float(aim.undo[0].details["times"]))
    assert not fault.observe(stage, aim).present


def test_a_load_that_does_not_follow_is_seen():
    stage = Stage(FakeEnvironment(), FakeLoad())
    stage.load.deaf = True
    fault = Saturate(times=4)
    fault.inject(stage, fault.aim(stage))
    sign = fault.observe(stage, fault.aim(stage))
    assert not sign.present
    assert "100 customers a second arrive, 100 are normal" in sign.evidence


def test_fewer_customers_are_a_fault_too():
    stage = Stage(FakeEnvironment(), FakeLoad())
    fault = Saturate(times=0.2)
    assert not fault.observe(stage, fault.aim(stage)).present
    fault.inject(stage, fault.aim(stage))
    assert fault.observe(stage, fault.aim(stage)).present
