import pytest

from chaoskit.faults.bandwidth import Bandwidth
from chaoskit.model.errors import Unsupported


def test_narrows_is_felt_and_widens(stage, life):
    life(stage, Bandwidth(service="back", bytes_per_s=500))


def test_a_line_that_is_wide_enough_is_no_fault(stage):
    fault = Bandwidth(service="back", bytes_per_s=100_000)
    aim = fault.aim(stage)
    fault.inject(stage, aim)
    sign = fault.observe(stage, aim)
    assert (sign.present, sign.evidence) == (False, "10 packets left back, and 0 times one had to wait")


def test_a_process_has_no_interface_of_its_own(processes):
    with pytest.raises(Unsupported, match="no network interface of its own"):
        Bandwidth(service="back", bytes_per_s=500).aim(processes)
