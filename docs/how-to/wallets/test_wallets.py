"""Is everybody's money right when answers get lost and the wallet service dies?"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import wallets

from chaoskit import Chaos
from chaoskit.checkers import money
from chaoskit.environments.process import ProcessEnvironment
from chaoskit.faults.kill import Kill
from chaoskit.faults.partition import Partition
from chaoskit.ledgers import SqlLedger, StatusLedger
from chaoskit.model.topology import Command, Currency, Ledger, LinkSpec, Place, Port, ServiceSpec, Topology, http_hello

ACCOUNTS = "SELECT owner AS account, balance, '0.00' AS lowest FROM wallets"
POSTINGS = """
SELECT id AS "transaction", request AS "key", payer AS account, '-' || amount AS amount FROM transfers WHERE state = 'done'
UNION ALL
SELECT id, request, payee, amount FROM transfers WHERE state = 'done'
"""
CLOSE = "INSERT INTO transfers (request, state) VALUES (?, 'barred') ON CONFLICT DO NOTHING"


def books_of(path: Path) -> Ledger:
    return SqlLedger(
        lambda: sqlite3.connect(path, timeout=0.5),
        accounts=ACCOUNTS,
        postings=POSTINGS,
        close=CLOSE,
        fence="BEGIN IMMEDIATE",
        begin="BEGIN",
        minor_digits=2,
    )


def test_the_books_are_right(running: Callable[..., Chaos], tmp_path: Path) -> None:
    with running(ledger=lambda _address: books_of(tmp_path / "wallets.db")) as chaos:
        break_it(chaos)
        chaos.verify(
            money.AckDurable(),
            money.AtMostOnce(),
            money.NoRefusedEffect(),
            money.NoPhantom(),
            money.Conserved(),
            money.BalanceIsLedger(),
        )


def test_the_service_keeps_its_word(running: Callable[..., Chaos]) -> None:
    """As for a service whose database is none of our business."""

    def ledger(address: Callable[[str, str], tuple[str, int]]) -> Ledger:
        host, port = address("wallets", "http")
        words = {"done": "applied", "barred": "tombstone"}
        return StatusLedger(f"http://{host}:{port}/transfers/{{key}}", field="state", words=words)

    with running(ledger=ledger) as chaos:
        break_it(chaos)
        chaos.verify(money.AckDurable(), money.NoRefusedEffect())


def break_it(chaos: Chaos) -> None:
    """Customers come while answers are lost, and while nobody is there."""
    with chaos.load(arrivals_per_s=10, mix={"transfer": 1}):
        time.sleep(2)
        with chaos.fault(Partition(between=("customers", "wallets"), direction="answers")):
            time.sleep(2)
        with chaos.fault(Kill(service="wallets")):
            time.sleep(1)
        time.sleep(4)  # who asked again was served: nothing may be under way when the books are read


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Callable[..., Chaos]]:
    """A function that starts the service, with that ledger; it is ended after the test."""
    started: list[ProcessEnvironment] = []

    def start(*, ledger: Callable[[Callable[[str, str], tuple[str, int]]], Ledger]) -> Chaos:
        topology = Topology(
            name="wallets",
            services=(ServiceSpec(name="wallets", ports=(Port("http", http_hello()),), command=command),),
            links=(LinkSpec(client="customers", service="wallets", ports=("http",)),),
            entry=("wallets", "http"),
            journeys="wallets_journeys:journeys",
            journey_names=("transfer",),
            ledger=ledger,
            currency=Currency(code="£", minor_digits=2),
        )
        environment = ProcessEnvironment(topology, seed=1, options={}, logs=tmp_path / "logs")
        started.append(environment)
        environment.up(is_stopping=lambda: False, say=print)
        return Chaos(environment, runs=Path(os.environ.get("RUNS", tmp_path / "runs")), title="test_wallets.py")

    def command(place: Place) -> Command:
        words = (place.program("python"), wallets.__file__, *place.own("http"), tmp_path / "wallets.db")
        return Command(argv=tuple(map(str, words)), variables={"FORGETS": os.environ.get("FORGETS", "")})

    yield start
    for environment in started:
        environment.down()
