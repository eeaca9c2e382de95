import pytest

from chaoskit.faults.detach import Detach


@pytest.mark.parametrize("network, left", [("", ()), ("bank", ("backbone",))])
def test_takes_it_off_and_attaches_it_again(stage, life, network, left):
    fault = Detach(service="back", network=network)
    aim = fault.aim(stage)
    fault.inject(stage, aim)
    assert stage.environment.service("back").networks() == left
    for undo in aim.undo:
        stage.environment.undo(undo)
    life(stage, fault)


def test_a_detach_that_did_nothing_is_not_seen(stage):
    stage.environment.service("back").is_deaf = True
    fault = Detach(service="back")
    aim = fault.aim(stage)
    fault.inject(stage, aim)
    sign = fault.observe(stage, aim)
    assert (sign.present, sign.evidence) == (False, "back is attached to backbone, bank")
