import pytest

from chaoskit.faults.refuse import Refuse
from chaoskit.model.errors import Unsupported


@pytest.mark.parametrize("by", ["proxy", "packets"])
def test_refuses_and_accepts_again(stage, life, by):
    life(stage, Refuse(between=("front", "back"), by=by))


def test_works_without_containers(processes, life):
    life(processes, Refuse(between=("back", "front")))


@pytest.mark.parametrize("by", ["proxy", "packets"])
def test_a_refusal_that_does_nothing_is_not_seen(stage, by):
    stage.environment.links_by_name["front -> back"].is_deaf = True
    stage.environment.packets_by_name["front -> back"].is_deaf = True
    fault = Refuse(between=("front", "back"), by=by)
    aim = fault.aim(stage)
    fault.inject(stage, aim)
    assert not fault.observe(stage, aim).present


def test_a_service_that_is_down_is_not_taken_for_the_fault(stage):
    stage.environment.packets_by_name["front -> back"].is_down = True
    fault = Refuse(between=("front", "back"), by="packets")
    assert not fault.observe(stage, fault.aim(stage)).present


def test_each_way_needs_what_it_uses():
    assert Refuse(between=("a", "b")).needs == {"refuse"}
    assert Refuse(between=("a", "b"), by="packets").needs == {"packets"}


def test_no_link_no_fault(stage):
    with pytest.raises(Unsupported, match="refuse between 'back' and 'back'"):
        Refuse(between=("back", "back")).aim(stage)
