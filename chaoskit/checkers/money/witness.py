"""The records behind the first violation about money or logins, so that a person sees what happened without searching a history."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict

from chaoskit.checkers.money import MONEY
from chaoskit.checkers.money.books import open_books
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import Attempt, History, Operation
from chaoskit.model.topology import Credit, Posting
from chaoskit.model.verdict import Finding, Result


def witness(history: History, violation: Finding | None = None) -> dict[str, object]:
    """What the first sentence of *violation* is about: its operations with all attempts, and their postings.

    Without one it is that of the first violated money check. `says` is that sentence. `operations` are those that it names, all
    that were sent under the keys that it names, and their reversals; `postings` and `dispensed` are what the ledger and cash
    machines have under these keys: where that is nothing, the missing entry is the witness. `settled` says how the keys were
    settled at the end. Times are seconds into the load. Pure. Raises `NotExercised` when no money check is violated.
    """
    finding = violation or _first(history)
    postings = _postings(history)
    says = finding.evidence[0]
    known = {operation.key for operation in history.operations if operation.key} | {posting.key for posting in postings}
    keys = [key for key in _named(says, r"""key ['"]?(\S+?)['"]?[,);: ]""") if key in known]
    keys += [operation.key for operation in history.operations if operation.reverses in keys and operation.reverses]
    numbers = {int(number) for number in _named(says, r"operation (\d+)\b")}
    operations = [o for o in history.operations if o.number in numbers or (o.key and o.key in keys)]
    settled = history.final.settled if history.final else {}
    return {
        "witness": 1,
        "run": str(history.run.get("run", "")),
        "checker": finding.checker,
        "says": says,
        "operations": [_operation(history, operation) for operation in operations],
        "postings": [
            {
                "transaction": posting.transaction,
                "key": posting.key,
                "account": posting.account,
                "version": posting.version,
                "amount": posting.amount,
                "balance_after": posting.balance_after,
            }
            for posting in postings
            if posting.key in keys
        ],
        "credits": [asdict(credit) for credit in _credits(history) if credit.key in keys],
        "dispensed": [
            {"operation": notes.operation, "key": notes.key, "amount": notes.amount, "at_s": round(history.seconds(notes.at_ns), 6)}
            for notes in history.dispensed
            if notes.key in keys
        ],
        "settled": {key: settled[key] for key in keys if key in settled},
    }


def _postings(history: History) -> tuple[Posting, ...]:
    """The ledger's; () where there is none, or none that can be read: then nothing was said of it either."""
    try:
        return open_books(history, needs=frozenset()).ledger.postings
    except NotExercised:
        return ()


def _credits(history: History) -> tuple[Credit, ...]:
    """What other banks have booked; () where nobody asked them."""
    try:
        return open_books(history, needs=frozenset()).ledger.credits or ()
    except NotExercised:
        return ()


def _first(history: History) -> Finding:
    for check in MONEY:
        for finding in check.check(history):
            if finding.outcome is Result.FAILED:
                return finding
    raise NotExercised("no money check is violated, so there is nothing to bear witness of")


def _named(says: str, pattern: str) -> list[str]:
    return list(dict.fromkeys(re.findall(pattern, says + " ")))


def _operation(history: History, operation: Operation) -> Mapping[str, object]:
    return {
        "operation": operation.number,
        "journey": operation.journey,
        "intent": operation.intent,
        "key": operation.key,
        "legs": dict(operation.legs),
        "reverses": operation.reverses,
        "credentials": None if operation.credentials is None else asdict(operation.credentials),
        "outcome": operation.outcome.value,
        "attempts": [_attempt(history, attempt) for attempt in operation.attempts],
    }


def _attempt(history: History, attempt: Attempt) -> Mapping[str, object]:
    return {
        "attempt": attempt.number,
        "began_at_s": round(history.seconds(attempt.start_ns), 6),
        "ended_at_s": None if attempt.end_ns is None else round(history.seconds(attempt.end_ns), 6),
        "outcome": attempt.outcome.value,
        "status": attempt.status,
        "why": attempt.why,
        "served_by": attempt.served_by,
        "result": dict(attempt.result),
    }
