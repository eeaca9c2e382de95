"""The power of the money checks: right books are never accused, and every kind of wrong ones is convicted by the right check.

A small bank plays random days: retries, refusals, answers that never came. Then one thing is spoilt.
"""

from __future__ import annotations

import contextlib
import json
import random
import sys
from dataclasses import dataclass, field, replace

import pytest

from chaoskit.checkers.money import MONEY, verify
from chaoskit.checkers.money.books import LONG
from chaoskit.checkers.money.certificate import certificate
from chaoskit.checkers.money.fast import certified
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import Attempt, FinalReads, History, LoadCounts, Operation, Outcome
from chaoskit.model.topology import AccountState, LedgerState, Posting
from chaoskit.model.verdict import Result

ACCOUNTS = ("ada", "ben", "cid", "dan", "vault")
OPENING = {account: 0 if account == "vault" else 2_000 for account in ACCOUNTS}


@dataclass
class Day:
    """One day of the bank: what customers saw, and what was booked (key, legs), in order.

    Things happen one every 25 ms; who asked for them came up to 60 ms before and heard of it up to 60 ms later, so that about five
    customers wait at any time.
    """

    dice: random.Random
    operations: list[Operation] = field(default_factory=list)
    booked: list[tuple[str, dict[str, int]]] = field(default_factory=list)
    settled: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=lambda: {"one": "abc", "two": "abc"})
    now_ns: int = 10_000_000_000

    def ask(self, key: str, intent: str, legs: dict[str, int], *outcomes: str, result: dict | None = None) -> Operation:
        """Somebody asks as often as there are outcomes; what they want happens now, during any of the attempts, or never."""
        first_ns = self.now_ns - self.dice.randrange(60_000_000)
        last_ns = self.now_ns + self.dice.randrange(60_000_000)
        # An ok answer comes after what it tells of; an attempt without an answer may be given up before or after.
        earliest = {"ok": self.now_ns}
        ends = sorted(self.dice.randrange(earliest.get(outcome, first_ns), last_ns + 1) for outcome in outcomes[:-1])
        marks = [first_ns, *ends, last_ns]
        attempts = tuple(
            Attempt(
                number=number,
                start_ns=marks[number - 1],
                end_ns=marks[number],
                outcome=Outcome(outcome),
                result=(result or {}) if outcome == "ok" else {},
            )
            for number, outcome in enumerate(outcomes, start=1)
        )
        number = len(self.operations) + 1
        self.operations.append(
            Operation(number=number, journey="transfer", due_ns=first_ns, attempts=attempts, intent=intent, key=key, legs=legs)
        )
        self.now_ns += 25_000_000
        return self.operations[-1]

    def look(self, *shown: dict) -> Operation:
        """Somebody looks at an account, or at several at once."""
        return self.ask("", f"l{len(self.operations)}", {}, "ok", result=shown[0] if len(shown) == 1 else {"accounts": list(shown)})

    def legs(self, amount: int) -> dict[str, int]:
        giver, taker = self.dice.sample(ACCOUNTS[:-1], 2)
        return {giver: -amount, (taker if self.dice.random() < 0.8 else "vault"): amount}

    def play(self, count: int, *, unknown: float = 0.2, named: float = 0.7) -> None:
        """Customers come and go; the bank is a right one. Answers name versions with the chance *named*."""
        balances, versions = dict(OPENING), dict.fromkeys(ACCOUNTS, 0)

        def shown(account: str) -> dict:
            version = {"version": versions[account]} if self.dice.random() < named else {}
            return {"account": account, "balance": balances[account], **version}

        for number in range(count):
            for _ in range(self.dice.choice((0, 0, 1, 1, 2))):
                self.look(*map(shown, self.dice.sample(ACCOUNTS, self.dice.choice((1, 1, 2, 5)))))
            # Even numbers come back: the same balance at several versions is what makes looks hard to place.
            legs, intent = self.legs(self.dice.randrange(1, 9) * 100), f"i{number}"
            giver = next(account for account, amount in legs.items() if amount < 0)
            is_covered = balances[giver] + legs[giver] >= 0
            is_heard = self.dice.random() >= unknown
            key = f"{intent}-1"
            if not is_heard and self.dice.random() < 0.5:
                # The first request never reached the bank; the customer asks again, under the same key or a new one.
                self.ask(key, intent, legs, "info")
                self.settled[key] = "tombstone"
                key = f"{intent}-2"
                is_heard = self.dice.random() < 0.5
            reached = is_heard or self.dice.random() < 0.5
            outcomes = ["info"] * self.dice.choice((0, 0, 0, 1, 2)) if is_heard else ["info"]
            if is_heard:
                outcomes += ["ok"] * self.dice.choice((1, 1, 1, 2)) if is_covered else ["fail"]
            is_applied = is_covered and reached
            if is_applied:
                self.booked.append((key, dict(legs)))
                for account, amount in legs.items():
                    balances[account] += amount
                    versions[account] += 1
            answer = {"account": giver, "balance": balances[giver], "version": versions[giver]}
            operation = self.ask(key, intent, legs, *outcomes, result=answer)
            if operation.outcome is Outcome.INFO:
                self.settled[key] = "applied" if is_applied else "refused" if reached else "tombstone"

    def one(self, *outcomes: str, booked: bool) -> Operation:
        """Any operation with one of these outcomes that was booked, or was not."""
        keys = {key for key, _ in self.booked}
        return self.dice.choice([o for o in self.operations if o.key and o.outcome.value in outcomes and (o.key in keys) is booked])

    def at(self, key: str) -> int:
        return next(index for index, (known, _) in enumerate(self.booked) if known == key)

    def ledger(self) -> LedgerState:
        balances, versions, postings = dict(OPENING), dict.fromkeys(ACCOUNTS, 0), []
        for number, (key, legs) in enumerate(self.booked):
            for account, amount in legs.items():
                balances[account] += amount
                versions[account] += 1
                postings.append(
                    Posting(
                        transaction=f"t{number}",
                        key=key,
                        account=account,
                        version=versions[account],
                        amount=amount,
                        balance_after=balances[account],
                    )
                )
        accounts = tuple(
            AccountState(account=a, kind="customer", balance=balances[a], version=versions[a], lowest=0) for a in ACCOUNTS
        )
        return LedgerState(read_from="one", accounts=accounts, postings=tuple(postings))

    def history(self, ledger: LedgerState | None = None) -> History:
        count, state = len(self.operations), ledger or self.ledger()
        return History(
            opening=OPENING,
            operations=tuple(sorted(self.operations, key=lambda o: (o.due_ns, o.number))),
            load=LoadCounts(scheduled=count, sent=count, finished=count, drained=True),
            final=FinalReads(settled=self.settled, open_transactions=0, first=state, second=state, digests=self.digests),
            complete=True,
        )


