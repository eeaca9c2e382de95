"""`order`, `read-window` and `snapshot` against a search through every order there is, on thousands of short random histories.

The search knows nothing of windows, edges or versions of others: it tries every permutation and keeps what time and the accounts
allow. Whatever it can find, the checks must find, and the other way round.
"""

from __future__ import annotations

from itertools import pairwise, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaoskit.checkers.money import ObservedStays, Order, ReadWindow, Snapshot
from chaoskit.checkers.money.serial import Contradiction, serialise
from chaoskit.checkers.money.serial import Order as Found
from chaoskit.model.history import Attempt, FinalReads, History, LoadCounts, Operation, Outcome
from chaoskit.model.topology import AccountState, LedgerState, Posting
from chaoskit.model.verdict import Result

ACCOUNTS = ("a", "b", "c")
OPENING = dict.fromkeys(ACCOUNTS, 10)


@st.composite
def histories(draw, *, most: int, named: bool, several: bool):
    """Up to *most* payments and looks, with any times and in any order in the books; looks show any balance that there ever was.

    Payments are answered, refused or not answered, and in the ledger or not (only refused ones never are, and answered ones always:
    what else there can be is for other checks).
    """
    spans = st.tuples(st.integers(1, 12), st.integers(0, 6))
    payments = []
    for number in range(draw(st.integers(1, most - 1))):
        begin, took = draw(spans)
        giver, taker = draw(st.sampled_from([(x, y) for x in ACCOUNTS for y in ACCOUNTS if x != y]))
        amount = draw(st.integers(1, 2))
        outcome = draw(st.sampled_from(["ok", "ok", "info", "info", "fail"]))
        payments.append((f"k{number}", {giver: -amount, taker: amount}, begin, begin + took, outcome))
    in_ledger = [p for p in payments if p[4] == "ok" or (p[4] == "info" and draw(st.booleans()))]
    booked = draw(st.permutations(in_ledger))
    states = {account: [(OPENING[account], 0)] for account in ACCOUNTS}
    postings = []
    for number, (key, legs, *_) in enumerate(booked):
        for account, amount in legs.items():
            balance, version = states[account][-1]
            states[account].append((balance + amount, version + 1))
            postings.append(
                Posting(
                    transaction=f"t{number}",
                    key=key,
                    account=account,
                    version=version + 1,
                    amount=amount,
                    balance_after=balance + amount,
                )
            )
    looks = []
    for _ in range(draw(st.integers(1, most - len(payments)))):
        begin, took = draw(spans)
        accounts = draw(st.lists(st.sampled_from(ACCOUNTS), min_size=1, max_size=3 if several else 1, unique=True))
        shown = []
        for account in accounts:
            balance, version = draw(st.sampled_from(states[account]))
            shown.append((account, balance, version if named else None))
        looks.append((shown, begin, begin + took))
    operations = []
    for key, legs, begin, end, outcome in payments:
        attempt = Attempt(number=1, start_ns=begin, end_ns=None if outcome == "info" else end, outcome=Outcome(outcome))
        operations.append(Operation(number=len(operations), journey="pay", due_ns=begin, attempts=(attempt,), key=key, legs=legs))
    for shown, begin, end in looks:
        rows = [{"account": a, "balance": b} | ({} if v is None else {"version": v}) for a, b, v in shown]
        attempt = Attempt(number=1, start_ns=begin, end_ns=end, outcome=Outcome.OK, result={"accounts": rows})
        operations.append(Operation(number=len(operations), journey="look", due_ns=begin, attempts=(attempt,)))
    state = LedgerState(
        read_from="one",
        accounts=tuple(
            AccountState(account=a, kind="customer", balance=states[a][-1][0], version=states[a][-1][1], lowest=None)
            for a in ACCOUNTS
        ),
        postings=tuple(postings),
    )
    settled = {p[0]: "applied" if p in in_ledger else "tombstone" for p in payments if p[4] == "info"}
    history = History(
        opening=OPENING,
        operations=tuple(operations),
        load=LoadCounts(scheduled=1, sent=1, finished=1, drained=True),
        final=FinalReads(settled=settled, open_transactions=0, first=state, second=state),
        complete=True,
    )
    # For the search: (begin, end, what), with the place in the books for a payment and what was shown for a look.
    effects = [(begin, end if outcome == "ok" else 99, legs) for _, legs, begin, end, outcome in booked]
    return history, effects, [(begin, end, shown) for shown, begin, end in looks]


def has_order(effects, looks):
    """Whether the effects, in their order by each account, and the looks have one order that time allows."""
    items = [*range(len(effects) + len(looks))]
    times = [(begin, end) for begin, end, _ in (*effects, *looks)]
    for order in permutations(items):
        place = {item: at for at, item in enumerate(order)}
        if any(times[x][1] < times[y][0] and place[y] < place[x] for x in items for y in items):
            continue
        if all(
            place[x] < place[y]
            for x in range(len(effects))
            for y in range(x + 1, len(effects))
            if effects[x][2].keys() & effects[y][2].keys()
        ) and _shows(order, effects, looks):
            return True
    return False


