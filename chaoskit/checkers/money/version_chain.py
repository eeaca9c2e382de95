"""Whether each account has one history, without gap or fork."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from chaoskit.checkers.money.books import Books, judged, require_postings, ruling
from chaoskit.checkers.wording import counted
from chaoskit.model.history import History
from chaoskit.model.measures import ALL_EVIDENCE
from chaoskit.model.topology import Evidence, Posting
from chaoskit.model.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionChain:
    """Every account went from one balance to the next, one posting at a time, on one timeline that all copies share.

    Proves: the postings of each account have the versions 1, 2, 3, … without gap or twin; each balance is the one before it and the
    amount; the account stands at the last version. Where two copies of the ledger answered at the end, they hold the same.
    Sound because a version is written in the same transaction as its posting, and copies are compared when they have caught up.
    Cannot see: a fork that was thrown away whole (`ack-durable` does), nor a copy that did not answer; the measures say how many
    did. Catches lost updates, two primaries that both wrote, copies that drifted apart.
    """

    name: ClassVar[str] = "version-chain"

    def check(self, history: History) -> tuple[Finding, ...]:
        return judged(self.name, history, self._judge, needs=ALL_EVIDENCE - {Evidence.KEYS, Evidence.POSTING_KEYS})

    def _judge(self, books: Books) -> Finding:
        require_postings(books)
        versions = {state.account: state.version for state in books.ledger.accounts}
        wrong = []
        for account, postings in books.by_account.items():
            # One break makes everything after it look wrong, so an account is accused once, of the first.
            first = next(_breaks(books, account, postings, versions.get(account)), None)
            if first is not None:
                wrong.append(first)
        digests = books.history.final.digests if books.history.final else {}
        if len(set(digests.values())) > 1:
            wrong.insert(0, f"the copies of the ledger differ: {', '.join(f'{m} {d[:12]}' for m, d in sorted(digests.items()))}")
        copies = f", and {len(digests)} copies of the ledger agree" if len(digests) > 1 else ""
        return ruling(
            self.name,
            wrong=wrong,
            failed=f"{counted(len(wrong), 'break')} in the history of accounts or between copies",
            passed=f"{counted(len(versions), 'account')}, each with one unbroken history{copies}",
            measured={"breaks": len(wrong), "copies_compared": len(digests)},
        )


def _breaks(books: Books, account: str, postings: Sequence[Posting], version: int | None) -> Iterator[str]:
    balance = books.opening.get(account, 0)
    for expected, posting in enumerate(postings, start=1):
        if posting.version != expected:
            what = f"version {posting.version} twice" if posting.version < expected else f"no version {expected}"
            yield f"account {account} has {what} (transaction {posting.transaction}, key {posting.key})"
            return
        balance += posting.amount
        if posting.balance_after != balance:
            yield (
                f"account {account} stood at {books.money(posting.balance_after)} after version {posting.version}"
                f" (key {posting.key}), but {books.money(balance - posting.amount)} and {books.money(posting.amount)}"
                f" make {books.money(balance)}"
            )
            return
    if version != len(postings):
        yield f"account {account} stands at version {version}, but has {len(postings)} postings"
