"""The money, looked at before anything is injected: where it is wrong already, no fault was needed, and none is injected.

The ledger is read while customers are there, so it has payments of which nobody was told yet. What is judged then knows of no
answer that came after the reading had begun, and only checks are asked that can judge so much (`Checker.is_sound_early`).
"""

from __future__ import annotations

import time
from dataclasses import replace

from chaoskit.engine.recorder import JsonLines
from chaoskit.model.errors import NotReady, UnreadableLedger
from chaoskit.model.experiment import Experiment
from chaoskit.model.history import Attempt, FinalReads, History, Operation, Outcome, ledger_events
from chaoskit.model.protocols import Checker
from chaoskit.model.topology import Ledger

BEFORE_S = 3.0
"""So long before the first injection the reading begins: twice its limit, so that a slow one does not delay the injection."""
WITHIN_S = 1.5
"""The bank's whole ledger is read in a tenth of it."""
NOT_CLOSED = "open"
"""How a key without an answer was settled, where none was: the word means nothing to any check."""


def checks(experiment: Experiment) -> tuple[Checker, ...]:
    """The checks that are asked early; () where nobody behaves in a way that a sound system may not withstand without a fault."""
    if not experiment.load.habits:
        return ()
    return tuple(check for check in experiment.expect if getattr(check, "is_sound_early", False))


def look(ledger: Ledger, history: History, recorder: JsonLines) -> None:
    """Read the ledger once into the history, as read 0; a failure is recorded, too. Blocks up to about twice `WITHIN_S`."""
    sent = tuple(dict.fromkeys(operation.key for operation in history.operations if operation.key))
    begun_ns = time.monotonic_ns()
    try:
        *lines, end = ledger_events(ledger.read(sent, timeout_s=WITHIN_S), read=0)
    except (NotReady, UnreadableLedger) as error:
        recorder.append({"event": "not-read-early", "error": str(error), "at_ns": begun_ns})
    else:
        recorder.append(*lines, {**end, "begun_ns": begun_ns})


def known_early(history: History) -> History | None:
    """The history as it was known when the early reading began, with that ledger as its last; None when there was no reading.

    Nothing was closed then, so an operation without an answer stays one, whatever the ledger has of it.
    """
    early = history.early
    if early is None or early.ledger is None:
        return None
    operations = tuple(_known_at(operation, early.begun_ns) for operation in history.operations)
    unknown = {o.key: NOT_CLOSED for o in operations if o.key and o.outcome is Outcome.INFO}
    final = FinalReads(settled=unknown, open_transactions=0, first=early.ledger, second=early.ledger)
    return replace(history, operations=operations, final=final)


def _known_at(operation: Operation, at_ns: int) -> Operation:
    """The operation without what was answered from *at_ns* on."""
    if all(attempt.end_ns is not None and attempt.end_ns < at_ns for attempt in operation.attempts):
        return operation
    return replace(operation, attempts=tuple(_attempt_at(attempt, at_ns) for attempt in operation.attempts))


def _attempt_at(attempt: Attempt, at_ns: int) -> Attempt:
    if attempt.end_ns is not None and attempt.end_ns < at_ns:
        return attempt
    return Attempt(number=attempt.number, start_ns=attempt.start_ns, habit=attempt.habit)
