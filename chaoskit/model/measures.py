"""Numbers that several checkers and the verdict take from a history: pure, linear in the operations, each in one place.

Time counts from when an operation was due, not from when it was sent: a system that stalls must not hide who would have come.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from chaoskit.model.errors import NotExercised
from chaoskit.model.history import History, Operation, Outcome
from chaoskit.model.topology import Evidence, LedgerState

FEWEST_OPERATIONS = 5
"""A share of fewer operations says nothing: one failure of four is already 25 %."""

OPEN_GRACE_S = 5.0
"""While the load runs, an operation open for less than this is left out: slow is not yet unserved, and an abort cannot be taken
back."""

_NOT_A_REFUSAL = frozenset({408, 425, 429, 499})
"""Statuses from 400 to 499 that say that the request was not dealt with: timed out, too early, too many, client gone."""

UNDER_WAY_NS = 1_000_000_000
"""Who came in the last second before the first injection may have been answered by the broken system."""

During = Literal["run", "before", "faults", "after"]
"""A part of the load: all of it, before the first injection, from then to the last heal (or the load's end), or after that heal."""


def is_served(operation: Operation) -> bool:
    """Whether the customer got the service: an ok answer, or a valid refusal.

    An answered business refusal (insufficient funds, card blocked) is a service that works, so it must not count as an outage.
    Its sign is the outcome `fail` with a status from 400 to 499, without 408, 425, 429 and 499. A refusal after an unknown
    attempt is not one: the operation's outcome is still unknown, and so is the customer.
    """
    outcome = operation.outcome
    if outcome is not Outcome.FAIL:
        return outcome is Outcome.OK
    # Any attempt: of a payment that was sent twice at once, one may be refused and the other one turned away.
    return any(is_refusal(one.status) for one in operation.attempts)


def is_refusal(status: int) -> bool:
    """Whether an answer with this status, and without effect, was a decision about what was asked for."""
    return 400 <= status < 500 and status not in _NOT_A_REFUSAL


def journeys(history: History) -> tuple[str, ...]:
    """The names of the journeys that were driven, in order of appearance."""
    return tuple(dict.fromkeys(operation.journey for operation in history.operations))


def period(history: History, during: During) -> tuple[int, int]:
    """The due times [from, to) in ns that *during* means. Raises `NotExercised` when there was no such time."""
    start_ns, end_ns = history.load_started_ns, history.load_ended_ns
    if start_ns is None or end_ns is None:
        raise NotExercised("no operation was recorded")
    end_ns += 1  # the last operation belongs to the load
    injected_ns, healed_ns = history.first_injected_ns, history.last_healed_ns
    if during == "run":
        return start_ns, end_ns
    if during == "before":
        return start_ns, end_ns if injected_ns is None else min(injected_ns, end_ns)
    if injected_ns is None:
        raise NotExercised("no fault was injected")
    if during == "faults":
        return injected_ns, end_ns if healed_ns is None else min(healed_ns, end_ns)
    if healed_ns is None or healed_ns >= end_ns:
        raise NotExercised("no fault was healed while the load still ran")
    return healed_ns, end_ns


def due(history: History, journey: str, during: During = "run") -> tuple[Operation, ...]:
    """The operations of *journey* that were due then, in order; while the load runs, without those that are merely still open.

    Before the first injection, those that came in its last second and were still under way at it are left out, too: the system that
    did not answer them was broken already. Raises `NotExercised` when there was no such time.
    """
    from_ns, to_ns = period(history, during)
    young_ns = decided_until_ns(history)
    injected_ns = history.first_injected_ns if during == "before" else None
    return tuple(
        o.as_its_customer_saw
        for o in history.operations
        if o.journey == journey
        and from_ns <= o.due_ns < to_ns
        and (o.due_ns < young_ns or o.ended_ns is not None)
        and (injected_ns is None or o.due_ns < injected_ns - UNDER_WAY_NS or _ended_by(o, injected_ns))
    )


def _ended_by(operation: Operation, at_ns: int) -> bool:
    end_ns = operation.ended_ns
    return end_ns is not None and end_ns <= at_ns


def decided_until_ns(history: History) -> int:
    """Every operation due before this time in ns has ended or has been open for too long to be called merely slow."""
    if history.load is not None or history.complete:
        return (history.load_ended_ns or 0) + 1
    last_seen_ns = max((o.attempts[-1].end_ns or o.attempts[-1].start_ns for o in history.operations), default=0)
    return last_seen_ns - int(OPEN_GRACE_S * 1e9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """How many of the operations due in [from_ns, to_ns) were served."""

    from_ns: int
    to_ns: int
    due: int
    served: int

    @property
    def share(self) -> float:
        return self.served / self.due


def service(operations: Sequence[Operation], *, from_ns: int, to_ns: int) -> Service:
    """How *operations*, all due in [from_ns, to_ns), were served. Raises `NotExercised` when they are too few for a share."""
    if len(operations) < FEWEST_OPERATIONS:
        raise NotExercised(f"only {len(operations)} operations were due, and a share needs {FEWEST_OPERATIONS}")
    return Service(from_ns=from_ns, to_ns=to_ns, due=len(operations), served=sum(map(is_served, operations)))


def worst_window(operations: Sequence[Operation], *, window_s: float, from_ns: int, to_ns: int) -> Service:
    """The window of that length inside [from_ns, to_ns) with the lowest share served; the first of them if several are as bad.

    *operations* are in order of due time. Windows with too few operations for a share are passed over. Raises `NotExercised` when
    no window is left. What a sliding window holds changes only where one begins at a due time or ends at one, so only those are
    tried.
    """
    window_ns = int(window_s * 1e9)
    dues = [operation.due_ns for operation in operations]
    served_before = [0, *accumulate(map(is_served, operations))]
    last_ns = to_ns - window_ns
    starts = {at for d in dues for at in (d, d - window_ns) if from_ns <= at <= last_ns}
    if last_ns >= from_ns:
        starts |= {from_ns, last_ns}
    worst: Service | None = None
    for start_ns in sorted(starts):
        low, high = bisect_left(dues, start_ns), bisect_left(dues, start_ns + window_ns)
        count, served = high - low, served_before[high] - served_before[low]
        if count >= FEWEST_OPERATIONS and (worst is None or served * worst.due < worst.served * count):
            worst = Service(from_ns=start_ns, to_ns=start_ns + window_ns, due=count, served=served)
    if worst is None:
        raise NotExercised(
            f"no window of {window_s:g} s within {(to_ns - from_ns) / 1e9:.1f} s of load had {FEWEST_OPERATIONS} operations due"
        )
    return worst


def nearest_rank(values: Iterable[float], share: float) -> float:
    """The smallest of *values* that at least *share* of them do not exceed. Raises `NotExercised` when there is none."""
    ordered = sorted(values)
    if not ordered:
        raise NotExercised("there is nothing to take a percentile of")
    # Without the small step back, 0.07 * 100 = 7.000000000000001 would be rank 8.
    return ordered[max(0, math.ceil(share * len(ordered) - 1e-9) - 1)]


def availability(history: History, journey: str) -> float:
    """Share of the operations of *journey* that were served over the whole load. Raises `NotExercised` when there was none."""
    operations = due(history, journey)
    if not operations:
        raise NotExercised(f"no operation of {journey!r} was recorded")
    return sum(map(is_served, operations)) / len(operations)


def outage_s(history: History, journey: str) -> float:
    """The longest time in seconds that *journey* went without an answer after the first injection (all along if there was none).

    It lasts from when the first customer was due after the last answer to the next answer, or to the end of the load when none
    came; 0.0 when nobody was due in vain. Any served operation is an answer, in order of when it came. With a healthy system it is
    about the slowest answer, since each customer waits that long.
    """
    from_ns, end_ns = history.first_injected_ns or 0, history.load_ended_ns or 0
    operations = due(history, journey) if history.operations else ()
    dues = [operation.due_ns for operation in operations]
    answers = sorted(o.end_ns for o in operations if o.end_ns is not None and is_served(o))
    longest_ns, last_ns = 0, 0
    for answer_ns in (*answers, end_ns):
        first = bisect_left(dues, last_ns)
        if answer_ns > from_ns and first < len(dues) and dues[first] < answer_ns:
            longest_ns = max(longest_ns, answer_ns - max(dues[first], from_ns))
        last_ns = max(last_ns, answer_ns)
    return longest_ns / 1e9


def money_operations(history: History) -> tuple[Operation, ...]:
    """The operations that were to move money: those with a key and an effect on at least one account. Found once a history."""
    known = history.memo.get("money operations")
    if not isinstance(known, tuple):
        known = tuple(o for o in history.operations if o.key and any(o.legs.values()))
        history.memo["money operations"] = known
    return known


def intent_of(operation: Operation) -> str:
    """What the customer wanted once, whatever keys it was sent under."""
    return operation.intent or operation.key


def amount_of(legs: Mapping[str, int]) -> int:
    """The money that moves with *legs*: the sum of what accounts receive, in minor units."""
    return sum(amount for amount in legs.values() if amount > 0)


ALL_EVIDENCE = frozenset(Evidence)


def settled_ledger(history: History, *, needs: frozenset[Evidence] = ALL_EVIDENCE) -> LedgerState:
    """The final ledger, when nothing could still change it. Raises `NotExercised`, naming what is missing, otherwise.

    Without the fence and two equal reads, an operation may take effect after the reading: whatever one says of it would be a guess.
    A claim about what is there already, for which *needs* names neither, does not ask for fence and closed keys of a ledger that
    by its own word has none.
    """
    final = history.final
    if final is None:
        raise NotExercised("the final ledger was not read")
    if final.error:
        raise NotExercised(f"the end of the run did not succeed: {final.error}")
    lacks = final.first.lacks if final.first else frozenset[Evidence]()
    if missing := [one.value for one in Evidence if one in needs & lacks and one is not Evidence.CLOSED_KEYS]:
        raise NotExercised(f"the ledger does not show {' and '.join(missing)}, so nothing was proven")
    if final.open_transactions is None and Evidence.FENCE not in lacks:
        raise NotExercised("nobody looked whether transactions were still open when the ledger was read")
    if final.open_transactions:
        raise NotExercised(f"transactions were still open when the ledger was read: {final.open_transactions}")
    if final.first is None or final.second is None:
        raise NotExercised("the final ledger was not read twice")
    if final.first is not final.second and final.first != final.second:
        raise NotExercised("the two final reads of the ledger differ: something still changed it")
    is_closing = Evidence.CLOSED_KEYS not in lacks
    unsettled = _unsettled(history, final.settled) if is_closing or Evidence.CLOSED_KEYS in needs else 0
    if unsettled:
        what = "1 operation without an answer was" if unsettled == 1 else f"{unsettled:,} operations without an answer were"
        raise NotExercised(f"{what} never settled and may still take effect" + ("" if is_closing else ": it closes no keys"))
    return final.first


def _unsettled(history: History, settled: Mapping[str, str]) -> int:
    """How many operations without an answer were never settled; counted once, since every money check asks."""
    known = history.memo.get("unsettled")
    if not isinstance(known, int):
        known = sum(1 for o in money_operations(history) if o.outcome is Outcome.INFO and o.key not in settled)
        history.memo["unsettled"] = known
    return known


def lost(history: History) -> tuple[Operation, ...]:
    """For each intent that was acknowledged and is not in the final ledger, the operation that was acknowledged.

    An acknowledgement is an ok answer, or `applied` when the key was settled at the end. Judged per intent: an effect under another
    of its keys counts, but not that of another payment under the same key. Raises `NotExercised` like `settled_ledger`.
    """
    ledger = settled_ledger(history, needs=frozenset({Evidence.KEYS}))
    posted = ledger.applied_keys
    displaced = _displaced(history, ledger)
    settled = history.final.settled if history.final else {}
    applied: set[str] = set()
    acknowledged: dict[str, Operation] = {}
    for operation in money_operations(history):
        is_posted = operation.key in posted
        if is_posted and operation.number not in displaced:
            applied.add(intent_of(operation))
        elif operation.outcome is Outcome.OK or (not is_posted and settled.get(operation.key) == "applied"):
            acknowledged.setdefault(intent_of(operation), operation)
    return tuple(operation for intent, operation in acknowledged.items() if intent not in applied)


def _displaced(history: History, ledger: LedgerState) -> frozenset[int]:
    """The numbers of the operations whose key did only what others without an answer had asked for.

    Where the others were answered, their answers say by themselves that something is wrong, and what.
    """
    operations_of_money = money_operations(history)
    if len({operation.key for operation in operations_of_money}) == len(operations_of_money):
        return frozenset()
    by_key: dict[str, list[Operation]] = {}
    for operation in operations_of_money:
        by_key.setdefault(operation.key, []).append(operation)
    shared = {key: operations for key, operations in by_key.items() if len(operations) > 1}
    done: dict[str, dict[str, dict[str, int]]] = {}
    for posting in ledger.postings:
        if posting.key in shared:
            legs = done.setdefault(posting.key, {}).setdefault(posting.transaction, {})
            legs[posting.account] = legs.get(posting.account, 0) + posting.amount
    return frozenset(
        operation.number
        for key, operations in shared.items()
        if (unknown := [one for one in operations if one.outcome is Outcome.INFO])
        for operation in operations
        if (found := done.get(key))
        and all(legs != operation.legs and any(legs == other.legs for other in unknown) for legs in found.values())
    )
