"""A fault for the length of a block: seen, undone whatever happens, and seen to be gone."""

import pytest

from chaoskit.faults.kill import Kill
from chaoskit.faults.partition import Partition
from chaoskit.faults.saturate import Saturate
from chaoskit.model.errors import CannotHeal, CannotInject, Unsupported
from chaoskit.testing import FakeEnvironment, injected


@pytest.fixture
def environment():
    return FakeEnvironment()


def test_it_is_there_in_the_block_and_gone_afterwards(environment):
    with injected(Kill(service="back"), environment) as sign:
        assert sign.present
        assert environment.service("back").state == "killed"
    assert environment.service("back").state == "running"


def test_an_error_of_the_block_is_the_first_one_and_the_fault_is_undone(environment):
    with pytest.raises(ZeroDivisionError), injected(Partition(between=("front", "back")), environment):
        _ = 1 / 0
    assert not environment.links_by_name["front -> back"].is_cut


def test_a_block_that_fails_with_a_fault_that_stays_tells_both(environment):
    environment.services["back"].refuses = frozenset({"start"})
    with pytest.raises(ZeroDivisionError) as caught, injected(Kill(service="back"), environment):
        _ = 1 / 0
    assert "start back: back: start was refused" in caught.value.__notes__[0]


def test_a_fault_without_effect_does_not_run_the_block(environment):
    environment.links_by_name["front -> back"].is_deaf = True
    fault, block = Partition(between=("front", "back")), []
    with (
        pytest.raises(CannotInject, match="had no effect: front -> back answered"),
        injected(fault, environment, effect_within_s=0.1),
    ):
        block.append("was run")
    assert block == []
    assert [undo.verb for undo in environment.undone] == ["restore"]


def test_what_cannot_be_healed_is_an_error(environment):
    environment.services["back"].refuses = frozenset({"start"})
    with (
        pytest.raises(CannotHeal, match="kill of back may still be there: start back"),
        injected(Kill(service="back"), environment),
    ):
        pass


def test_what_cannot_be_done_here_is_said_before_anything_is_done(environment):
    environment.capabilities = frozenset({"pause"})
    with (
        pytest.raises(Unsupported, match="needs kill, which environment fake cannot do"),
        injected(Kill(service="back"), environment),
    ):
        pytest.fail("the block was run")
    with pytest.raises(Unsupported, match="saturate needs surge"), injected(Saturate(times=2), environment):
        pytest.fail("the block was run")
    assert environment.service("back").calls == []


class Remembering(FakeEnvironment):
    """Writes down what it is told to remember, and in which state the service was at that moment."""

    def __init__(self):
        super().__init__()
        self.told = []

    def remember(self, name, undo):
        self.told.append(("remember", name, [one.verb for one in undo], self.service("back").state))

    def forget(self, name):
        self.told.append(("forget", name, self.service("back").state))


def test_an_environment_that_remembers_is_told_before_the_act_and_after_it_was_healed():
    environment = Remembering()
    with injected(Kill(service="back"), environment):
        pass
    (remembered, name, verbs, before), (forgotten, same_name, after) = environment.told
    assert (remembered, verbs, before) == ("remember", ["start"], "running")
    assert (forgotten, after) == ("forget", "running")
    assert same_name == name


def test_what_may_still_be_there_is_not_forgotten():
    environment = Remembering()
    environment.services["back"].refuses = frozenset({"start"})
    with pytest.raises(CannotHeal), injected(Kill(service="back"), environment):
        pass
    assert [told[0] for told in environment.told] == ["remember"]
