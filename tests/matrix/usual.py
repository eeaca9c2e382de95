"""What the usual checks of a bank say of the same recorded history: does it add up, and do the balances that were read?

Both are written down here from their published descriptions and share no code with chaoskit's checks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chaoskit.model.history import History, Outcome
from chaoskit.model.topology import LedgerState


def final_total(history: History) -> str:
    """Whether all balances at the end add up to what they were at the beginning: `FAILED`, `passed` or `no evidence`."""
    if history.opening is None or history.final is None or history.final.first is None:
        return "no evidence"
    return _said(_total(history.final.first) == sum(history.opening.values()))


def balance_reads(history: History) -> str:
    """The bank check that is best known (Jepsen's): of reads that were answered, the total is right and no balance is negative.

    Every read of all accounts must have the opening total and no account too many or too few; no account that may not be negative
    is ever seen below zero. Our customers read one account at a time, so the reads of all are those of the end of the run.
    """
    if history.opening is None or history.final is None or history.final.first is None:
        return "no evidence"
    reads = [read for read in (history.final.first, history.final.second) if read is not None]
    total, limits = sum(history.opening.values()), {a.account: a.lowest for a in history.final.first.accounts}
    is_right = all(_total(read) == total and _names(read) == set(history.opening) for read in reads)
    return _said(is_right and all(_is_allowed(seen, limits) for seen in (*_seen(history), *map(_balances, reads))))


def _said(is_right: bool) -> str:
    return "passed" if is_right else "FAILED"


def _total(read: LedgerState) -> int:
    return sum(account.balance for account in read.accounts)


def _names(read: LedgerState) -> set[str]:
    return {account.account for account in read.accounts}


def _balances(read: LedgerState) -> Mapping[str, int]:
    return {account.account: account.balance for account in read.accounts}


def _seen(history: History) -> Iterator[Mapping[str, int]]:
    for operation in history.operations:
        if operation.outcome is Outcome.OK and operation.answer and not operation.legs:
            account, balance = operation.answer.result.get("account"), operation.answer.result.get("balance")
            if isinstance(account, str) and isinstance(balance, int):
                yield {account: balance}


def _is_allowed(seen: Mapping[str, int], limits: Mapping[str, int | None]) -> bool:
    return all(limits.get(account) is None or balance >= 0 for account, balance in seen.items())