def day(seed: int) -> Day:
    played = Day(dice=random.Random(seed))
    played.play(80)
    return played


def named(seed: int) -> Day:
    """A day on which every answer names its version, so that every look has a sure place."""
    played = Day(dice=random.Random(seed))
    played.play(80, named=1.0)
    return played


def drop(day: Day) -> History:
    del day.booked[day.at(day.one("ok", booked=True).key)]
    return day.history()


def drop_tail(day: Day) -> History:
    # Not all of it: with an empty ledger, every other check has nothing to judge.
    del day.booked[max(1, day.at(day.one("ok", booked=True).key)) :]
    return day.history()


def double(day: Day) -> History:
    day.booked.append(day.dice.choice(day.booked))
    return day.history()


def double_under_a_new_key(day: Day) -> History:
    first = day.one("ok", "info", booked=True)
    again = day.ask(f"{first.intent}-9", first.intent, dict(first.legs), "ok")
    day.booked.append((again.key, dict(first.legs)))
    return day.history()


def refused_and_applied(day: Day) -> History:
    refused = day.one("fail", booked=False)
    day.booked.append((refused.key, dict(refused.legs)))
    return day.history()


def barred_and_applied(day: Day) -> History:
    late = day.ask("late-1", "late", day.legs(1), "info")
    day.settled[late.key] = "tombstone"
    day.booked.append((late.key, dict(late.legs)))
    return day.history()


