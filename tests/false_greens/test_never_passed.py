"""A run in which anything was a pretence is never PASSED: faults that do nothing, a load without requests, probes that return rubbish.

Parts of other teams may return anything, since nothing holds them to their types while they run.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from chaoskit.checkers.exercised import Exercised
from chaoskit.faults.kill import Kill
from chaoskit.model.history import Outcome
from chaoskit.model.protocols import Aim, Sign
from chaoskit.model.verdict import Finding, Result
from chaoskit.testing import FixedChecker, NoFault

HTML = "<!doctype html><title>502 Bad Gateway</title>"
RUBBISH = {"None": None, "NaN": math.nan, "a dict": {"status": 200}, "an HTML page": HTML, "a number": 1, "a list": [1]}


@dataclass(frozen=True, kw_only=True)
class Pretends:
    """Does nothing, and its look returns what it is told: before, after and in between alike, or only once."""

    kind: ClassVar[str] = "pretends"
    needs: ClassVar[frozenset[str]] = frozenset()
    seen: object
    looks: list = None

    def aim(self, stage):
        return Aim(targets=("front",), undo=())

    def inject(self, stage, aim):
        self.looks.clear()

    def observe(self, stage, aim):
        self.looks.append(1)
        return self.seen if len(self.looks) == 1 else Sign(present=False, evidence="gone")


class Source:
    """A probe whose metrics source is gone or talks rubbish."""

    name = "source"
    every_s = 0.05

    def __init__(self, returned):
        self.returned = returned

    def look(self, environment):
        if isinstance(self.returned, Exception):
            raise self.returned
        return self.returned


@dataclass(frozen=True)
class Returns:
    """A checker that returns what it is told."""

    returned: object
    name: ClassVar[str] = "returns"

    def check(self, history):
        return self.returned


def returns_finding(**changes):
    return Returns((Finding(**{"checker": "returns", "outcome": Result.PASSED, "summary": "fine", **changes}),))


def nobody(load):
    """A load that runs and sends nothing."""
    load._write = lambda _zero_ns: load._stop.wait(10)


# Each is one way to pretend; a run has at least one, and every checker of its own says PASSED whatever the history is.
FAULTS = {
    "a fault that does nothing": NoFault,
    "a fault whose look says None": lambda: Pretends(seen=None, looks=[]),
    **{f"a fault whose sign is {name}": lambda value=value: Pretends(seen=Sign(present=value, evidence=""), looks=[]) for name, value in RUBBISH.items()},
}  # fmt: skip
LOADS = {"nobody comes": nobody}
PROBES = {
    "the source is gone": lambda: Source(ConnectionRefusedError("111")),
    "pairs with rubbish for values": lambda: Source((("back", math.nan),)),
    **{f"a probe that returns {name}": lambda value=value: Source(value) for name, value in RUBBISH.items()},
}
CHECKS = {
    "a checker that says nothing": lambda: Returns(()),
    "a finding without an outcome": lambda: returns_finding(outcome=None),
    "a finding with a dict for an outcome": lambda: returns_finding(outcome={"status": 200}),
    **{f"a checker that returns {name}": lambda value=value: Returns(value) for name, value in RUBBISH.items()},
}


def play(world, *, fault=None, load=None, probe=None, check=None):
    made = FAULTS[fault]() if fault else Kill(service="back")
    if load:
        LOADS[load](world.load)
    world.probes = (PROBES[probe](),) if probe else ()
    checks = (CHECKS[check](),) if check else ()
    return world.run(*play.inject(made), expect=(FixedChecker(), *checks), steady=(), duration_s=0.35)


@pytest.fixture(autouse=True)
def _injection(inject):
    play.inject = lambda fault: (inject(fault, at_s=0.1, for_s=0.15),)


EVERY = [(kind, way) for kind, ways in (("fault", FAULTS), ("load", LOADS), ("probe", PROBES), ("check", CHECKS)) for way in ways]


def test_without_any_pretence_the_same_run_passes(world):
    assert play(world).result is Result.PASSED


@pytest.mark.parametrize("kind,way", [pytest.param(kind, way, id=way) for kind, way in EVERY])
def test_one_pretence_is_enough(world, kind, way):
    verdict = play(world, **{kind: way})
    assert verdict.result not in {Result.PASSED, Result.FAILED}, "the system did nothing wrong, and nothing was shown"
    assert world.folder.verdict.exists()


def of(kind):
    return st.none() | st.sampled_from([way for its, way in EVERY if its == kind])


# Half a second each: every pair of them is seen within some hundred runs of the suite, and each of them in every one, above.
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(fault=of("fault"), load=of("load"), probe=of("probe"), check=of("check"))
@example(fault="a fault that does nothing", load="nobody comes", probe="the source is gone", check="a checker that says nothing")
def test_no_mixture_of_them_passes(new_world, fault, load, probe, check):
    assume(any((fault, load, probe, check)))
    world = new_world()
    verdict = play(world, fault=fault, load=load, probe=probe, check=check)
    assert verdict.result is not Result.PASSED
    assert world.folder.verdict.exists()


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.INFO])
def test_a_load_of_which_nothing_succeeds_shows_nothing(world, inject, outcome):
    """Without a steady state, nobody has said that it must work before the fault: the check that every document has says so."""
    world.load.answer = lambda: outcome
    assert world.run(inject(Kill(service="back")), expect=(FixedChecker(), Exercised()), steady=()).result is Result.INCONCLUSIVE
