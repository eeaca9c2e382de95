"""A live system that answers differently the second time is a find with a share, not a mistake of the test."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import FlakyFailure
from hypothesis.stateful import rule

from chaoskit.chaos import Chaos
from chaoskit.faults.kill import Kill
from chaoskit.machine import Machine
from chaoskit.model.errors import CannotInject
from chaoskit.model.experiment import EnvironmentChoice, Experiment, LoadShape
from chaoskit.model.verdict import Result, Verdict
from chaoskit.strategies import Confirmation, Found, LiveMachine, Search, confirm, explore, register_profile, schedules
from chaoskit.testing import FakeEnvironment, FakeLoad, FixedChecker


def verdict(result: Result = Result.PASSED, title: str = "") -> Verdict:
    return Verdict(result=result, findings=(), title=title)


FAILED, PASSED = verdict(Result.FAILED, "the shop"), verdict()


@pytest.fixture
def profile():
    """For a test in a test: nothing is kept, and the same is drawn each time."""
    return register_profile("of-this-test", is_ci=True)


def blip():
    """Fails the first time, and never again."""
    answers = itertools.chain([FAILED], itertools.repeat(PASSED))
    return lambda _what: next(answers)


def test_without_a_search_hypothesis_blames_the_test(profile):
    run = blip()

    @profile
    @given(st.just(1))
    def plain(what):
        assert run(what).result is Result.PASSED

    with pytest.raises(FlakyFailure):
        plain()


def test_a_search_says_how_often_it_was_seen_again(profile):
    search = Search(blip(), times=4)

    @profile
    @given(st.just(1))
    def searched(what):
        search.check(what)

    with pytest.raises(Found) as caught:
        searched()
    assert str(caught.value).startswith("FAILED: the shop")
    assert "Found with 1\n" in str(caught.value)
    assert "Once more, 0 of 4 runs did not pass (passed, passed, passed, passed)" in str(caught.value)
    assert (caught.value.verdict, caught.value.confirmation.failed) == (FAILED, 0)


def test_the_same_thing_is_tried_once_and_shrinking_stops_when_the_time_is_over():
    tried = []

    def run(what):
        tried.append(what)
        return FAILED if what >= 100 else PASSED

    shrinking = settings(register_profile("of-this-test", is_ci=True, is_shrinking=True, max_examples=100))
    search = Search(run, times=0)

    @shrinking
    @given(st.integers(0, 100_000))
    def searched(what):
        search.check(what)

    with pytest.raises(Found, match="Found with 100"):
        searched()
    assert len(tried) == len(set(tried)) == search.tried

    del tried[:]
    search = Search(run, times=0, at_most_s=0.0)

    @shrinking
    @given(st.integers(0, 100_000))
    def in_no_time(what):
        search.check(what)

    in_no_time()
    assert len(tried) == 1, "the first thing is always tried, and no other"


@pytest.mark.parametrize("result", [Result.INCONCLUSIVE, Result.ABORTED, Result.ERROR, Result.FAILED])
def test_only_a_pass_is_no_find(result):
    with pytest.raises(Found, match=f"1 of 1 runs did not pass \\({result.value}\\)"):
        Search(lambda _what: verdict(result), times=1).check("x")
    Search(lambda _what: PASSED).check("x")


def test_an_error_is_raised_as_it_is_and_not_tried_again():
    calls = []

    def run(what):
        calls.append(what)
        raise CannotInject("no way")

    search = Search(run)
    for _ in range(2):
        with pytest.raises(CannotInject, match="no way"):
            search.check(1)
    assert calls == [1]


def test_a_find_of_a_run_that_breaks_when_it_is_repeated_is_still_a_find():
    answers = iter([FAILED])

    def run(_what):
        for answer in answers:
            return answer
        raise CannotInject("no way")

    with pytest.raises(Found, match="FAILED: the shop") as caught:
        Search(run).check(1)
    assert "Repeating it ended with CannotInject: no way" in str(caught.value)


@pytest.mark.parametrize(
    "failed, times, low, high",
    [(3, 5, 0.231, 0.882), (0, 5, 0.0, 0.434), (5, 5, 0.566, 1.0), (1, 1, 0.207, 1.0), (0, 0, 0.0, 1.0)],
)
def test_the_interval_is_that_of_wilson(failed, times, low, high):
    """The values of published tables: 3 of 5 is 23.1% to 88.2%."""
    made = Confirmation((FAILED,) * failed + (PASSED,) * (times - failed))
    assert made.interval() == pytest.approx((low, high), abs=0.001)


def test_confirm_runs_so_often_and_counts():
    answers = iter([FAILED, PASSED, FAILED])
    made = confirm(lambda: next(answers), times=3)
    assert str(made) == (
        "2 of 3 runs did not pass (failed, passed, failed): with 95% confidence between 21% and 94% of all runs do not"
    )


def test_the_profile_fits_live_systems(tmp_path):
    ci = register_profile("of-this-test", is_ci=True)
    here = register_profile("of-this-test", is_ci=False, database=tmp_path / "finds")
    for made in (ci, here):
        assert made.deadline is None
        assert Phase.shrink not in made.phases
        assert made.max_examples <= 10
        assert made.print_blob
        assert not made.report_multiple_bugs
    assert ci.derandomize
    assert ci.database is None
    assert not here.derandomize
    assert here.database is not None
    assert Phase.shrink in register_profile("of-this-test", is_ci=True, is_shrinking=True).phases
    assert settings.get_profile("of-this-test").derandomize


@pytest.mark.parametrize("is_set", [True, False])
def test_the_profile_knows_ci_by_its_variable(is_set, monkeypatch):
    monkeypatch.setenv("CI", "true" if is_set else "")
    assert register_profile("of-this-test").derandomize is is_set


class Opened:
    """A resource that says what became of it."""

    def __init__(self, events, name):
        self.events, self.name = events, name

    def __enter__(self):
        self.events.append(f"open {self.name}")
        return self

    def __exit__(self, *_error):
        self.events.append(f"close {self.name}")


def machine_of(events, *, acquire=None, knock=None, verdict_of=lambda: None, close=None):
    class Shop(LiveMachine):
        def acquire(self):
            self.enter(Opened(events, "first"))
            if acquire:
                raise acquire
            if close:
                self._resources.callback(close)
            self.enter(Opened(events, "second"))

        @rule()
        def knock(self):
            events.append("knock")
            if knock:
                raise knock

        def judge(self):
            events.append("judge")
            return verdict_of()

    return Shop


OPENED, CLOSED = ["open first", "open second"], ["close second", "close first"]


def test_a_machine_opens_knocks_judges_and_closes_for_each_example(profile):
    events = []
    explore(machine_of(events, verdict_of=lambda: PASSED), settings=settings(profile, max_examples=3, stateful_step_count=4))
    assert "knock" in events
    assert [event for event in events if event != "knock"] == [*OPENED, "judge", *CLOSED] * 3
    assert all(events[at - 1] in ("open second", "knock") for at, event in enumerate(events) if event in ("knock", "judge"))


def test_what_was_opened_is_closed_when_the_start_fails_and_nothing_is_started_again(profile):
    events = []
    with pytest.raises(OSError, match="no room"):
        explore(machine_of(events, acquire=OSError("no room")), settings=profile)
    assert events == ["open first", "close first"]


def test_an_error_of_a_rule_ends_the_search_at_once(profile):
    events = []
    with pytest.raises(CannotInject, match="no way"):
        explore(machine_of(events, knock=CannotInject("no way")), settings=profile)
    assert events == [*OPENED, "knock", *CLOSED]


def test_a_verdict_that_is_no_pass_ends_the_search_at_once(profile):
    events, answers = [], iter([PASSED, FAILED, PASSED])
    with pytest.raises(Found, match="FAILED: the shop"):
        explore(machine_of(events, verdict_of=lambda: next(answers)), settings=settings(profile, stateful_step_count=2))
    assert [event for event in events if event != "knock"] == [*OPENED, "judge", *CLOSED] * 2


def test_an_error_of_closing_does_not_hide_the_first_one(profile):
    def close():
        raise OSError("it hangs")

    with pytest.raises(OSError, match="it hangs") as caught:
        explore(machine_of([], knock=CannotInject("no way"), close=close), settings=profile)
    assert isinstance(caught.value.__cause__, CannotInject)


def test_a_machine_breaks_a_system_in_memory_by_hand_and_is_judged(tmp_path, machine, profile):
    verdicts = []

    class Shop(LiveMachine):
        def acquire(self):
            environment = FakeEnvironment()
            environment.is_up = True
            self.chaos = self.enter(Chaos(environment, runs=tmp_path / "runs", machine=machine, new_load=FakeLoad))
            self.customers = self.enter(contextlib.ExitStack())
            self.customers.enter_context(self.chaos.load(arrivals_per_s=20, mix={"visit": 1}))

        @rule(service=st.sampled_from(["front", "back"]))
        def kill(self, service):
            with self.chaos.fault(Kill(service=service)):
                pass

        def judge(self):
            self.customers.close()
            verdicts.append(self.chaos.verify(FixedChecker()))
            return verdicts[-1]

    explore(Shop, settings=settings(profile, max_examples=2, stateful_step_count=3))
    assert [verdict.result for verdict in verdicts] == [Result.PASSED] * 2
    assert any(verdict.faults for verdict in verdicts)


@pytest.fixture
def machine(tmp_path):
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks").chmod(0o1777)
    return Machine(policies=(), freezes=(tmp_path / "all", tmp_path / "mine"), locks=(tmp_path / "locks",))


def test_searches_a_system_in_memory_through_the_public_api(tmp_path, machine, profile):
    """Drawn, run, recorded and judged; the profile's own number of examples, each with a folder of its own."""
    environment = FakeEnvironment()
    environment.is_up = True
    load = LoadShape(arrivals_per_s=50, duration_s=1.0, mix={"visit": 1})

    with Chaos(environment, runs=tmp_path / "runs", machine=machine, new_load=FakeLoad) as chaos:

        def run(schedule):
            return chaos.run(
                Experiment(
                    title="the fake survives",
                    environment=EnvironmentChoice(use="fake"),
                    load=load,
                    faults=schedule,
                    expect=(FixedChecker(),),
                )
            )

        search = Search(run)

        @settings(profile, max_examples=2, suppress_health_check=list(HealthCheck))
        @given(schedules(environment, load=load, at_most=2))
        def searched(schedule):
            search.check(schedule)

        searched()
        assert search.tried == len(chaos.verdicts) == 2
        assert all(one.result is Result.PASSED for one, _ in chaos.verdicts)
