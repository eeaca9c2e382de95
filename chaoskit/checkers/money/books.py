"""The final ledger, opened for judgement, with what it is judged against. Money checks see a history only through this.

Opening raises where something is missing, so that no check can pass over it: a ledger that could still change proves nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from chaoskit.checkers.wording import MOST_EVIDENCE, proves_nothing
from chaoskit.model import measures
from chaoskit.model.errors import NotExercised
from chaoskit.model.history import History, Operation
from chaoskit.model.topology import LedgerState, Posting
from chaoskit.model.verdict import Finding, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """A history whose ledger is final, and the balances it started from (0 for an account that is not among them)."""

    history: History
    ledger: LedgerState
    opening: Mapping[str, int]
    operations: tuple[Operation, ...]
    """Those that were to move money."""

    def transactions(self) -> Mapping[str, Sequence[Posting]]:
        """The postings of each transaction."""
        found: dict[str, list[Posting]] = defaultdict(list)
        for posting in self.ledger.postings:
            found[posting.transaction].append(posting)
        return found

    def by_account(self) -> Mapping[str, Sequence[Posting]]:
        """The postings of each account in order of version."""
        found: dict[str, list[Posting]] = {state.account: [] for state in self.ledger.accounts}
        for posting in self.ledger.postings:
            found.setdefault(posting.account, []).append(posting)
        for postings in found.values():
            postings.sort(key=lambda posting: posting.version)
        return found

    def by_key(self) -> Mapping[str, Sequence[Operation]]:
        """The operations that were sent under each key, with those that leave every account as it is (a transfer to oneself)."""
        found: dict[str, list[Operation]] = defaultdict(list)
        for operation in self.history.operations:
            if operation.key:
                found[operation.key].append(operation)
        return found

    def money(self, amount: int) -> str:
        """An amount as a person reads it: `Rp 370,000` where the run names its currency, else the minor units."""
        currency = self.history.run.get("currency")
        if not isinstance(currency, Mapping):
            return f"{amount:,}"
        digits = currency.get("minor_digits", 0)
        places = digits if isinstance(digits, int) else 0
        whole, rest = divmod(abs(amount), 10**places)
        sign = "-" if amount < 0 else ""
        return f"{sign}{currency.get('code', '')} {whole:,}".strip() + (f".{rest:0{places}d}" if places else "")

    def says(self, operation: Operation) -> str:
        """What an operation was to do, and when its customer was told: `Rp 370,000 from ada to ben (transfer, key k1)`."""
        givers = ", ".join(account for account, amount in operation.legs.items() if amount < 0)
        takers = ", ".join(account for account, amount in operation.legs.items() if amount > 0)
        amount = self.money(measures.amount_of(operation.legs))
        told_ns = operation.end_ns
        told = "never answered" if told_ns is None else f"answered {self.history.seconds(told_ns):.1f} s into the load"
        return f"{amount} from {givers} to {takers} ({operation.journey}, key {operation.key}, {told})"


def judged(name: str, history: History, judge: Callable[[Books], Finding]) -> tuple[Finding, ...]:
    """What *judge* says of the books; INCONCLUSIVE with the reason when they cannot be opened or hold nothing to judge."""
    try:
        return (judge(_open(history)),)
    except NotExercised as reason:
        return (proves_nothing(name, str(reason), safety=True),)


def ruling(
    name: str, *, wrong: Sequence[str], failed: str, passed: str, measured: Mapping[str, float | int | str | None]
) -> Finding:
    """FAILED with the first of the *wrong* sentences as evidence, PASSED when there is none."""
    return Finding(
        checker=name,
        outcome=Result.FAILED if wrong else Result.PASSED,
        summary=failed if wrong else passed,
        evidence=tuple(wrong[:MOST_EVIDENCE]),
        measures=measured,
        safety=True,
    )


def net(postings: Sequence[Posting]) -> Mapping[str, int]:
    """What *postings* did to each account in sum, without the accounts that they left as they were."""
    found: dict[str, int] = {}
    for posting in postings:
        found[posting.account] = found.get(posting.account, 0) + posting.amount
    return found if all(found.values()) else {account: amount for account, amount in found.items() if amount}


def effect(operation: Operation) -> Mapping[str, int]:
    """What an operation must do to each account, without the accounts that it leaves as they are (a transfer to oneself)."""
    legs = operation.legs
    return legs if all(legs.values()) else {account: amount for account, amount in legs.items() if amount}


def require_postings(books: Books) -> None:
    """Raises `NotExercised` when the ledger holds none: rules about postings hold for an empty ledger, and say nothing."""
    if not books.ledger.postings:
        raise NotExercised("the ledger holds no postings, so nothing was proven")


def with_key(transactions: Mapping[str, Sequence[Posting]]) -> Iterator[tuple[str, str, Sequence[Posting]]]:
    """(transaction, key, postings) of each, also when one transaction carries several keys."""
    for transaction, postings in transactions.items():
        key = postings[0].key
        if all(posting.key == key for posting in postings):
            yield transaction, key, postings
            continue
        for each in dict.fromkeys(posting.key for posting in postings):
            yield transaction, each, [posting for posting in postings if posting.key == each]


def _open(history: History) -> Books:
    ledger = measures.settled_ledger(history)
    if history.opening is None:
        raise NotExercised("the opening balances are missing, so there is nothing to compare the ledger with")
    operations = measures.money_operations(history)
    if not operations:
        raise NotExercised("no operation was to move money, so nothing was proven")
    return Books(history=history, ledger=ledger, opening=history.opening, operations=operations)
