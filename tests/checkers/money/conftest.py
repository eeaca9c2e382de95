"""The way back from a history to the lines that a run would have left, for who reads lines."""

from dataclasses import replace

import pytest

from chaoskit.checkers.money import MONEY
from chaoskit.checkers.money.fast import passing
from chaoskit.checkers.wording import proves_nothing
from chaoskit.model.errors import NotAsked
from chaoskit.model.history import ledger_events


@pytest.fixture(scope="session")
def quickly():
    return _quickly


def _quickly(history):
    """Which checks the arrays pass, by name. Each of them, and what they say of it, is as the check itself has it."""
    passed = []
    for check in MONEY:
        (said,) = check.check(replace(history))
        finding = _found(check, replace(history))
        assert finding in (None, said)
        passed += [check.name] if finding and not finding.is_absent else []
    return passed


def _found(check, history):
    try:
        return passing(check.name, history, check._judge)
    except NotAsked as reason:
        return replace(proves_nothing(check.name, str(reason), safety=True), is_absent=True)


@pytest.fixture
def events_of():
    return _events_of


def _events_of(history):
    """The lines that a run with this history would have left."""
    yield {"event": "run", "run": history.run.get("run", "")}
    yield {"event": "opening", "balances": dict(history.opening)}
    for operation in history.operations:
        for attempt in operation.attempts:
            invoked = {"event": "invoked", "operation": operation.number, "attempt": attempt.number, "start_ns": attempt.start_ns}
            if attempt.number == 1:
                invoked |= {"journey": operation.journey, "due_ns": operation.due_ns, "intent": operation.intent}
                invoked |= ({"key": operation.key} if operation.key else {}) | (
                    {"legs": dict(operation.legs)} if operation.legs else {}
                )
            yield invoked
            if attempt.end_ns is not None:
                yield {
                    "event": "completed",
                    "operation": operation.number,
                    "attempt": attempt.number,
                    "end_ns": attempt.end_ns,
                    "outcome": attempt.outcome.value,
                    "result": dict(attempt.result),
                }
    count = len(history.operations)
    yield {"event": "load", "scheduled": count, "sent": count, "finished": count, "drained": True}
    yield {"event": "fence", "settled": dict(history.final.settled), "open_transactions": 0}
    yield from ledger_events(history.final.first, read=1)
    yield {"event": "ledger", "read": 2, "same_as_first": True}
    yield {"event": "digests", "members": dict(history.final.digests)}
    yield {"event": "finished", "at_ns": 99_000_000_000}
