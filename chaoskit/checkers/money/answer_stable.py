"""Whether what a customer was told about a payment is what is in the ledger, and stays the same when they ask again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from chaoskit.checkers.money.books import Books, effect, judged, ruling
from chaoskit.checkers.wording import counted
from chaoskit.model.errors import NotAsked
from chaoskit.model.history import Attempt, History, Operation, Outcome
from chaoskit.model.topology import Evidence, Posting
from chaoskit.model.verdict import Finding

NOT_PART_OF_IT = frozenset({"served_by", "warning"})
"""Who carried an answer, and of what they warned then, may change from one time to the next; what it says may not."""


COMPARED = frozenset({Evidence.POSTINGS, Evidence.POSTING_KEYS, Evidence.VERSIONS, Evidence.BALANCES_AFTER})
"""What a ledger must show for an answer to be compared with a posting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerStable:
    """What a customer was told about a payment is in the ledger, and they are told the same whenever they ask with the same key.

    Proves: all ok answers under one key say the same (but for `served_by` and `warning`); no two payments with another effect were
    accepted under one key; where an answer names an account, its version and its balance, and the ledger's posting with that key
    and version is of that account, the balance is the same.
    Sound because a key stands for one payment and its stored answer; only postings under the same key are compared with an answer.
    Cannot see: what a payment asked for besides its effect on accounts, nor whether anybody asked twice: how many keys were
    answered more than once is in the measures.
    Inconclusive when no key was answered twice and no answer names a version. O(n).
    Catches an idempotency store that forgets, that answers anew, or that lets another payment through under a used key.
    """

    name: ClassVar[str] = "answer-stable"
    is_sound_early: ClassVar[bool] = True
    if_any: bool = False
    """Whether a load without any is fine. `money` sets it."""

    def check(self, history: History) -> tuple[Finding, ...]:
        return judged(self.name, history, self._judge, needs=frozenset(), if_any=self.if_any)

    def _judge(self, books: Books) -> Finding:
        is_comparable = not COMPARED & books.ledger.lacks
        postings = books.ledger.postings if is_comparable else ()
        booked = {(posting.key, posting.account, posting.version): posting for posting in postings}
        wrong: list[str] = []
        repeated = compared = 0
        for operations in books.asked.values():
            answers = [(o, a) for o in operations for a in o.attempts if a.outcome is Outcome.OK]
            repeated += len(answers) > 1
            if len(answers) > 1:
                wrong += _diverged(books, answers)
            for operation, attempt in answers:
                posting = _named(booked, operation, attempt)
                if posting is not None:
                    compared += 1
                    if posting.balance_after != attempt.result["balance"]:
                        wrong.append(_not_so(books, operation, attempt, posting))
        if not repeated and not compared:
            raise NotAsked("no key was answered twice and no answer names a version of the ledger, so nothing was proven")
        return ruling(
            self.name,
            wrong=wrong,
            failed=f"{counted(len(wrong), 'answer')} about payments that did not stay true",
            passed=f"{counted(compared, 'answer')} about payments as in the ledger, {counted(repeated, 'key')} answered again",
            measured={"unstable_answers": len(wrong), "answers_compared": compared, "keys_answered_again": repeated},
        )


def _diverged(books: Books, answers: Sequence[tuple[Operation, Attempt]]) -> Iterator[str]:
    """One sentence for a key whose answers differ: which of them is the lie, nobody can tell."""
    for operation, attempt in answers[1:]:
        first, said = answers[0]
        if effect(operation) != effect(first):
            yield f"{books.says(operation)} was accepted under the key of {books.says(first)}"
            return
        changed = _changed(said.result, attempt.result)
        if changed or said.status != attempt.status:
            what = ", ".join(f"{name} {said.result.get(name)!r} and {attempt.result.get(name)!r}" for name in changed)
            yield f"{books.says(operation)} was answered again, and not the same: {what or f'{said.status} and {attempt.status}'}"
            return


def _changed(first: Mapping[str, object], second: Mapping[str, object]) -> list[str]:
    names = sorted((first.keys() | second.keys()) - NOT_PART_OF_IT)
    return [name for name in names if first.get(name) != second.get(name)]


def _named(booked: Mapping[tuple[str, str, int], Posting], operation: Operation, attempt: Attempt) -> Posting | None:
    """The posting that an answer is about; None when it names none of its own key."""
    said = attempt.result
    account, version, balance = said.get("account"), said.get("version"), said.get("balance")
    if not isinstance(account, str) or type(version) is not int or type(balance) is not int:
        return None
    return booked.get((operation.key, account, version))


def _not_so(books: Books, operation: Operation, attempt: Attempt, posting: Posting) -> str:
    told = attempt.result["balance"]
    assert isinstance(told, int), "only whole balances are compared"
    return (
        f"{books.says(operation)} left account {posting.account} at {books.money(told)} by its answer,"
        f" and at {books.money(posting.balance_after)} by the ledger (version {posting.version})"
    )
