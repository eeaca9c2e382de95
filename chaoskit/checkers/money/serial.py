"""Finds one order in which everything can have happened one after the other, or why there is none.

Pure graph work on numbers: an item may come when all that must come before it has come, and when nothing that was over before it
began is still to come. That second rule would be n² pairs; looking only at the earliest end that is still to come makes it n log n.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Every item, each in a place that it can have had."""

    items: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """Each item of the loop must come before the next one, as *before* says. The last one must come before the first: it was over
    before that one began if `by_time`, else as *before* says, too.
    """

    loop: Sequence[int]
    by_time: bool


def serialise(starts: Sequence[int], ends: Sequence[int], before: Sequence[Sequence[int]]) -> Order | Contradiction:
    """An order of the items 0, 1, 2, … in which each comes before those in `before[item]`, and before all that start after its end.

    Equal times count as at once. O(n log n + pairs). Sound and complete: what may come next stays possible until it comes, so it
    does not matter which one is taken, and when nothing may come, the items that are left hold a contradiction.
    """
    count = len(starts)
    waits = [0] * count
    for after in before:
        for item in after:
            waits[item] += 1
    by_end = sorted(range(count), key=ends.__getitem__)
    ready = [(starts[item], item) for item in range(count) if not waits[item]]
    heapify(ready)
    done = bytearray(count)
    found: list[int] = []
    first = 0
    while ready:
        while done[by_end[first]]:
            first += 1
        if ready[0][0] > ends[by_end[first]]:
            break
        _, item = heappop(ready)
        done[item] = 1
        found.append(item)
        for later in before[item]:
            waits[later] -= 1
            if not waits[later]:
                heappush(ready, (starts[later], later))
    if len(found) == count:
        return Order(items=found)
    return _contradiction(starts, ends, before, [item for item in by_end if not done[item]])


def _contradiction(
    starts: Sequence[int], ends: Sequence[int], before: Sequence[Sequence[int]], left: Sequence[int]
) -> Contradiction:
    """A short loop among the items that are *left*, which are in order of their ends."""
    earlier: dict[int, list[int]] = {item: [] for item in left}
    for item in left:
        for later in before[item]:
            earlier[later].append(item)
    # The one that ends first waits for something; if that leads to what began after its end, the loop has one step by time.
    last = left[0]
    steps = _back(last, earlier)
    began_later = next((item for item in steps if starts[item] > ends[last]), None)
    if began_later is not None:
        return Contradiction(loop=_walk(began_later, steps), by_time=True)
    # Then everything that it waits for waits as well, so that going back comes round.
    seen: set[int] = set()
    item = last
    while item not in seen:
        seen.add(item)
        item = earlier[item][0]
    around = _back(earlier[item][0], earlier)
    return Contradiction(loop=_walk(item, around), by_time=False)


def _back(last: int, earlier: dict[int, list[int]]) -> dict[int, int | None]:
    """Everything that must come before *last*, nearest first, each with the next step towards it."""
    steps: dict[int, int | None] = {last: None}
    todo = deque([last])
    while todo:
        item = todo.popleft()
        for previous in earlier[item]:
            if previous not in steps:
                steps[previous] = item
                todo.append(previous)
    return steps


def _walk(item: int, steps: dict[int, int | None]) -> list[int]:
    found = [item]
    while (following := steps[found[-1]]) is not None:
        found.append(following)
    return found
