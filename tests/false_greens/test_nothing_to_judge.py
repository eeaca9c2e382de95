"""Every check there is, on records in which nothing succeeded or nothing was said, and with limits that nothing can miss."""

import dataclasses
import math

import pytest

from chaoskit.checkers.takeover import Takeover
from chaoskit.documents import read_text
from chaoskit.model.errors import InvalidDocument
from chaoskit.model.history import Attempt, FaultRecord, FinalReads, History, LoadCounts, Operation, Outcome, Sample
from chaoskit.model.topology import AccountState, LedgerState
from chaoskit.model.verdict import Result
from chaoskit.registry import Registry

CHECKS = {check.name: check for part in Registry().parts("checks") for check in Registry().checks(part.name)}
SECOND = 1_000_000_000
ASKED = {"journey": "transfer", "at_least": 0.5, "at_most_s": 1.0, "within_s": 30.0, "of": "db", "above": 0.5, "for_s": 1.0}


def check(name, **changes):
    fields = [f.name for f in dataclasses.fields(CHECKS[name]) if f.default is dataclasses.MISSING]
    return CHECKS[name](**{**{field: ASKED[field] for field in fields}, **changes})


def operations(outcome, count=100, served_by=""):
    return tuple(
        Operation(
            number=n,
            journey="transfer",
            due_ns=SECOND * (10 + n),
            attempts=(Attempt(number=1, start_ns=SECOND * (10 + n), end_ns=SECOND * (10 + n) + 1, outcome=outcome, served_by=served_by if n > 50 else "db-1"),),
            key=f"k{n}",
            intent=f"k{n}",
            legs={"ada": -1, "ben": 1},
        )
        for n in range(count)
    )  # fmt: skip


def role(at_s, member, role, accepts_writes):
    return Sample(
        probe="role", subject=member, at_ns=SECOND * at_s, values={"group": "db", "role": role, "accepts_writes": accepts_writes}
    )


KILL = FaultRecord(
    fault="faults[0] kill", kind="kill", targets=("db-1",), due_ns=60 * SECOND, injecting_ns=60 * SECOND, injected_ns=60 * SECOND,
    effect_seen=True, healing_ns=70 * SECOND, healed_ns=70 * SECOND,
)  # fmt: skip
BOOKS = LedgerState(
    read_from="db-1",
    accounts=tuple(AccountState(account=name, kind="customer", balance=100, version=0, lowest=0) for name in ("ada", "ben")),
    postings=(),
)


def history(done=(), **changes):
    whole = History(
        operations=done,
        load=LoadCounts(scheduled=len(done), sent=len(done), finished=len(done), drained=True),
        opening={"ada": 100, "ben": 100},
        final=FinalReads(open_transactions=0, first=BOOKS, second=BOOKS),
        samples=(role(1, "db-1", "primary", True), role(1, "db-2", "standby", False)),
        complete=True,
    )
    return dataclasses.replace(whole, **changes)


NOTHING = {
    "an empty record": History(),
    "an empty record with an end": History(complete=True),
    "books that nobody moved": history(),
    "books that nobody moved, and a fault": history(faults=(KILL,)),
    "no operation has an answer": history(operations(Outcome.INFO), faults=(KILL,)),
    "every operation failed": history(operations(Outcome.FAIL), faults=(KILL,)),
    "no operation has an answer, and nothing broke": history(operations(Outcome.INFO)),
    "the books could not be read": history(operations(Outcome.INFO), final=FinalReads(error="gone"), faults=(KILL,)),
}


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize("nothing", NOTHING)
def test_no_check_passes_where_nothing_succeeded(name, nothing):
    findings = check(name).check(NOTHING[nothing])
    assert findings
    if (name, nothing) == ("no-refused-effect", "every operation failed"):
        # The one thing that can be shown without a success: it was refused, and the books say that nothing moved.
        assert findings[0].summary == "100 refused operations, none of them moved money"
        return
    assert Result.PASSED not in {finding.outcome for finding in findings}


@pytest.mark.parametrize("name", [n for n, c in CHECKS.items() if "journey" in {f.name for f in dataclasses.fields(c)}])
def test_no_check_passes_on_a_journey_that_never_occurs(name):
    done = history(operations(Outcome.OK), faults=(KILL,))
    assert {f.outcome for f in check(name, journey="withdraw").check(done)} == {Result.INCONCLUSIVE}


NEVER_MISSED = [
    ("availability", "at_least", (math.nan, 0.0, -1.0)),
    ("availability", "window_s", (math.nan, math.inf, 0.0, -1.0)),
    ("latency", "at_most_s", (math.nan, math.inf, 0.0, -1.0)),
    ("latency", "p", (math.nan, 0.0, -1.0, 2.0)),
    ("recovery", "within_s", (math.nan, math.inf, 0.0, -1.0)),
    ("recovery", "steady", (math.nan, 0.0, -1.0)),
    ("error-rate", "above", (math.nan, math.inf, 1.0, -0.1)),
    ("error-rate", "for_s", (math.nan, math.inf, 0.0)),
    ("takeover", "within_s", (math.nan, math.inf, 0.0)),
    ("exercised", "at_least", (math.nan, 0, -1)),
]


@pytest.mark.parametrize("name,field,value", [(name, field, value) for name, field, values in NEVER_MISSED for value in values])
def test_a_limit_that_nothing_can_miss_is_refused(name, field, value):
    with pytest.raises(ValueError, match=f"^{field.removesuffix('_s')} is .*; expected"):
        check(name, **{field: value})


DOCUMENT = """\
chaoskit: 1
title: Nothing is asked
environment: bank
load: {arrivals_per_s: 10, duration: 10s, mix: {transfer: 1}}
expect: [{check: exercised, at_least: 0}, {check: availability, journey: transfer, at_least: 0%}]
abort_if: [{check: error-rate, journey: transfer, above: 100%, for: 1s}]
"""


def test_a_document_that_asks_for_nothing_is_invalid_with_the_place_of_each():
    with pytest.raises(InvalidDocument) as raised:
        read_text(DOCUMENT, registry=Registry(), file="nothing.chaos.yaml")
    first, second, third = raised.value.problems
    assert "5:10: expect[0]: at_least is 0; expected at least 1" in str(first)
    assert "expect[1]: at_least is 0.0; expected a share above 0 %" in str(second)
    assert "abort_if[0]: above is 1.0; expected a share from 0 % and below 100 %" in str(third)


@pytest.mark.parametrize("said", [math.nan, "<html>502</html>", {"accepts": False}, 0, ""])
def test_an_old_primary_of_which_nobody_knows_whether_it_takes_writes_is_no_takeover(said):
    samples = (role(1, "db-1", "primary", True), role(1, "db-2", "standby", False), role(90, "db-1", "standby", said))
    done = history(operations(Outcome.OK, served_by="db-2"), faults=(KILL,), samples=samples)
    (finding,) = Takeover(of="db", within_s=30.0).check(done)
    assert (finding.outcome, finding.measures["takeover_s"]) == (Result.INCONCLUSIVE, pytest.approx(1.0, abs=1))
    known = dataclasses.replace(done, samples=(*samples[:2], role(90, "db-1", "standby", False)))
    assert Takeover(of="db", within_s=30.0).check(known)[0].outcome is Result.PASSED
