"""One contract, every environment: what holds in the fake holds in processes and in containers."""

import unittest
from dataclasses import replace

import pytest

from chaoskit.environments.docker import DockerEnvironment
from chaoskit.environments.process import ProcessEnvironment
from chaoskit.testing import (
    EnvironmentContract,
    FakeEnvironment,
    FakeService,
    JoinableContract,
    RealEnvironmentContract,
    fake_topology,
    heal_all,
    tiny_topology,
)


def fake(topology, **_):
    return FakeEnvironment(topology)


@pytest.fixture(scope="class")
def make(request, tmp_path_factory):
    """Makes environments of the class's kind, and takes them down."""
    folder = tmp_path_factory.mktemp("contract")
    made = []

    def make(topology):
        made.append(request.cls.kind(topology, seed=1, options={}, logs=folder / f"logs-{len(made)}"))
        return made[-1]

    yield make
    for environment in made:
        environment.down()


@pytest.fixture(scope="class")
def shared(make):
    """Starting takes seconds, so the checks of a class share an environment, which is healed after each of them."""
    environment = make(tiny_topology())
    environment.up(is_stopping=lambda: False, say=print)
    return environment


@pytest.fixture
def environment(shared):
    yield shared
    heal_all(shared)


class TestFake(EnvironmentContract):
    kind = staticmethod(fake)


class TestFakeForSeveral(JoinableContract):
    @pytest.fixture
    def first(self):
        first = FakeEnvironment()
        first.up(is_stopping=lambda: False, say=print)
        return first

    @pytest.fixture
    def joined(self, first):
        joined = FakeEnvironment()
        joined.join(first.shared())
        return joined

    @pytest.fixture
    def other(self):
        return FakeEnvironment(fake_topology(services=("front", "side")))


class TestProcess(RealEnvironmentContract):
    kind = ProcessEnvironment


@pytest.mark.docker
@pytest.mark.whole
class TestDocker(RealEnvironmentContract):
    kind = DockerEnvironment


class Immortal(FakeEnvironment):
    def service(self, name):
        return Undying(super().service(name).name)


class Undying(FakeService):
    def kill(self):
        pass


class Deaf(FakeEnvironment):
    """Its links obey no fault, as with a misspelt toxic."""

    def links(self, one, other):
        return tuple(replace(link, is_deaf=True) for link in super().links(one, other))


class Boastful(FakeEnvironment):
    """Says that it can pause and does not."""

    def service(self, name):
        return Sleepless(super().service(name).name)


class Sleepless(FakeService):
    def pause(self):
        pass


class Forgetful(FakeEnvironment):
    def undo(self, undo):
        pass


class Moving(FakeEnvironment):
    count = 0

    def address(self, service, port):
        self.count += 1
        return super().address(service, port)[0], self.count


class Stubborn(FakeEnvironment):
    """Knows the roles from when it was started."""

    def resolve(self, name):
        return {"pair.primary": "pair-1", "pair.standby": "pair-2"}.get(name) or super().resolve(name)


class Clumsy(FakeEnvironment):
    def down(self):
        assert self.is_up, "was taken down before"
        super().down()


@pytest.mark.parametrize(
    "kind, check",
    [
        (Immortal, "test_a_killed_service_is_gone_and_starts_again_at_its_address"),
        (Moving, "test_a_killed_service_is_gone_and_starts_again_at_its_address"),
        (Immortal, "test_what_is_gone_can_be_neither_killed_nor_paused"),
        (Boastful, "test_a_paused_service_does_not_answer_and_goes_on_when_resumed"),
        (Deaf, "test_a_cut_link_answers_nothing_in_whichever_direction"),
        (Deaf, "test_a_slowed_link_answers_late_in_whichever_direction"),
        (Deaf, "test_a_link_can_refuse"),
        (Deaf, "test_a_link_can_reset"),
        (Deaf, "test_a_link_can_stall"),
        (Stubborn, "test_a_role_means_who_has_it_now"),
        (Forgetful, "test_an_undo_is_plain_data_and_may_be_done_twice"),
        (Forgetful, "test_an_undo_that_means_nothing_is_an_error"),
    ],
)
def test_the_contract_is_seen_to_fail(kind, check):
    environment = kind(tiny_topology())
    environment.up(is_stopping=lambda: False, say=print)
    with pytest.raises(AssertionError):
        getattr(EnvironmentContract(), check)(environment)


def test_the_contract_sees_an_environment_that_cannot_be_taken_down_twice():
    with pytest.raises(AssertionError, match="was taken down before"):
        EnvironmentContract().test_down_may_be_called_at_any_time_and_twice(Clumsy)


def test_what_an_environment_says_it_cannot_do_is_skipped_by_name():
    environment = FakeEnvironment(tiny_topology())
    environment.capabilities = frozenset({"kill"})
    with pytest.raises(unittest.SkipTest, match="environment fake says it cannot do pause"):
        EnvironmentContract().test_a_paused_service_can_be_killed(environment)