def phantom(day: Day) -> History:
    day.booked.insert(day.dice.randrange(len(day.booked)), ("nobody", day.legs(1)))
    return day.history()


def other_amount(day: Day) -> History:
    at = day.dice.randrange(len(day.booked))
    key, legs = day.booked[at]
    day.booked[at] = (key, {account: amount + (1 if amount > 0 else -1) for account, amount in legs.items()})
    # One more than one is twice as much, and that is for another check.
    return day.history() if max(legs.values()) > 1 else other_amount(day)


def other_account(day: Day) -> History:
    at = day.dice.randrange(len(day.booked))
    key, legs = day.booked[at]
    (giver, amount), (taker, _) = sorted(legs.items(), key=lambda leg: leg[1])
    other = next(account for account in ACCOUNTS if account not in (giver, taker))
    day.booked[at] = (key, {giver: amount, other: -amount})
    return day.history()


def missing_leg(day: Day) -> History:
    at = day.dice.randrange(len(day.booked))
    key, legs = day.booked[at]
    account = day.dice.choice(list(legs))
    day.booked[at] = (key, {account: legs[account]})
    return day.history()


def overdraft(day: Day) -> History:
    operation = day.ask("much-1", "much", {"ada": -9_000, "ben": 9_000}, "ok")
    day.booked.append((operation.key, dict(operation.legs)))
    return day.history()


def spoil_account(day: Day, *changes: tuple[str, int]) -> History:
    ledger, by = day.ledger(), dict(changes)
    return day.history(
        replace(ledger, accounts=tuple(replace(a, balance=a.balance + by.get(a.account, 0)) for a in ledger.accounts))
    )


def balance_off(day: Day) -> History:
    return spoil_account(day, ("vault", day.dice.choice((-7, 7))))


def balances_off_but_the_total_is_right(day: Day) -> History:
    return spoil_account(day, ("ada", 7), ("vault", -7))


def spoil_posting(day: Day, **by: int) -> History:
    ledger = day.ledger()
    at = day.dice.randrange(len(ledger.postings))
    posting = ledger.postings[at]
    spoilt = replace(posting, **{name: getattr(posting, name) + more for name, more in by.items()})
    return day.history(replace(ledger, postings=(*ledger.postings[:at], spoilt, *ledger.postings[at + 1 :])))


def version_twice(day: Day) -> History:
    return spoil_posting(day, version=-1)


def version_missing(day: Day) -> History:
    return spoil_posting(day, version=1_000)


def balance_after_off(day: Day) -> History:
    return spoil_posting(day, balance_after=3)


def copies_differ(day: Day) -> History:
    day.digests["two"] = "abd"
    return day.history()


def state(day: Day, account: str, *, back: int = 0) -> dict:
    """What the account showed at its last version, or *back* versions before."""
    postings = [posting for posting in day.ledger().postings if posting.account == account]
    last = len(postings) - back
    return {"account": account, "balance": postings[last - 1].balance_after if last else OPENING[account], "version": last}


def pay(day: Day, giver: str, taker: str, *outcomes: str, is_booked: bool = True) -> Operation:
    """One more payment of 1, which the first two of `rich` can afford."""
    name, legs = f"more{len(day.operations)}", {giver: -1, taker: 1}
    if is_booked:
        day.booked.append((f"{name}-1", legs))
    operation = day.ask(f"{name}-1", name, legs, *outcomes)
    if operation.outcome is Outcome.INFO:
        day.settled[operation.key] = "applied" if is_booked else "tombstone"
    return operation


