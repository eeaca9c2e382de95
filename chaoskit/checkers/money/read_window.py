"""Whether every look at a balance showed what the account held at that time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from chaoskit.checkers.money.books import LOOKED_AT, Books, judged, ruling
from chaoskit.checkers.money.orders import look
from chaoskit.checkers.money.reads import Fault, Misplaced, reads
from chaoskit.checkers.money.timeline import Timeline, nobody_looked, timeline
from chaoskit.checkers.wording import counted
from chaoskit.model.errors import NotAsked, NotExercised
from chaoskit.model.history import History
from chaoskit.model.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadWindow:
    """A balance that a customer sees is one that the account had while they waited, and it never goes back.

    Proves: for each look at an account there is a version with that balance (and of that number, where the answer names it), with
    no payment in it that was asked for after the look was over, and with all that were acknowledged before the look began; and it
    is no older than what any look showed that was over before. Exact for one account.
    Sound because each look is given the smallest version that fits, in order of their beginnings, which binds later ones least; an
    answer lies between its question and its arrival on one clock, and equal times count as at once.
    Cannot see: whether looks at two accounts agree (`snapshot`), nor a state that is gone at the end (`observed-stays`).
    Inconclusive when no answer showed an account of the ledger and its balance. O(n log n).
    Catches standbys and caches sold as fresh, reads of what was not committed, reads of a state that never was.
    """

    name: ClassVar[str] = "read-window"
    if_any: bool = False
    """Whether a load without any is fine. `money` sets it."""

    def check(self, history: History) -> tuple[Finding, ...]:
        return judged(self.name, history, self._judge, needs=LOOKED_AT, if_any=self.if_any)

    def _judge(self, books: Books) -> Finding:
        line = timeline(books)
        found = reads(line)
        wrong = [one for one in found.misplaced if one.fault is not Fault.GONE]
        judged_count = require_looks(line)
        kinds = Counter(one.fault for one in wrong)
        return ruling(
            self.name,
            wrong=[why(line, one) for one in wrong],
            failed=f"{len(wrong):,} of {counted(judged_count, 'look')} at a balance showed what the account did not hold then",
            passed=f"{counted(judged_count, 'look')} at a balance, each of what the account held then"
            + (f"; {found.skipped:,} at accounts with a broken history were not judged" if found.skipped else ""),
            measured={
                "looks": judged_count,
                "stale_looks": kinds[Fault.STALE] + kinds[Fault.BACK],
                "early_looks": kinds[Fault.EARLY],
                "impossible_looks": kinds[Fault.NEVER],
            },
        )


def require_looks(line: Timeline) -> int:
    """How many looks can be judged. Raises `NotExercised` when there is none."""
    found = reads(line)
    if not line.sights:
        if nobody_looked(line):
            raise NotAsked("nobody looked at a balance")
        raise NotExercised("no answer showed an account of the ledger and its balance")
    if not found.placed and not found.misplaced:
        raise NotExercised("every account that was looked at has a broken history, so no look can be judged")
    return len(found.placed) + len(found.misplaced)


def why(line: Timeline, one: Misplaced) -> str:
    """A misplaced look in one sentence."""
    seen, books = look(line, one.sight), line.books
    if one.newer:
        return f"{seen} went back: {look(line, one.newer)} was newer and over before"
    because = " and ".join(books.says(operation) for operation in one.because) or "a payment that no customer asked for"
    if one.fault is Fault.STALE:
        return f"{seen} was out of date: {because} was done before the customer asked"
    if one.fault is Fault.EARLY:
        return f"{seen} came too early: {because} had not been asked for when the answer came"
    if one.fault is Fault.GONE:
        return f"{seen} is no state of it in the ledger: {because} was seen done and is gone"
    version = "" if one.version is None else f" as version {one.version}"
    return f"{seen} was never so{version}, whatever order things happened in"
