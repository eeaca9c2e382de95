"""What each money check says of a history that passes it, word for word. Tests hold the two to each other.

Operations that are plain are counted; all others, and what is in the ledger for them, are judged by the check itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from chaoskit.checkers.money.books import Books, gaps, open_books, ruling
from chaoskit.checkers.money.fast.accounts import accounts
from chaoskit.checkers.money.fast.columns import FAIL, INFO, OK, Columns, Unfit, columns, require
from chaoskit.checkers.money.fast.order import of_all, of_payments
from chaoskit.checkers.wording import counted
from chaoskit.model.errors import NotAsked, NotExercised
from chaoskit.model.history import History
from chaoskit.model.verdict import Finding, Result

Judge = Callable[[Books], Finding]
Measures = Mapping[str, float | int | str | None]


def passing(name: str, history: History, judge: Judge) -> Finding | None:
    """The finding of the check *name* if *history* passes it; None when *judge* has to look at all of it. Raises `NotAsked`."""
    find = FINDERS.get(name)
    if find is None:
        return None
    try:
        return find(columns(history), judge)
    except NotAsked:
        raise
    except (Unfit, NotExercised):
        return None


def _said(name: str, passed: str, **measured: int) -> Finding:
    return ruling(name, wrong=(), failed="", passed=passed, measured=measured)


def _of_rest(found: Columns, judge: Judge) -> Measures:
    """What the check itself measures of all that is not plain. Raises `Unfit` unless that passes."""
    if found.rest is None:
        return {}
    try:
        finding = judge(open_books(found.rest))
    except NotAsked:
        return {}
    require(finding.outcome is Result.PASSED, finding.summary)
    return finding.measures


def _count(measured: Measures, name: str) -> int:
    value = measured.get(name, 0)
    assert isinstance(value, int), "what is counted"
    return value


def _ack_durable(found: Columns, judge: Judge) -> Finding:
    rest = _of_rest(found, judge)
    acknowledged = int((found.plain & found.moves & (found.outcome == OK)).sum()) + _count(rest, "acknowledged_operations")
    require(acknowledged, "nothing was acknowledged")
    return _said(
        "ack-durable",
        f"{counted(acknowledged, 'acknowledged operation')}, each in the ledger",
        lost_operations=0,
        lost_amount=0,
        acknowledged_operations=acknowledged,
    )


def _at_most_once(found: Columns, judge: Judge) -> Finding:
    rest = _of_rest(found, judge)
    once = int((found.plain & (found.posted[found.key] > 0)).sum()) + _count(rest, "operations_in_ledger")
    often = int((found.plain & found.moves & (np.bincount(found.operation_of) > 1)).sum()) + _count(rest, "retried_operations")
    return _said(
        "at-most-once",
        f"{counted(once, 'operation')} in the ledger, none of them twice",
        repeated_operations=0,
        repeated_amount=0,
        operations_in_ledger=once,
        retried_operations=often,
    )


def _no_refused_effect(found: Columns, judge: Judge) -> Finding:
    rest = _of_rest(found, judge)
    settled = found.history.final.settled if found.history.final else {}
    plain = found.key[found.plain & (found.outcome == INFO)].tolist()
    barred = sum(settled.get(found.keys[key]) in ("refused", "tombstone") for key in plain)
    refused = int((found.plain & (found.outcome == FAIL)).sum()) + barred + _count(rest, "refused_operations")
    passed = f"{counted(refused, 'refused operation')}, none of them moved money" if refused else "no operation was refused"
    return _said("no-refused-effect", passed, refused_operations=refused, refused_with_effect=0)


def _no_phantom(found: Columns, judge: Judge) -> Finding:
    require(not gaps(found.history), "gaps in the record")
    _of_rest(found, judge)
    return _said("no-phantom", f"{counted(len(found.amount), 'posting')}, each of them asked for", phantom_transactions=0)


def _double_entry(found: Columns, judge: Judge) -> Finding:
    _of_rest(found, judge)
    count = len(found.transactions)
    return _said("double-entry", f"{counted(count, 'transaction')}, each of them whole", torn_transactions=0)


def _conserved(found: Columns, judge: Judge) -> Finding:  # noqa: ARG001 -- as the others
    opening, states = found.history.opening or {}, found.ledger.accounts
    before, after = sum(opening.values()), sum(state.balance for state in states)
    require(before == after and opening.keys() <= {state.account for state in states}, "money or accounts are gone")
    held = found.history.currency.shown(after)
    return _said("conserved", f"all accounts together hold {held}, as at the beginning", total_before=before, total_after=after)


def _balance_is_ledger(found: Columns, judge: Judge) -> Finding:  # noqa: ARG001
    balances = {state.account: state.balance for state in found.ledger.accounts}
    due = found.opening.copy()
    np.add.at(due, found.account, found.amount)
    require(balances == dict(zip(found.accounts, due.tolist(), strict=True)), "balances are off")
    passed = f"{counted(len(balances), 'account')}, each with the balance that its postings make"
    return _said("balance-is-ledger", passed, accounts_off=0, amount_off=0)


def _version_chain(found: Columns, judge: Judge) -> Finding:  # noqa: ARG001
    ways = accounts(found)
    versions = {state.account: state.version for state in found.ledger.accounts}
    count = (ways.last - ways.first).tolist()
    for name, number in found.accounts.items():
        # An account of the opening balances alone has no way, and is missing in another check.
        require(versions.get(name, 0) == count[number] and (name in versions or not count[number]), "an account at another version")
    digests = found.history.final.digests if found.history.final else {}
    require(len(set(digests.values())) <= 1, "copies of the ledger differ")
    copies = f", and {len(digests)} copies of the ledger agree" if len(digests) > 1 else ""
    passed = f"{counted(len(versions), 'account')}, each with one unbroken history{copies}"
    return _said("version-chain", passed, breaks=0, copies_compared=len(digests))


def _no_overdraft(found: Columns, judge: Judge) -> Finding:  # noqa: ARG001
    ways = accounts(found)
    states, groups = found.ledger.accounts, found.ledger.limits
    limited = [state for state in states if state.lowest is not None]
    require(limited or groups, "no account has a limit")
    least = found.opening.copy()
    np.minimum.at(least, found.account[ways.row], ways.balance)
    lowest = {state.account: min(state.balance, int(least[found.accounts[state.account]])) for state in states}
    require(all(lowest[state.account] >= (state.lowest or 0) for state in limited), "an account was below its limit")
    # Accounts that have enough between them even when each is at its lowest have it in every order.
    is_enough = [
        lowest.keys() >= set(limit.accounts) and sum(lowest[name] for name in set(limit.accounts)) >= limit.lowest
        for limit in groups
    ]
    require(all(is_enough), "accounts that may have been below what they may be together")
    whose = [counted(len(limited), "account")] * bool(limited) + [f"{counted(len(groups), 'group')} of accounts"] * bool(groups)
    passed = f"{' and '.join(whose)} with a limit, none ever below it"
    return _said("no-overdraft", passed, accounts_below=0, groups_below=0, amount_below=0)


def _cash(found: Columns, judge: Judge) -> Finding:
    """Only what has to do with cash is judged, and by the check itself."""
    history = found.history
    vaults = {state.account for state in found.ledger.accounts if state.kind == "vault"}
    paid = {note.key for note in history.dispensed}
    drawn = tuple(o for o in history.operations if o.reverses or o.key in paid or not vaults.isdisjoint(o.legs))
    if not drawn:
        raise NotAsked("nobody drew cash")
    return _of_keys(found, judge, {operation.key for operation in drawn})


def _reconciled(found: Columns, judge: Judge) -> Finding:
    """Only what went to other banks is judged, and by the check itself."""
    credits_ = found.ledger.credits
    if credits_ is None:
        raise NotAsked("no other bank's book was read")
    clearing = {state.account for state in found.ledger.accounts if state.kind == "clearing"}
    keys = {posting.key for posting in found.ledger.postings if posting.account in clearing}
    keys |= {credit.key for credit in credits_}
    if not keys:
        raise NotAsked("no payment left for another bank")
    return _of_keys(found, judge, keys)


def _of_keys(found: Columns, judge: Judge, keys: AbstractSet[str]) -> Finding:
    """What the check says of these keys alone. Raises `Unfit` unless it passes them."""
    history = found.history
    assert history.final is not None, "the ledger is of the final reads"
    operations = tuple(operation for operation in history.operations if operation.key in keys)
    state = replace(found.ledger, postings=tuple(posting for posting in found.ledger.postings if posting.key in keys))
    finding = judge(open_books(replace(history, operations=operations, final=replace(history.final, first=state, second=state))))
    require(finding.outcome is Result.PASSED, finding.summary)
    return finding


def _order(found: Columns, judge: Judge) -> Finding:  # noqa: ARG001
    count = of_payments(found)
    passed = f"{counted(count, 'payment')} in one order that agrees with every account and with time"
    return _said("order", passed, payments_ordered=count)


def _answer_stable(found: Columns, judge: Judge) -> Finding:
    rest = _of_rest(found, judge)
    ways = accounts(found)
    first, last = ways.first.tolist(), ways.last.tolist()
    attempt, place, told = [], [], []
    is_meant = (found.outcome_of_attempt == OK) & found.plain[found.operation_of]
    for index in np.flatnonzero(is_meant).tolist():
        result = found.attempts[index].result
        account, version, balance = result.get("account"), result.get("version"), result.get("balance")
        number = found.accounts.get(account) if isinstance(account, str) else None
        if number is None or type(version) is not int or type(balance) is not int:
            continue
        if 0 < version <= last[number] - first[number]:
            attempt.append(index)
            place.append(first[number] + version - 1)
            told.append(balance)
    at = np.array(place, dtype=np.int64)
    key = found.key[found.operation_of[np.array(attempt, dtype=np.int64)]]
    is_its = found.key_of[found.transaction[ways.row[at]]] == key
    require((ways.balance[at] == np.array(told, dtype=np.int64))[is_its].all(), "an answer that is not so in the ledger")
    compared = int(is_its.sum()) + _count(rest, "answers_compared")
    again = _count(rest, "keys_answered_again")
    require(compared or again, "nothing to compare")
    return _said(
        "answer-stable",
        f"{counted(compared, 'answer')} about payments as in the ledger, {counted(again, 'key')} answered again",
        unstable_answers=0,
        answers_compared=compared,
        keys_answered_again=again,
    )


def _looks(found: Columns) -> tuple[int, int]:
    """How many balances were shown, and by how many answers, all of them in one order with the payments."""
    lineup = of_all(found)
    require(len(lineup.attempts), "nobody looked")
    return len(lineup.looks.attempt), len(lineup.attempts)


def _observed_stays(found: Columns, judge: Judge) -> Finding:  # noqa: ARG001
    looks, _ = _looks(found)
    passed = f"{counted(looks, 'look')} at a balance, and nothing that they showed is gone"
    return _said("observed-stays", passed, undone_operations=0, undone_amount=0)


def _read_window(found: Columns, judge: Judge) -> Finding:  # noqa: ARG001
    looks, _ = _looks(found)
    passed = f"{counted(looks, 'look')} at a balance, each of what the account held then"
    return _said("read-window", passed, looks=looks, stale_looks=0, early_looks=0, impossible_looks=0)


def _snapshot(found: Columns, judge: Judge) -> Finding:  # noqa: ARG001
    _, looks = _looks(found)
    passed = f"{counted(looks, 'look')} and {counted(len(found.transactions), 'payment')} in one order"
    return _said("snapshot", passed, looks_ordered=looks, looks_unsure=0)


FINDERS: Mapping[str, Callable[[Columns, Judge], Finding]] = MappingProxyType(
    {
        "ack-durable": _ack_durable,
        "at-most-once": _at_most_once,
        "no-refused-effect": _no_refused_effect,
        "no-phantom": _no_phantom,
        "double-entry": _double_entry,
        "conserved": _conserved,
        "balance-is-ledger": _balance_is_ledger,
        "version-chain": _version_chain,
        "no-overdraft": _no_overdraft,
        "cash": _cash,
        "reconciled": _reconciled,
        "order": _order,
        "answer-stable": _answer_stable,
        "observed-stays": _observed_stays,
        "read-window": _read_window,
        "snapshot": _snapshot,
    }
)
