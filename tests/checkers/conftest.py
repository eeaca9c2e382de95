"""Histories written by hand: seconds and short names in, a `History` out. Nothing is left out that a real one has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from chaoskit.model.history import Attempt, FaultRecord, FinalReads, History, LoadCounts, Operation, Outcome, Sample
from chaoskit.model.topology import AccountState, LedgerState, Posting

ZERO_NS = 50_000_000_000
"""A clock never starts at zero."""


def ns(at_s: float) -> int:
    return ZERO_NS + round(at_s * 1e9)


@dataclass
class Story:
    """A run in the making. Times are seconds since the load began."""

    operations: list[Operation] = field(default_factory=list)
    faults: list[FaultRecord] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    def operation(
        self,
        at: float,
        *attempts: str,
        journey: str = "transfer",
        took: float | None = 0.01,
        late: float = 0.0,
        status: int = 0,
        why: str = "",
        served_by: str = "",
        key: str = "",
        intent: str = "",
        legs: Mapping[str, int] | None = None,
        result: Mapping[str, object] | None = None,
        session: str = "",
    ) -> Operation:
        """One operation due at that time with these outcomes, ok when none is given; `took` None leaves the last one open.

        Every ok answer has that *result*.
        """
        outcomes = attempts or ("ok",)
        made = []
        for number, outcome in enumerate(outcomes, start=1):
            start = at + late + (number - 1) * (took or 0.0)
            is_open = took is None and number == len(outcomes)
            made.append(
                Attempt(
                    number=number,
                    start_ns=ns(start),
                    end_ns=None if is_open else ns(start + (took or 0.0)),
                    outcome=Outcome(outcome),
                    status=status,
                    why=why,
                    served_by=served_by if outcome == "ok" else "",
                    result=(result or {}) if outcome == "ok" else {},
                )
            )
        number = len(self.operations) + 1
        self.operations.append(
            Operation(
                number=number,
                journey=journey,
                due_ns=ns(at),
                attempts=tuple(made),
                intent=intent,
                key=key,
                legs=legs or {},
                closed_ns=made[-1].end_ns,
                session=session,
            )
        )
        return self.operations[-1]

    def look(self, at: float, account: str, balance: int, version: int | None = None, **how: object) -> Operation:
        """A customer looks at a balance."""
        shown = {"account": account, "balance": balance} | ({} if version is None else {"version": version})
        return self.operation(at, journey="balance", result=shown, **how)

    def flow(self, since: float, until: float, *attempts: str, every: float = 0.1, **how: object) -> None:
        """Like operations one after the other, due in [since, until)."""
        for index in range(round((until - since) / every)):
            self.operation(since + index * every, *attempts, **how)

    def fault(
        self,
        at: float | None,
        *,
        kind: str = "kill",
        targets: Sequence[str] = ("ledger-db-1",),
        healed: float | None = None,
        effect_seen: bool = True,
        error: str = "",
    ) -> None:
        at_ns = None if at is None else ns(at)
        healed_ns = None if healed is None else ns(healed)
        self.faults.append(
            FaultRecord(
                fault=f"faults[{len(self.faults)}] {kind}",
                kind=kind,
                targets=tuple(targets),
                due_ns=at_ns or 0,
                injecting_ns=at_ns,
                injected_ns=at_ns,
                effect_seen=effect_seen and at is not None,
                healing_ns=healed_ns,
                healed_ns=healed_ns,
                error=error,
            )
        )

    def roles(self, at: float, **writes: bool | None) -> None:
        """A look at each member (`ledger_db_1=True`): primary if it takes writes, else standby; None means down."""
        for member, takes in writes.items():
            role = {True: "primary", False: "standby", None: "down"}[takes]
            self.samples.append(
                Sample(
                    probe="role",
                    subject=member.replace("_", "-"),
                    at_ns=ns(at),
                    values={"role": role, "accepts_writes": takes, "streaming": False, "detail": ""},
                )
            )

    def sample(self, at: float, probe: str, subject: str, **values: object) -> None:
        self.samples.append(Sample(probe=probe, subject=subject, at_ns=ns(at), values=values))

    def history(self, *, drain: float | None = None, **changes: object) -> History:
        """The finished run; `drain` is when the load ended, by default with the last due time."""
        operations = tuple(sorted(self.operations, key=lambda o: (o.due_ns, o.number)))
        count = len(operations)
        whole = History(
            phases={} if drain is None else {"drain": ns(drain)},
            operations=operations,
            faults=tuple(self.faults),
            samples=tuple(self.samples),
            load=LoadCounts(scheduled=count, sent=count, finished=count, drained=True),
            complete=True,
        )
        return replace(whole, **changes)


@dataclass
class Bank:
    """A ledger in the making: it books what it is told, also what a bank never should."""

    opening: dict[str, int] = field(default_factory=lambda: {"ada": 1000, "ben": 1000, "cid": 1000})
    lowest: int | None = 0
    transactions: list[tuple[str, str, dict[str, int]]] = field(default_factory=list)
    settled: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)

    def book(self, key: str, legs: Mapping[str, int]) -> None:
        self.transactions.append((f"t{len(self.transactions) + 1}", key, dict(legs)))

    def ledger(self) -> LedgerState:
        balance, version, postings = dict(self.opening), dict.fromkeys(self.opening, 0), []
        for transaction, key, legs in self.transactions:
            for account, amount in legs.items():
                balance[account] = balance.get(account, 0) + amount
                version[account] = version.get(account, 0) + 1
                postings.append(
                    Posting(
                        transaction=transaction,
                        key=key,
                        account=account,
                        version=version[account],
                        amount=amount,
                        balance_after=balance[account],
                    )
                )
        accounts = tuple(
            AccountState(account=account, kind="customer", balance=balance[account], version=version[account], lowest=self.lowest)
            for account in balance
        )
        return LedgerState(read_from="ledger-db-1", accounts=accounts, postings=tuple(postings))

    def final(self, ledger: LedgerState | None = None) -> FinalReads:
        """The final reads, fenced and equal; of *ledger* when a test has spoilt it by hand."""
        state = ledger or self.ledger()
        return FinalReads(settled=self.settled, open_transactions=0, first=state, second=state, digests=self.digests)

    def close(self, story: Story, ledger: LedgerState | None = None, **changes: object) -> History:
        """The finished run of *story* with these books."""
        return story.history(**{"opening": dict(self.opening), "final": self.final(ledger), **changes})


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.fixture
def bank() -> Bank:
    return Bank()