def _shows(order, effects, looks):
    balances, versions = dict(OPENING), dict.fromkeys(ACCOUNTS, 0)
    for item in order:
        if item < len(effects):
            for account, amount in effects[item][2].items():
                balances[account] += amount
                versions[account] += 1
        elif any(
            balance != balances[account] or version not in (None, versions[account])
            for account, balance, version in looks[item - len(effects)][2]
        ):
            return False
    return True


def outcome(check, history):
    return check.check(history)[0].outcome


@settings(max_examples=400, deadline=None)
@given(histories(most=6, named=True, several=False))
def test_order_is_what_a_search_through_all_orders_says(drawn):
    history, effects, _ = drawn
    if effects:
        assert outcome(Order(), history) is (Result.PASSED if has_order(effects, []) else Result.FAILED)


@pytest.mark.parametrize("is_named", [False, True])
def test_read_window_is_what_a_search_through_all_orders_says(is_named):
    """One account alone, for which the window is exact: only its own effects in their order, and the looks at it."""

    @settings(max_examples=400, deadline=None)
    @given(histories(most=6, named=is_named, several=False))
    def hold(drawn):
        history, effects, looks = drawn
        right = []
        for account in ACCOUNTS:
            # What is asked of looks alone: effects have no latest time but by looks, and their own order is for `order`.
            mine = [(begin, end, {account: legs[account]}) for begin, end, legs in effects if account in legs]
            seen = [look for look in looks if look[2][0][0] == account]
            right.append(has_window(mine, seen))
        assert outcome(ObservedStays(), history) is Result.PASSED
        assert outcome(ReadWindow(), history) is (Result.PASSED if all(right) else Result.FAILED)

    hold()


def has_window(effects, looks):
    """Whether every look has a version such that no two looks, and no look and effect, contradict time."""

    def fits(at, chosen):
        if at == len(looks):
            return True
        begin, end, ((_, balance, version),) = looks[at]
        total = 10
        for k in range(len(effects) + 1):
            total += next(iter(effects[k - 1][2].values())) if k else 0
            is_shown = total == balance and version in (None, k)
            asked = all(effect[0] <= end for effect in effects[:k])
            told = all(effect[1] >= begin for effect in effects[k:])
            monotone = all(
                not (other_end < begin and other > k) and not (end < other_begin and k > other)
                for (other_begin, other_end, _), other in zip(looks, chosen, strict=False)
            )
            if is_shown and asked and told and monotone and fits(at + 1, [*chosen, k]):
                return True
        return False

    return fits(0, [])


@settings(max_examples=400, deadline=None)
@given(histories(most=6, named=True, several=True))
def test_all_three_together_are_what_a_search_through_all_orders_says(drawn):
    """Looks that name their versions, at several accounts at once: strict serialisability of everything."""
    history, effects, looks = drawn
    if not effects:
        return
    said = [outcome(check, history) for check in (Order(), ReadWindow(), Snapshot())]
    assert (Result.FAILED not in said) is has_order(effects, looks)


@settings(max_examples=200, deadline=None)
@given(histories(most=6, named=True, several=True))
def test_arrays_find_an_order_whenever_a_search_does(quickly, drawn):
    history, effects, looks = drawn
    if effects:
        passed = quickly(history)
        assert ("order" in passed) is has_order(effects, [])
        if looks:
            assert ("snapshot" in passed) is has_order(effects, looks)


@settings(max_examples=400, deadline=None)
@given(histories(most=6, named=False, several=True))
def test_looks_without_versions_are_never_accused_where_a_search_finds_an_order(drawn):
    history, effects, looks = drawn
    if effects and has_order(effects, looks):
        said = [outcome(check, history) for check in (Order(), ReadWindow(), Snapshot(), ObservedStays())]
        assert Result.FAILED not in said


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 6))
    starts = draw(st.lists(st.integers(0, 6), min_size=count, max_size=count))
    ends = [start + draw(st.integers(0, 4)) for start in starts]
    pairs = draw(
        st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(lambda p: p[0] != p[1]), max_size=8)
    )
    return starts, ends, [[y for x, y in pairs if x == item] for item in range(count)]


@settings(max_examples=1_000, deadline=None)
@given(graphs())
def test_what_serialise_finds_can_be_followed(graph):
    starts, ends, before = graph
    count = len(starts)
    found = serialise(starts, ends, before)

    def allows(order):
        place = {item: at for at, item in enumerate(order)}
        return all(place[x] < place[y] for x in range(count) for y in before[x]) and all(
            place[x] < place[y] for x in range(count) for y in range(count) if ends[x] < starts[y]
        )

    if isinstance(found, Found):
        assert allows(found.items)
    else:
        assert isinstance(found, Contradiction)
        assert not any(allows(order) for order in permutations(range(count)))
        loop = found.loop
        assert all(second in before[first] for first, second in pairwise(loop))
        assert ends[loop[-1]] < starts[loop[0]] if found.by_time else loop[0] in before[loop[-1]]