def rich(day: Day) -> tuple[str, ...]:
    """Accounts, the richest first; what happens from now on began after everybody has been answered."""
    day.now_ns += 200_000_000
    balances = {state.account: state.balance for state in day.ledger().accounts}
    return tuple(sorted(ACCOUNTS, key=lambda account: -balances[account]))


def stale_look(day: Day) -> History:
    (giver, taker, *_) = rich(day)
    pay(day, giver, taker, "ok")
    rich(day)
    day.look(state(day, giver, back=1))
    return day.history()


def look_that_went_back(day: Day) -> History:
    (giver, taker, *_) = rich(day)
    pay(day, giver, taker, "info")
    day.look(state(day, giver))
    rich(day)
    day.look(state(day, giver, back=1))
    return day.history()


def early_look(day: Day) -> History:
    (giver, taker, *_) = rich(day)
    before_ns = day.now_ns
    rich(day)
    pay(day, giver, taker, "ok")
    day.now_ns = before_ns
    day.look(state(day, giver))
    return day.history()


def impossible_look(day: Day) -> History:
    (giver, *_) = rich(day)
    shown = state(day, giver)
    day.look(shown | {"balance": shown["balance"] + 7})
    return day.history()


def unknown_payment_seen_and_gone(day: Day) -> History:
    (giver, taker, *_) = rich(day)
    pay(day, giver, taker, "info", is_booked=False)
    shown = state(day, giver)
    day.look({"account": giver, "balance": shown["balance"] - 1, "version": shown["version"] + 1})
    return day.history()


def booked_in_the_wrong_order(day: Day) -> History:
    (giver, taker, *_) = rich(day)
    for _ in range(2):
        pay(day, giver, taker, "ok")
        rich(day)
    day.booked[-2:] = reversed(day.booked[-2:])
    return day.history()


def booked_in_another_order_by_each_account(day: Day) -> History:
    (giver, taker, *_) = rich(day)
    for _ in range(2):
        pay(day, giver, taker, "info")
    ledger = day.ledger()
    (a, b, c, d) = ledger.postings[-4:]  # both of one payment, then both of the other one
    swapped = (a, replace(d, version=b.version, balance_after=b.balance_after), c)
    last = replace(b, version=d.version, balance_after=d.balance_after)
    return day.history(replace(ledger, postings=(*ledger.postings[:-4], *swapped, last)))


def half_of_a_transfer_seen(day: Day) -> History:
    (giver, taker, *_) = rich(day)
    pay(day, giver, taker, "info")
    day.look(state(day, giver), state(day, taker, back=1))
    return day.history()


def two_copies_disagree_who_was_first(day: Day) -> History:
    """Neither of two payments at once was told of; one look saw only the one, another look only the other."""
    (a, b, c, d, _) = rich(day)
    pay(day, a, c, "info")
    pay(day, b, d, "info")
    for shown in ((state(day, a), state(day, b, back=1)), (state(day, a, back=1), state(day, b))):
        day.look(*shown)
        day.now_ns -= 25_000_000  # at once: one after the other, each account alone would be seen to go back
    return day.history()


def spoil_answer(day: Day, *, number: int, **changes: int) -> History:
    """Change what the answer *number* to a payment said, of one that had so many."""
    at = day.dice.choice(
        [i for i, o in enumerate(day.operations) if o.key and sum(a.outcome is Outcome.OK for a in o.attempts) > number]
    )
    operation = day.operations[at]
    spoilt = [index for index, attempt in enumerate(operation.attempts) if attempt.outcome is Outcome.OK][number]
    attempts = list(operation.attempts)
    result = attempts[spoilt].result
    attempts[spoilt] = replace(attempts[spoilt], result={**result, **{name: result[name] + more for name, more in changes.items()}})
    day.operations[at] = replace(operation, attempts=tuple(attempts))
    return day.history()


def answer_with_another_balance(day: Day) -> History:
    return spoil_answer(day, number=0, balance=100)


