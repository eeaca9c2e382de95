"""The same behaviour of the fake, of a database by queries, and of a service that is asked about keys."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from chaoskit.ledgers import SqlLedger, StatusLedger
from chaoskit.model.topology import AccountState, LedgerState, Posting
from chaoskit.testing import FakeLedger, LedgerContract

TRANSFERS = """
CREATE TABLE transfers (id INTEGER PRIMARY KEY, request TEXT UNIQUE, source TEXT, target TEXT, amount TEXT, state TEXT);
CREATE TABLE accounts (id TEXT PRIMARY KEY, balance TEXT);
INSERT INTO accounts VALUES ('ada', '100.00'), ('ben', '0.00');
"""
ACCOUNTS = "SELECT id AS account, balance FROM accounts"
POSTINGS = """
SELECT id AS "transaction", request AS "key", source AS account, '-' || amount AS amount FROM transfers WHERE state = 'done'
UNION ALL SELECT id, request, target, amount FROM transfers WHERE state = 'done'
"""
CLOSE = "INSERT INTO transfers (request, state) VALUES (?, 'barred') ON CONFLICT DO NOTHING"
START = {"ada": 100, "ben": 0}


class TestFake(LedgerContract):
    @pytest.fixture
    def ledger(self):
        return FakeLedger(_state({}))

    @pytest.fixture
    def pay(self, ledger):
        paid = {}

        def take(key):
            if key not in ledger.settled:
                paid.setdefault(key, 10)
            ledger.states[-1] = _state(paid)

        return take


class TestTransfersInOneRow(LedgerContract):
    """A schema with one row a transfer, amounts as decimals, no versions, and a key that is unique."""

    @pytest.fixture
    def path(self, tmp_path):
        with closing(sqlite3.connect(tmp_path / "books.db")) as connection:
            connection.executescript(TRANSFERS)
        return tmp_path / "books.db"

    @pytest.fixture
    def ledger(self, path):
        return SqlLedger(
            lambda: sqlite3.connect(path, timeout=1),
            accounts=ACCOUNTS,
            postings=POSTINGS,
            close=CLOSE,
            fence="BEGIN IMMEDIATE",
            begin="BEGIN",
            minor_digits=2,
        )

    @pytest.fixture
    def pay(self, path):
        def take(key):
            with closing(sqlite3.connect(path, timeout=1)) as connection, connection:
                row = (key, "ada", "ben", "12.50")
                insert = "INSERT INTO transfers (request, source, target, amount, state) VALUES (?, ?, ?, ?, 'done')"
                if connection.execute(f"{insert} ON CONFLICT DO NOTHING", row).rowcount:
                    for account, sign in (("ada", "-"), ("ben", "+")):
                        change = f"UPDATE accounts SET balance = printf('%.2f', balance {sign} 12.5) WHERE id = ?"
                        connection.execute(change, (account,))

        return take


class TestKeysInATableOfTheirOwn(LedgerContract):
    """Nothing but a table that says what became of each request."""

    @pytest.fixture
    def path(self, tmp_path):
        with closing(sqlite3.connect(tmp_path / "books.db")) as connection:
            connection.execute("CREATE TABLE requests (id TEXT PRIMARY KEY, state TEXT)")
        return tmp_path / "books.db"

    @pytest.fixture
    def ledger(self, path):
        return SqlLedger(lambda: sqlite3.connect(path, timeout=1), keys='SELECT id AS "key", state FROM requests')

    @pytest.fixture
    def pay(self, path):
        def take(key):
            with closing(sqlite3.connect(path, timeout=1)) as connection, connection:
                connection.execute("INSERT INTO requests VALUES (?, 'applied')", (key,))

        return take


class TestStatus(LedgerContract):
    @pytest.fixture
    def ledger(self, service):
        return StatusLedger(service.url, field="payment.state", words={"settled": "applied"})

    @pytest.fixture
    def pay(self, service):
        return lambda key: service.says(**{key: "settled"})


class TestStatusThatCloses(LedgerContract):
    @pytest.fixture
    def ledger(self, service):
        words = {"settled": "applied", "cancelled": "tombstone"}
        return StatusLedger(service.url, field="payment.state", words=words, close=("DELETE", service.url))

    @pytest.fixture
    def pay(self, service):
        return lambda key: service.answers.setdefault(key, (200, {"payment": {"state": "settled"}}))


class Forgetful(FakeLedger):
    """Says of everything that it is closed."""

    def settle(self, keys, *, timeout_s):
        return dict.fromkeys(keys, "tombstone")


class Boastful(FakeLedger):
    """Says that it has versions, and has none."""

    def read(self, keys=(), *, timeout_s):
        state = super().read(keys, timeout_s=timeout_s)
        return replace(state, postings=tuple(replace(one, version=0) for one in state.postings))


@pytest.mark.parametrize(
    "kind, check",
    [
        (Forgetful, "test_settling_says_what_was_applied_and_is_silent_about_what_may_still_come"),
        (Forgetful, "test_what_arrives_under_a_closed_key_has_no_effect"),
        (Boastful, "test_what_it_lacks_is_empty_and_what_it_has_is_not"),
        (Boastful, "test_versions_count_the_postings_of_each_account"),
    ],
)
def test_a_ledger_that_does_otherwise_does_not_pass(kind, check):
    ledger, paid = kind(_state({})), {}

    def pay(key):
        paid.setdefault(key, 10)
        ledger.states[-1] = _state(paid)

    with pytest.raises(AssertionError):
        getattr(LedgerContract(), check)(ledger, pay)


def _state(paid):
    moved = sum(paid.values())
    balances, versions = {"ada": START["ada"] - moved, "ben": START["ben"] + moved}, dict.fromkeys(START, 0)
    running, postings = dict(START), []
    for key, amount in paid.items():
        for account, change in (("ada", -amount), ("ben", amount)):
            versions[account] += 1
            running[account] += change
            postings.append(
                Posting(
                    transaction=f"t-{key}",
                    key=key,
                    account=account,
                    version=versions[account],
                    amount=change,
                    balance_after=running[account],
                )
            )
    accounts = tuple(
        AccountState(account=account, kind="customer", balance=balances[account], version=versions[account], lowest=0)
        for account in START
    )
    return LedgerState(read_from="fake", accounts=accounts, postings=tuple(postings))
