"""The order that arrays find, against the one that a queue finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chaoskit.checkers.money.fast import order
from chaoskit.checkers.money.fast.columns import Unfit
from chaoskit.checkers.money.serial import Order, serialise


def numbers(values):
    return np.array(values, dtype=np.int64)


def arrays(starts, ends, pairs):
    first, second = zip(*pairs, strict=True) if pairs else ((), ())
    return order.serialise(numbers(starts), numbers(ends), numbers(first), numbers(second)).tolist()


def queue(starts, ends, pairs):
    return serialise(starts, ends, [[y for x, y in pairs if x == item] for item in range(len(starts))])


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 30))
    starts = draw(st.lists(st.integers(0, 40), min_size=count, max_size=count))
    ends = [start + draw(st.integers(0, 20)) for start in starts]
    # Mostly along the time, so that many have an order.
    item = st.integers(0, count - 1)
    pairs = draw(st.lists(st.tuples(item, item).filter(lambda pair: pair[0] != pair[1]), max_size=2 * count))
    if draw(st.booleans()):
        pairs = [(x, y) if (starts[x], x) < (starts[y], y) else (y, x) for x, y in pairs]
    return starts, ends, pairs


@settings(max_examples=1_000, deadline=None)
@given(graphs())
# Five payments that wait for each other, and a look that comes when all of them are over.
@example(([1, 1, 1, 1, 1, 2], [1, 1, 1, 1, 1, 3], [(0, 1), (1, 2), (2, 3), (3, 4)]))
def test_finds_an_order_whenever_a_queue_does(graph):
    starts, ends, pairs = graph
    if not isinstance(queue(*graph), Order):
        with pytest.raises(Unfit):
            arrays(*graph)
        return
    found = arrays(*graph)
    place = {item: at for at, item in enumerate(found)}
    assert sorted(found) == list(range(len(starts)))
    assert all(place[x] < place[y] for x, y in pairs)
    assert all(place[x] < place[y] for x in place for y in place if ends[x] < starts[y])


def test_a_chain_of_payments_that_waited_for_each_other_is_followed_to_its_end():
    """Each began before the one that it comes after: the last of them can only have happened when the first one began."""
    count = 300
    starts = list(range(count, 0, -1))
    found = arrays(starts, [count] * count, [(item, item + 1) for item in range(count - 1)])
    assert found == list(range(count))


def test_gives_up_where_a_queue_is_quicker(monkeypatch):
    monkeypatch.setattr(order, "MOST_ROUNDS", 10)
    with pytest.raises(Unfit, match="for too long"):
        test_a_chain_of_payments_that_waited_for_each_other_is_followed_to_its_end()


def test_gives_up_where_all_move_all_others(monkeypatch):
    monkeypatch.setattr(order, "MOST_STEPS", 1)
    with pytest.raises(Unfit, match="too often"):
        test_a_chain_of_payments_that_waited_for_each_other_is_followed_to_its_end()


def test_a_loop_has_no_order():
    with pytest.raises(Unfit):
        arrays([1, 1], [5, 5], [(0, 1), (1, 0)])


def test_what_was_over_before_another_began_comes_first():
    assert arrays([5, 1], [6, 4], []) == [1, 0]
    with pytest.raises(Unfit, match="no order"):
        arrays([5, 1], [6, 4], [(0, 1)])


def test_equal_times_count_as_at_once():
    assert arrays([4, 1], [6, 4], [(0, 1)]) == [0, 1]