def answered_again_with_another_version(day: Day) -> History:
    return spoil_answer(day, number=1, version=1)


def other_payment_accepted_under_a_used_key(day: Day) -> History:
    first = day.one("ok", booked=True)
    giver, taker = first.legs
    day.ask(first.key, "other", {giver: first.legs[giver] * 2, taker: first.legs[taker] * 2}, "ok")
    return day.history()


KINDS = {
    drop: "ack-durable",
    drop_tail: "ack-durable",
    double: "at-most-once",
    double_under_a_new_key: "at-most-once",
    refused_and_applied: "no-refused-effect",
    barred_and_applied: "no-refused-effect",
    phantom: "no-phantom",
    other_amount: "no-phantom",
    other_account: "no-phantom",
    missing_leg: "double-entry",
    overdraft: "no-overdraft",
    balance_off: "conserved",
    balances_off_but_the_total_is_right: "balance-is-ledger",
    version_twice: "version-chain",
    version_missing: "version-chain",
    balance_after_off: "version-chain",
    copies_differ: "version-chain",
    booked_in_the_wrong_order: "order",
    booked_in_another_order_by_each_account: "order",
    answer_with_another_balance: "answer-stable",
    answered_again_with_another_version: "answer-stable",
    other_payment_accepted_under_a_used_key: "answer-stable",
    unknown_payment_seen_and_gone: "observed-stays",
    stale_look: "read-window",
    look_that_went_back: "read-window",
    early_look: "read-window",
    impossible_look: "read-window",
    half_of_a_transfer_seen: "snapshot",
    two_copies_disagree_who_was_first: "snapshot",
}


def failed(history: History) -> list[str]:
    return [f.checker for check in MONEY for f in check.check(history) if f.outcome is Result.FAILED]


def not_passed(history: History) -> list[str]:
    findings = [finding for check in MONEY for finding in check.check(history)]
    return [f"{f.checker}: {f.summary}" for f in findings if f.outcome is not Result.PASSED and not f.is_absent]


@pytest.mark.parametrize("seeds", [range(200), pytest.param(range(200, 10_000), marks=pytest.mark.whole)], ids=len)
def test_right_books_are_never_accused(seeds):
    accused = {seed: found for seed in seeds if (found := not_passed(day(seed).history()))}
    assert accused == {}


@pytest.mark.parametrize("seeds", [range(20), pytest.param(range(20, 120), marks=pytest.mark.whole)], ids=len)
@pytest.mark.parametrize("spoil", KINDS, ids=lambda spoil: spoil.__name__)
def test_wrong_books_are_convicted_by_the_right_check(spoil, seeds):
    """The first check in order of cause names the cause; later ones may fail for the same reason."""
    convicted = {seed: failed(spoil(day(seed)))[:1] for seed in seeds}
    assert convicted == {seed: [KINDS[spoil]] for seed in seeds}


LOOKED_AT = {"observed-stays", "read-window", "snapshot"}


FEW = [range(5), pytest.param(range(5, 100), marks=pytest.mark.whole)]


@pytest.mark.parametrize("seeds", FEW, ids=len)
def test_arrays_prove_all_of_right_books(seeds, quickly):
    """Looks that name no version are left to the checks."""
    asked = {"cash", "reconciled"}.symmetric_difference(check.name for check in MONEY)
    assert {frozenset(quickly(named(seed).history())) for seed in seeds} == {frozenset(asked)}
    assert {frozenset(quickly(day(seed).history())) for seed in seeds} == {frozenset(asked - LOOKED_AT)}


@pytest.mark.parametrize("seeds", FEW, ids=len)
@pytest.mark.parametrize("spoil", KINDS, ids=lambda spoil: spoil.__name__)
def test_arrays_never_pass_what_the_right_check_convicts(spoil, seeds, quickly):
    for seed in seeds:
        passed = quickly(spoil(named(seed)))
        assert KINDS[spoil] not in passed
        assert passed  # what is wrong in one way is not unfit as a whole


