"""Whether only those were let in who may come in: by the right secret, by a session that has not ended, and not while locked."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar

from chaoskit.checkers import asked
from chaoskit.checkers.wording import MOST_EVIDENCE, counted, proves_nothing
from chaoskit.model import units
from chaoskit.model.history import Attempt, History, Operation, Outcome
from chaoskit.model.verdict import Finding, Result

REFUSALS = frozenset({401, 403, 423})
"""By these a bank says that it looked at who asks and does not let them in (RFC 9110, 15.5.2 and 15.5.4; RFC 4918, 11.3)."""
NEVER_NS = 1 << 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Nobody was let in by a wrong secret, by a session after its end was confirmed, or after `tries` wrong secrets.

    Proves: no call with a wrong secret was accepted; no call with a session was accepted that began after the end of that session
    had been confirmed; no right secret was accepted that was given after `tries` wrong ones had been refused, with no accepted one
    in between: so the count of wrong ones outlives whatever was injected.
    Sound because only answers count: an end without an answer, a wrong secret that was not refused as such, and a right one without
    an answer, which may have set the count back, accuse nobody; equal times count as at once.
    Cannot see: what no customer tried, and whether a lock ends by itself: a bank whose locks do so during a run has broken none.
    The summary says how often each of the three was tried. Inconclusive when none was. O(n log n).
    Catches a session store or a count of wrong secrets on a copy that is behind when it takes over, a cache that outlives the end
    of a session, a secret that is not checked while its store is away.
    """

    name: ClassVar[str] = "login"
    tries: units.Count = 3
    """So many wrong secrets lock a customer out; three are common for PINs, and are those of the reference bank."""

    def __post_init__(self) -> None:
        asked.some("tries", self.tries)

    def check(self, history: History) -> tuple[Finding, ...]:
        known = [operation for operation in history.operations if operation.credentials is not None]
        wrong = list(_tries(known, secret="wrong"))
        ended, late = _after_the_end(known)
        locked = list(self._while_locked(known))
        tested = {
            "wrong secret": sum(_is_refused(attempt) for _, attempt in wrong),
            "ended session": sum(_is_refused(attempt) for _, attempt in late),
            "right secret": sum(_is_refused(attempt) for _, attempt in locked),
        }
        guessed, revived, unlocked = ([one for one in found if one[1].outcome is Outcome.OK] for found in (wrong, late, locked))
        violations = [
            *(f"{_who(history, *one)} was let in by a wrong secret" for one in guessed),
            *(
                f"{_who(history, *one)} was let in by session {_session(one)}, {_ended(history, ended[_session(one)])}"
                for one in revived
            ),
            *(f"{_who(history, *one)} was let in after {self.tries} wrong secrets had been refused" for one in unlocked),
        ]
        if not violations and not any(tested.values()):
            return (proves_nothing(self.name, "nobody tried a wrong secret or an ended session and was refused", safety=True),)
        measures = {"wrong_secrets_accepted": len(guessed), "ended_sessions_accepted": len(revived), "locks_lost": len(unlocked)}
        tried = ", ".join(counted(count, what) for what, count in tested.items()) + " after a lockout"
        let_in = f"{len(guessed):,} by a wrong secret, {len(revived):,} by an ended session, {len(unlocked):,} after their lockout"
        finding = Finding(
            checker=self.name,
            outcome=Result.FAILED if violations else Result.PASSED,
            summary=f"let in who may not come in: {let_in}" if violations else f"refused: {tried}",
            evidence=tuple(violations[:MOST_EVIDENCE]),
            measures=measures,
            safety=True,
        )
        return (finding,)

    def _while_locked(self, known: Sequence[Operation]) -> Iterator[tuple[Operation, Attempt]]:
        """Right secrets that were given after so many wrong ones that the customer was locked out, whatever else was under way."""
        refused: dict[str, list[Attempt]] = defaultdict(list)
        for operation, attempt in _tries(known, secret="wrong"):
            if _is_refused(attempt):
                refused[_customer(operation)].append(attempt)
        given: dict[str, list[tuple[Operation, Attempt]]] = defaultdict(list)
        for operation, attempt in _tries(known, secret="right"):
            given[_customer(operation)].append((operation, attempt))
        for customer, rights in given.items():
            rights.sort(key=lambda one: one[1].start_ns)
            starts = sorted(one.start_ns for one in refused[customer])
            ends = sorted(_end_ns(one) for one in refused[customer])
            # By place: until when one before may have set the count back.
            reset_ns = list(accumulate((_may_reset_until_ns(attempt) for _, attempt in rights), max, initial=-1))
            for place, (operation, attempt) in enumerate(rights):
                # Those that were over, less those that a reset may have undone: never too many.
                before = bisect_left(ends, attempt.start_ns) - bisect_right(starts, reset_ns[place])
                if before >= self.tries:
                    yield operation, attempt


def _tries(known: Sequence[Operation], *, secret: str) -> Iterator[tuple[Operation, Attempt]]:
    for operation in known:
        if operation.credentials is not None and operation.credentials.secret == secret:
            yield from ((operation, attempt) for attempt in operation.attempts)


def _after_the_end(known: Sequence[Operation]) -> tuple[Mapping[str, Operation], Sequence[tuple[Operation, Attempt]]]:
    """By session, the operation by which its end was confirmed first, and every call with it that began later."""
    ended: dict[str, Operation] = {}
    for operation in known:
        if operation.credentials is not None and operation.credentials.ends and operation.answer is not None:
            name = operation.credentials.session
            if name not in ended or _told_ns(operation) < _told_ns(ended[name]):
                ended[name] = operation
    late = [
        (operation, attempt)
        for operation in known
        if operation.credentials is not None and operation.credentials.session in ended and not operation.credentials.ends
        for attempt in operation.attempts
        if attempt.start_ns > _told_ns(ended[operation.credentials.session])
    ]
    return ended, late


def _told_ns(operation: Operation) -> int:
    """When the end was confirmed."""
    return NEVER_NS if operation.end_ns is None else operation.end_ns


def _is_refused(attempt: Attempt) -> bool:
    return attempt.outcome is Outcome.FAIL and attempt.status in REFUSALS


def _end_ns(attempt: Attempt) -> int:
    return NEVER_NS if attempt.end_ns is None else attempt.end_ns


def _may_reset_until_ns(attempt: Attempt) -> int:
    """Until when a right secret may have set the count of wrong ones back: never if it was refused, for ever without an answer."""
    if attempt.outcome is Outcome.FAIL:
        return -1
    return _end_ns(attempt) if attempt.outcome is Outcome.OK else NEVER_NS


def _customer(operation: Operation) -> str:
    return operation.credentials.customer if operation.credentials else ""


def _session(one: tuple[Operation, Attempt]) -> str:
    return one[0].credentials.session if one[0].credentials else ""


def _who(history: History, operation: Operation, attempt: Attempt) -> str:
    who = _customer(operation) or "somebody"
    return f"{who} ({operation.journey}, operation {operation.number}, answered at {history.seconds(_end_ns(attempt)):.1f} s)"


def _ended(history: History, operation: Operation) -> str:
    return f"whose end had been confirmed at {history.seconds(_told_ns(operation)):.1f} s (operation {operation.number})"
