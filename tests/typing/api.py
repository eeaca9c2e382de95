"""The public API as other teams use it. Never run: mypy and pyright read it, both strictly."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, assert_type

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

import chaoskit
from chaoskit import Chaos, documents
from chaoskit.checkers.availability import Availability
from chaoskit.checkers.error_rate import ErrorRate
from chaoskit.environments.containers import ContainerEnvironment
from chaoskit.faults.kill import Kill
from chaoskit.faults.latency import Latency
from chaoskit.faults.partition import Partition
from chaoskit.ledgers import SqlLedger, StatusLedger
from chaoskit.model import units
from chaoskit.model.errors import ChaoskitError, InvalidDocument
from chaoskit.model.experiment import EnvironmentChoice, Experiment, Injection, LoadShape
from chaoskit.model.history import History
from chaoskit.model.journey import Habit, Visit
from chaoskit.model.policy import Limits
from chaoskit.model.protocols import Aim, Checker, Environment, Fault, LoadControl, Sign, Stage, Undo
from chaoskit.model.topology import Currency, Evidence, Ledger, LedgerState
from chaoskit.model.verdict import Finding, Result, Verdict
from chaoskit.pytesting import environment_fixture, running
from chaoskit.registry import Part, Registry
from chaoskit.strategies import (
    Confirmation,
    Found,
    LiveMachine,
    Search,
    as_document,
    confirm,
    explore,
    faults,
    loads,
    register_profile,
    schedules,
)
from chaoskit.testing import FakeEnvironment, FakeLedger, LedgerContract, injected

# A fault and a check of their own: found by shape.


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    kind: ClassVar[str] = "restart"
    needs = frozenset({"kill"})

    service: units.Service
    after_s: units.Seconds = 1.0

    def aim(self, stage: Stage) -> Aim:
        target = stage.environment.resolve(self.service)
        return Aim(targets=(target,), undo=(Undo(verb="start", target=target),))

    def inject(self, stage: Stage, aim: Aim) -> None:
        stage.environment.service(aim.targets[0]).kill()

    def observe(self, stage: Stage, aim: Aim) -> Sign:
        return Sign(present=not stage.environment.service(aim.targets[0]).is_running(), evidence=f"{aim.targets[0]} was looked at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    name: ClassVar[str] = "answered"

    def check(self, history: History) -> tuple[Finding, ...]:
        silent = [operation for operation in history.operations if operation.end_ns is None]
        return (Finding(checker=self.name, outcome=Result.FAILED if silent else Result.PASSED, summary=f"{len(silent)} are open"),)


every_fault: tuple[Fault, ...] = (Kill(service="db"), Restart(service="db"), Partition(between=("api", "db"), direction="answers"))
every_check: tuple[Checker, ...] = (Answered(), Availability(journey="pay", at_least=0.99))
registry = Registry([Part(kind="faults", name="restart", target=Restart), Part(kind="checks", name="answered", target=Answered)])


# An experiment built by hand, and the same from documents.


def by_hand() -> Experiment:
    return Experiment(
        title="Payments survive a restart of the database",
        environment=EnvironmentChoice(use="payments", options={"size": "small"}),
        load=LoadShape(arrivals_per_s=20, duration_s=30, mix={"pay": 3, "look": 1}),
        faults=(Injection(fault=Restart(service="db"), at_s=10, for_s=5),),
        expect=every_check,
        abort_if=(ErrorRate(journey="pay", above=0.99, for_s=10),),
        limits=Limits(services=1, share_of_group=0.5, for_s=10.0),
    )


def from_documents(path: Path, environment: Environment) -> list[str]:
    try:
        entries = documents.expand(path, registry=registry, variables={"RATE": "20"})
    except InvalidDocument as error:
        return [f"{problem.file}:{problem.line}:{problem.column}: {problem.message}" for problem in error.problems]
    assert_type(entries, tuple[Experiment, ...])
    one = documents.read(path, registry=registry, entry=entries[0].entry, topology=environment.topology)
    bound = documents.bind(one, environment.topology, registry=registry)
    assert_type(bound, Experiment)
    return [*bound.marks, bound.environment.fixture, bound.entry]


# A journey that heeds a habit.


async def pay(visit: Visit) -> None:
    payment = visit.operation(legs={"ada": -5, "ben": 5}, key=visit.intent, session="ada")
    answer = await payment.attempt("POST", "/payments", body={"amount": 5}, timeout_s=2.0)
    if visit.habit is Habit.LATE_RETRY and answer.status == 200:
        await payment.attempt("POST", "/payments", body={"amount": 5}, timeout_s=2.0, habit=visit.habit)


# Without pytest.


def script(runs: Path) -> int:
    with Chaos(runs=runs, seed=7, registry=registry, allow=("production",)) as chaos:
        verdict = chaos.run("shop.chaos.yaml", on="process", options={"size": "large"}, entry="for=5s")
        assert_type(chaos.entries("shop.chaos.yaml", variables={"RATE": "5/s"}), tuple[str, ...])
        assert_type(verdict, Verdict)
        try:
            chaos.check(verdict)
        except chaoskit.NotPassed as error:
            print(error.verdict.result, error.folder / "verdict.json")
        except (chaoskit.HarnessFailed, ChaoskitError) as error:
            print(error)
        for each, folder in chaos.verdicts:
            print(each.rpo_amount, each.outage_s.get("pay", 0.0) > 1.0, folder.name)
    return verdict.result.exit_code


# With pytest.


@environment_fixture
def small() -> FakeEnvironment:
    return FakeEnvironment()


@environment_fixture(scope="module")
def payments(tmp_path_factory: pytest.TempPathFactory) -> ContainerEnvironment:
    return ContainerEnvironment(logs=tmp_path_factory.mktemp("logs"))


@pytest.fixture
def fake() -> Iterator[FakeEnvironment]:
    with running(FakeEnvironment()) as environment:
        assert_type(environment, FakeEnvironment)
        yield environment


def test_experiment(chaos: Chaos, fake: FakeEnvironment) -> None:
    assert chaos.check(chaos.run(by_hand(), fake)).result is Result.PASSED


def test_by_hand(chaos: Chaos) -> None:
    with chaos.load(arrivals_per_s=20, mix={"pay": 1}, at_most_s=60, habits={Habit.DOUBLE_TAP: 0.1}) as customers:
        assert_type(customers, LoadControl)
        customers.surge(2.0)
        with chaos.fault(Latency(between=("api", "db"), add_s=0.2)) as sign:
            assert_type(sign, Sign)
            assert sign.present, sign.evidence
        assert_type(chaos.history(), History)
    assert_type(chaos.verify(*every_check), Verdict)


def test_without_a_run(fake: FakeEnvironment) -> None:
    with injected(Kill(service="back"), fake) as sign:
        assert sign.present


# With Hypothesis.

live = register_profile("chaos", max_examples=5)
SHAPE = LoadShape(arrivals_per_s=20, duration_s=20, mix={"pay": 1})


def search_of(chaos: Chaos) -> Search[tuple[Injection, ...]]:
    def run(schedule: tuple[Injection, ...]) -> Verdict:
        return chaos.run(
            Experiment(
                title="drawn", environment=EnvironmentChoice(use="payments"), load=SHAPE, faults=schedule, expect=every_check
            )
        )

    return Search(run, at_most_s=600, times=3)


def test_search(chaos: Chaos, fake: FakeEnvironment) -> None:
    search = search_of(chaos)

    @settings(live)
    @given(
        schedule=schedules(fake, load=SHAPE, at_most=3, limits=Limits(services=1)),
        shape=loads(fake),
        fault=faults(fake, kinds=["kill"]),
    )
    def searched(schedule: tuple[Injection, ...], shape: LoadShape, fault: Fault) -> None:
        print(shape.duration_s, fault.kind)
        search.check(schedule)

    try:
        searched()
    except Found as found:
        assert_type(found.confirmation, Confirmation)
        print(as_document(by_hand().faults), found.verdict.reproduce, f"{found.confirmation.failed} of {found.confirmation.times}")


class Shop(LiveMachine):
    def acquire(self) -> None:
        self.chaos = self.enter(Chaos(FakeEnvironment()))
        assert_type(self.chaos, Chaos)

    @rule(service=st.sampled_from(("front", "back")))
    def kill(self, service: str) -> None:
        with self.chaos.fault(Kill(service=service)):
            pass

    def judge(self) -> Verdict | None:
        return self.chaos.verify(Answered())


def test_machine(chaos: Chaos) -> None:
    explore(Shop, settings=live)
    print(confirm(lambda: chaos.run(by_hand()), times=5))


# Ledgers: of any database, of a service, and of one's own.


def books_of(address: Callable[[str, str], tuple[str, int]]) -> Ledger:
    host, port = address("payments-db", "5432")
    return SqlLedger(
        lambda: psycopg.connect(host=host, port=port),
        accounts="SELECT iban AS account, balance FROM accounts",
        copies={"archive": lambda: sqlite3.connect("archive.db")},
        minor_digits=2,
    )


def word_of(address: Callable[[str, str], tuple[str, int]]) -> Ledger:
    host, port = address("payments", "8080")
    return StatusLedger(f"http://{host}:{port}/payments/{{key}}", field="state", words={"done": "applied"})


class OwnLedger:
    def settle(self, keys: tuple[str, ...], *, timeout_s: float) -> Mapping[str, str]:
        return dict.fromkeys(keys, "tombstone") if timeout_s else {}

    def open_transactions(self, *, timeout_s: float) -> int | None:
        return None if timeout_s else 0

    def read(self, keys: tuple[str, ...] = (), *, timeout_s: float) -> LedgerState:
        lacks = frozenset(Evidence) - {Evidence.KEYS}
        return LedgerState(read_from=f"{timeout_s}", accounts=(), postings=(), keys=dict.fromkeys(keys, "applied"), lacks=lacks)

    def digests(self, *, timeout_s: float) -> Mapping[str, str]:
        return {"one": f"{timeout_s}"}


def declared(environment: ContainerEnvironment) -> None:
    environment.books(books_of, currency=Currency(code="£", minor_digits=2))
    environment.books(lambda _address: OwnLedger())
    ledger: Ledger | None = environment.ledger()
    assert ledger is not None


class TestOwnLedger(LedgerContract):
    @pytest.fixture
    def ledger(self) -> Ledger:
        return FakeLedger()
