"""The search through states against a search through every order, on random short histories."""

from dataclasses import replace
from itertools import permutations
from random import Random

import pytest

from chaoskit.checkers.money import NoOverdraft
from chaoskit.model.topology import GroupLimit
from chaoskit.model.verdict import Result

GROUP = ("ada", "ben")
OPENING = {"ada": 10, "ben": 10, "cid": 1000}


def is_kept_in_some_order(payments):
    """Payments are `(begins, ends, legs)` in the order of the ledger, which is also that of the versions. None without an order."""
    found = None
    for order in permutations(range(len(payments))):
        place = {number: at for at, number in enumerate(order)}
        pairs = [(one, other) for one in range(len(payments)) for other in range(len(payments)) if place[one] < place[other]]
        shares = any(payments[a][2].keys() & payments[b][2].keys() & set(GROUP) and a > b for a, b in pairs)
        is_late = any(payments[b][1] is not None and payments[b][1] < payments[a][0] for a, b in pairs)
        if shares or is_late:
            continue
        held, is_fine = sum(OPENING[name] for name in GROUP), True
        for number in order:
            change = sum(payments[number][2].get(name, 0) for name in GROUP)
            held += change
            is_fine = is_fine and (held >= 0 or change >= 0)
        if is_fine:
            return True
        found = False
    return found


def drawn(chance):
    payments = []
    for _ in range(chance.randrange(1, 6)):
        payer, payee = chance.sample(sorted(OPENING), 2)
        amount, begins = chance.randrange(1, 25), chance.randrange(8)
        ends = None if chance.random() < 0.2 else begins + chance.randrange(1, 5)
        payments.append((begins, ends, {payer: -amount, payee: amount}))
    return payments


@pytest.mark.parametrize("seed", range(8))
def test_agrees_with_a_search_through_every_order(seed, story, bank):
    chance = Random(seed)
    found = {Result.PASSED: 0, Result.FAILED: 0}
    for _ in range(150):
        story, bank = type(story)(), type(bank)(opening=dict(OPENING), lowest=None)
        payments = drawn(chance)
        for number, (begins, ends, legs) in enumerate(payments):
            story.operation(begins, key=f"k{number}", legs=legs, took=ends and ends - begins)
            bank.book(f"k{number}", legs)
        limits = (GroupLimit(group="family", accounts=GROUP, lowest=0),)
        (finding,) = NoOverdraft().check(bank.close(story, replace(bank.ledger(), limits=limits)))
        is_kept = is_kept_in_some_order(payments)
        if is_kept is not None:  # without an order it is not for this check to say so
            expected = Result.PASSED if is_kept else Result.FAILED
            assert finding.outcome is expected, payments
            found[expected] += 1
    assert min(found.values()) > 10
