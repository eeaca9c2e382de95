from chaoskit.faults.squeeze_memory import SqueezeMemory

MB = 1 << 20


def test_squeezes_is_met_and_gives_back(stage, life):
    stage.environment.service("back").need = 100 * MB
    aim = life(stage, SqueezeMemory(service="back", size=64 * MB))
    assert [undo.verb for undo in aim.undo] == ["start", "resize"], "undone from the last to the first"


def test_a_service_that_was_killed_for_it_is_started_again(stage):
    back = stage.environment.service("back")
    back.need = 100 * MB
    fault = SqueezeMemory(service="back", size=64 * MB)
    aim = fault.aim(stage)
    fault.inject(stage, aim)
    back.state = "killed"
    for undo in reversed(aim.undo):
        stage.environment.undo(undo)
    assert back.is_running()
    assert back.limit is None


def test_a_limit_that_is_never_met_is_no_fault(stage):
    stage.environment.service("back").need = MB
    fault = SqueezeMemory(service="back", size=64 * MB)
    aim = fault.aim(stage)
    fault.inject(stage, aim)
    assert not fault.observe(stage, aim).present
