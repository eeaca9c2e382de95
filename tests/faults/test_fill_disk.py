import pytest

from chaoskit.faults.fill_disk import FillDisk


@pytest.mark.parametrize("keep_full", [True, False])
def test_fills_is_seen_by_a_failed_write_and_frees(stage, life, keep_full):
    life(stage, FillDisk(service="back", path="/data", keep_full=keep_full))


def test_a_disk_with_room_is_not_seen_as_full(stage):
    stage.environment.service("back").is_deaf = True
    fault = FillDisk(service="back", path="/data")
    aim = fault.aim(stage)
    fault.inject(stage, aim)
    sign = fault.observe(stage, aim)
    assert (sign.present, sign.evidence) == (False, "a write below /data succeeded")
