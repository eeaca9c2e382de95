"""Puts every look at a balance to the version of the account that it can have shown, or says why there is none.

With the order of an account's changes fixed, taking the smallest version that fits, look by look in order of their beginning, is
exact: it is what binds later looks least. Balances that come back (100, 90, 100) need no guessing.
"""

from __future__ import annotations

import enum
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from chaoskit.checkers.money.books import Books, effect
from chaoskit.checkers.money.timeline import NEVER, Chain, Effect, Sight, Timeline
from chaoskit.model.history import Operation, Outcome

MOST_GONE = 12
"""So many operations that are not in the ledger are tried together as the reason of a strange balance: 4,096 sums."""


class Fault(enum.StrEnum):
    """What is wrong with a look at a balance."""

    STALE = "stale"
    """It showed a state from before a change that its customer, or somebody else before, had been told of."""
    BACK = "back"
    """It showed an older state than a look that was over before it began."""
    EARLY = "early"
    """It showed a change that nobody had asked for yet."""
    GONE = "gone"
    """It showed a change that is not in the ledger at the end."""
    NEVER = "never"
    """It showed what the account never held."""


class Placed(NamedTuple):
    """A look that showed the account at `version`, the smallest that fits; `is_sure` if no other one fits."""

    sight: Sight
    version: int
    is_sure: bool


class Misplaced(NamedTuple):
    """A look that no version explains. `version` is the one that it showed, None when that is not known.

    `because` are the operations that make it impossible, `newer` is the earlier look that does.
    """

    sight: Sight
    fault: Fault
    version: int | None = None
    because: tuple[Operation, ...] = ()
    newer: Sight | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reads:
    """Every look at an account of the books. `skipped` are those at accounts whose own history is broken."""

    placed: Sequence[Placed]
    misplaced: Sequence[Misplaced]
    skipped: int


def reads(line: Timeline, *, lag_ns: int = 0, is_one: bool = True, by_session: bool = False) -> Reads:
    """Each look of *line* placed, or misplaced.

    With *lag_ns*, a look may miss what was acknowledged less than that before it began. Unless *is_one*, looks need not agree with
    each other: different copies may have answered them. *by_session*, only looks of known customers count, and each is bound
    by the same customer's payments and looks alone. O(n log n).
    """
    memo = line.books.history.memo
    name = f"reads {lag_ns} {is_one} {by_session}"
    known = memo.get(name)
    if isinstance(known, Reads):
        return known
    groups: dict[tuple[str, str], list[Sight]] = defaultdict(list)
    for sight in line.sights:
        if not by_session or sight.operation.session:
            groups[sight.operation.session if by_session else "", sight.account].append(sight)
    placed: list[Placed] = []
    misplaced: list[Misplaced] = []
    skipped = 0
    missing = _missing(line.books)
    for (session, account), sights in groups.items():
        chain = line.chains[account]
        if not chain.is_whole:
            skipped += len(sights)
            continue
        window = _Window(line, chain, missing.get(account, ()), lag_ns=lag_ns, is_one=is_one, session=session)
        for sight in sorted(sights, key=lambda sight: sight.attempt.start_ns):
            found = window.place(sight)
            if isinstance(found, Placed):
                placed.append(found)
            else:
                misplaced.append(found)
    misplaced.sort(key=lambda one: one.sight.attempt.start_ns)
    memo[name] = made = Reads(placed=placed, misplaced=misplaced, skipped=skipped)
    return made


def _missing(books: Books) -> Mapping[str, Sequence[Operation]]:
    """By account, the operations that have no effect in the ledger and were not refused to their customer, in order."""
    posted = {posting.key for posting in books.ledger.postings}
    found: dict[str, list[Operation]] = defaultdict(list)
    for operation in books.operations:
        if operation.key not in posted and operation.outcome is not Outcome.FAIL:
            for account in effect(operation):
                found[account].append(operation)
    return found


def _is_of(one: Effect, session: str, books: Books) -> bool:
    """Whether it was this customer who was told. A key that several operations sent is left out: nobody asks which of them was."""
    return one.operation is not None and one.operation.session == session and len(books.asked[one.transaction.key]) == 1


