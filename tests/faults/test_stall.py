import pytest

from chaoskit.faults.stall import Stall


@pytest.mark.parametrize("direction", ["both", "requests", "answers"])
def test_holds_and_lets_go(processes, life, direction):
    life(processes, Stall(between=("front", "back"), direction=direction))


def test_a_stall_that_does_nothing_is_not_seen(processes):
    processes.environment.links_by_name["front -> back"].is_deaf = True
    fault = Stall(between=("front", "back"))
    aim = fault.aim(processes)
    fault.inject(processes, aim)
    assert not fault.observe(processes, aim).present


def test_silence_of_a_dead_service_is_no_proof(processes):
    processes.environment.service("back").kill()
    fault = Stall(between=("front", "back"))
    aim = fault.aim(processes)
    fault.inject(processes, aim)
    assert not fault.observe(processes, aim).present
