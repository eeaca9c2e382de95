from chaoskit.faults.reset import Reset


def test_resets_and_lets_through_again(processes, life):
    life(processes, Reset(between=("front", "back")))


def test_an_orderly_end_is_no_reset(processes):
    link = processes.environment.links_by_name["front -> back"]
    fault = Reset(between=("front", "back"))
    aim = fault.aim(processes)
    link.word = "closed"
    sign = fault.observe(processes, aim)
    assert (sign.present, sign.evidence) == (False, "a hello through front -> back: closed")


def test_a_service_that_is_down_proves_nothing(processes):
    processes.environment.service("back").kill()
    fault = Reset(between=("front", "back"))
    aim = fault.aim(processes)
    fault.inject(processes, aim)
    assert not fault.observe(processes, aim).present