class _Window:
    """The versions that looks at one account may show, for looks in order of their beginning."""

    def __init__(
        self, line: Timeline, chain: Chain, missing: Sequence[Operation], *, lag_ns: int, is_one: bool, session: str
    ) -> None:
        effects = [line.effects[index] for index in chain.effects]
        self._balances = chain.balances
        self._missing = missing
        self._lag_ns = lag_ns
        self._is_one = is_one
        self._at: dict[int, list[int]] | None = None
        # By version: when everything up to it had been asked for.
        self._asked_ns = list(accumulate((one.start_ns for one in effects), max, initial=0))
        told = sorted(
            (one.end_ns, version)
            for version, one in enumerate(effects, start=1)
            if one.end_ns != NEVER and (not session or _is_of(one, session, line.books))
        )
        self._told_ns = [end_ns for end_ns, _ in told]
        self._told_upto = list(accumulate((version for _, version in told), max, initial=0))
        self._shown: list[tuple[int, int, Sight]] = []
        self._effects = effects

    def place(self, sight: Sight) -> Placed | Misplaced:
        start_ns, end_ns = sight.attempt.start_ns, sight.attempt.end_ns
        assert end_ns is not None, "a look has an answer"
        told = self._told_upto[bisect_left(self._told_ns, start_ns - self._lag_ns)]
        last = bisect_right(self._asked_ns, end_ns) - 1
        before = self._before(start_ns)
        least = max(told, before[0]) if before else told
        fits = self._fitting(sight)
        at = bisect_left(fits, least)
        if at < len(fits) and fits[at] <= last:
            placed = Placed(sight, fits[at], is_sure=at + 1 == len(fits) or fits[at + 1] > last)
            if self._is_one:
                self._remember(placed, end_ns)
            return placed
        return self._misplaced(sight, fits[:at], fits[at:], told=told, before=before)

    def _held(self) -> Mapping[int, list[int]]:
        """By balance, the versions that had it. Made for who asks: most answers name their version."""
        if self._at is None:
            self._at = defaultdict(list)
            for version, balance in enumerate(self._balances):
                self._at[balance].append(version)
        return self._at

    def _fitting(self, sight: Sight) -> list[int]:
        if sight.version is None:
            return self._held().get(sight.balance, [])
        return (
            [sight.version] if 0 <= sight.version < len(self._balances) and self._balances[sight.version] == sight.balance else []
        )

    def _before(self, start_ns: int) -> tuple[int, Sight] | None:
        """The latest version that a look showed that was over before *start_ns*, and that look."""
        at = bisect_left(self._shown, (start_ns,))
        return self._shown[at - 1][1:] if at else None

    def _remember(self, placed: Placed, end_ns: int) -> None:
        """Keep the latest version by end; an older one that ends later says nothing new."""
        at = bisect_right(self._shown, end_ns, key=lambda one: one[0])
        if at and self._shown[at - 1][1] >= placed.version:
            return
        stop = at
        while stop < len(self._shown) and self._shown[stop][1] <= placed.version:
            stop += 1
        self._shown[at:stop] = [(end_ns, placed.version, placed.sight)]

    def _misplaced(
        self, sight: Sight, older: Sequence[int], newer: Sequence[int], *, told: int, before: tuple[int, Sight] | None
    ) -> Misplaced:
        """Why no version fits. Where one is too old and another one too new, an old state is what a customer would call it."""
        if not older and not newer:
            gone = self._gone(sight)
            return Misplaced(sight, Fault.GONE if gone else Fault.NEVER, sight.version, gone)
        if not older:
            version = newer[0]
            asked = next(one for one in self._effects[:version] if one.start_ns > (sight.attempt.end_ns or 0))
            return Misplaced(sight, Fault.EARLY, version, (asked.operation,) if asked.operation else ())
        if older[-1] < told:
            operation = self._effects[told - 1].operation
            return Misplaced(sight, Fault.STALE, older[-1], (operation,) if operation else ())
        assert before is not None, "nothing else forbids a version that was asked for and not yet overtaken"
        return Misplaced(sight, Fault.BACK, older[-1], newer=before[1])

    def _gone(self, sight: Sight) -> tuple[Operation, ...]:
        """Operations that are not in the ledger and whose effect, together, explains the balance; () if none do."""
        sums: dict[int, tuple[Operation, ...]] = {0: ()}
        open_then = [o for o in self._missing if o.start_ns <= (sight.attempt.end_ns or 0)]
        for operation in open_then[-MOST_GONE:]:
            amount = operation.legs[sight.account]
            for total, together in list(sums.items()):
                sums.setdefault(total + amount, (*together, operation))
        found = [together for total, together in sums.items() if together and sight.balance - total in self._held()]
        return min(found, key=len, default=())
