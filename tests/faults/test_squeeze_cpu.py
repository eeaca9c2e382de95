import pytest

from chaoskit.faults.squeeze_cpu import SqueezeCpu
from chaoskit.model.errors import UsageError


def test_squeezes_is_felt_and_gives_back(stage, life):
    aim = life(stage, SqueezeCpu(service="back", cores=0.1))
    assert aim.undo[0].verb == "resize"


def test_a_limit_above_its_use_is_no_fault(stage):
    stage.environment.service("back").need = 0.05
    fault = SqueezeCpu(service="back", cores=0.1)
    aim = fault.aim(stage)
    fault.inject(stage, aim)
    sign = fault.observe(stage, aim)
    assert (sign.present, sign.evidence) == (False, "limit 0.1, felt 3 times")


def test_a_limit_that_was_not_set_is_not_seen(stage):
    stage.environment.service("back").is_deaf = True
    fault = SqueezeCpu(service="back", cores=0.1)
    aim = fault.aim(stage)
    fault.inject(stage, aim)
    assert not fault.observe(stage, aim).present


def test_less_than_the_kernel_allows_is_refused():
    with pytest.raises(UsageError, match=r"0\.001 cores were given; expected at least 0\.01"):
        SqueezeCpu(service="back", cores=0.001)
