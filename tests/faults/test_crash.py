import pytest

from chaoskit.faults.crash import Crash
from chaoskit.model.errors import CannotInject, Unsupported
from chaoskit.model.protocols import Undo


def test_ends_it_and_starts_it_again(stage, life):
    assert life(stage, Crash(service="back")).undo == (Undo(verb="start", target="back"),)


def test_a_crash_that_did_nothing_is_not_seen(stage):
    stage.environment.service("back").is_deaf = True
    fault = Crash(service="back")
    fault.inject(stage, fault.aim(stage))
    assert not fault.observe(stage, fault.aim(stage)).present


def test_a_paused_service_is_one_clear_error(stage):
    stage.environment.service("back").pause()
    with pytest.raises(CannotInject, match="back is paused"):
        Crash(service="back").inject(stage, Crash(service="back").aim(stage))


def test_a_process_is_no_container(processes):
    fault = Crash(service="back")
    with pytest.raises(Unsupported, match="back of 'fake' lives in no container; choose another place"):
        fault.inject(processes, fault.aim(processes))