def steps(order) -> list[str]:
    return sorted(json.dumps(row, sort_keys=True) for row in order)


def test_certificates_of_arrays_can_be_followed(events_of):
    for seed in range(10):
        history = named(seed).history()
        order, unknown, unplaced = certified(history)
        whole = certificate(history)
        assert unknown == whole["unknown"]
        assert unplaced == whole["unplaced"]
        assert steps(order) == steps(whole["order"])
        assert verdict(events_of(history), {**whole, "order": order}) == 0


@pytest.mark.parametrize("spoil", KINDS, ids=lambda spoil: spoil.__name__)
def test_certificates_of_arrays_do_not_hide_what_is_wrong(spoil, events_of):
    for seed in range(5):
        spoilt = spoil(named(seed))
        found = certified(spoilt)
        if found is not None:
            order, unknown, unplaced = found
            parts = {"certificate": 1, "run": "", "order": order, "unknown": unknown, "unplaced": unplaced}
            assert verdict(events_of(spoilt), parts) != 0


@pytest.fixture(scope="module")
def long_day():
    played = Day(dice=random.Random(1))
    played.play(LONG, named=1.0)
    return played


def without_numpy(monkeypatch):
    monkeypatch.setitem(sys.modules, "numpy", None)


def test_a_long_history_is_judged_the_same_with_numpy_and_without(long_day, events_of, monkeypatch):
    history = long_day.history()
    quick = [finding for check in MONEY for finding in check.check(history)]
    assert "columns" in history.memo
    assert "books" not in history.memo
    assert verdict(events_of(history), certificate(history)) == 0
    without_numpy(monkeypatch)
    plain = replace(history)
    assert [finding for check in MONEY for finding in check.check(plain)] == quick
    assert "columns" not in plain.memo
    assert verdict(events_of(plain), certificate(plain)) == 0


def test_a_violation_in_a_long_history_is_told_the_same_with_numpy_and_without(long_day, monkeypatch):
    history = double(long_day)
    quick = [finding for check in MONEY for finding in check.check(history)]
    assert failed(history)[0] == "at-most-once"
    without_numpy(monkeypatch)
    assert [finding for check in MONEY for finding in check.check(replace(history))] == quick


def verdict(events, certified) -> int:
    lines = [json.dumps(event).encode() + b"\n" for event in events]
    try:
        verify.verify(lines, json.loads(json.dumps(certified)))
    except verify.Stop as stop:
        return stop.args[0]
    return 0


def test_the_verifier_follows_every_right_day(events_of):
    assert {seed: verdict(events_of(h), certificate(h)) for seed in range(30) for h in [named(seed).history()]} == dict.fromkeys(
        range(30), 0
    )


@pytest.mark.parametrize("spoil", KINDS, ids=lambda spoil: spoil.__name__)
def test_the_verifier_stops_at_every_wrong_one(spoil, events_of):
    """Whether it is given the order of what was spoilt, where there is one, or that of the day before it was."""
    for seed in range(5):
        spoilt = spoil(named(seed))
        certificates = [certificate(named(seed).history())]
        with contextlib.suppress(NotExercised):
            certificates.append(certificate(spoilt))
        # 2 says that looks have no place in the order, which is what is wrong with some of them.
        assert 0 not in [verdict(events_of(spoilt), one) for one in certificates]


def test_days_hold_what_makes_judging_hard():
    """Otherwise the two tests above would show nothing."""
    seen = {"ok": 0, "fail": 0, "info": 0, "applied": 0, "refused": 0, "tombstone": 0, "retried": 0, "two keys": 0}
    for seed in range(20):
        played = day(seed)
        for operation in played.operations:
            seen[operation.outcome.value] += 1
            seen["retried"] += len(operation.attempts) > 1
            seen["two keys"] += operation.key.endswith("-2")
        for state in played.settled.values():
            seen[state] += 1
    assert all(count >= 20 for count in seen.values()), seen
