"""The records behind the first violation about money, so that a person sees what happened to whom without searching a history."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict

from chaoskit.checkers.money import MONEY
from chaoskit.checkers.money.books import open_books
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import Attempt, History, Operation
from chaoskit.model.verdict import Finding, Result


def witness(history: History) -> dict[str, object]:
    """What the first sentence of the first violated money check is about: its operations with all attempts, and their postings.

    `says` is that sentence. `operations` are those that it names, and all that were sent under the keys that it names; `postings`
    are what the ledger has under these keys: where that is nothing, the missing entry is the witness. `settled` says how the keys
    were settled at the end. Times are seconds into the load. Pure. Raises `NotExercised` when no money check is violated.
    """
    finding = _first(history)
    books = open_books(history, needs=frozenset())
    says = finding.evidence[0]
    known = books.asked.keys() | {posting.key for posting in books.ledger.postings}
    keys = [key for key in _named(says, r"""key ['"]?(\S+?)['"]?[,);: ]""") if key in known]
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
            for posting in books.ledger.postings
            if posting.key in keys
        ],
        "credits": [asdict(credit) for credit in books.ledger.credits or () if credit.key in keys],
        "settled": {key: settled[key] for key in keys if key in settled},
    }


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
