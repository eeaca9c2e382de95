"""The bank's own ledger, and the same database read by queries: both are held to the same behaviour on a real PostgreSQL."""

import itertools

import psycopg
import pytest

from chaoskit.bank import schema
from chaoskit.bank.ledger import ACCOUNTS, POSTINGS, BankLedger
from chaoskit.bank.services.bookkeeper import Bookkeeper
from chaoskit.ledgers import SqlLedger
from chaoskit.model.errors import NotReady, UnreadableLedger
from chaoskit.testing import LedgerContract

NUMBERS = itertools.count(1)
CLOSE = "INSERT INTO operation_keys (key, request_hash, status) VALUES (%s, '', 'tombstone') ON CONFLICT (key) DO NOTHING"
FENCES = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bank-core' AND xact_start IS NOT NULL",
    "LOCK TABLE postings IN SHARE MODE",
)


@pytest.fixture
def books(postgres):
    """The address of a database with the bank's tables and two accounts."""
    where = f"host={postgres.host} port={postgres.port} user={postgres.user}"
    name = f"books_{next(NUMBERS)}"
    with psycopg.connect(f"{where} dbname=postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    with psycopg.connect(f"{where} dbname={name}") as connection:
        connection.execute(schema.TABLES)
        for function in Bookkeeper.functions:
            connection.execute(function)
        for account, balance in (("ada", 100), ("ben", 0)):
            connection.execute(schema.ADD_ACCOUNT, (account, None, "customer", balance, 0))
    return postgres, name


@pytest.fixture
def pay(books):
    """One payment at the database, as the core makes it."""
    postgres, name = books

    def take(key):
        with psycopg.connect(host=postgres.host, port=postgres.port, user=postgres.user, dbname=name) as connection:
            connection.execute(schema.CALL_MOVE_MONEY, (key, "", "transfer", "ada", "ben", 10, None))

    return take


class TestBank(LedgerContract):
    @pytest.fixture
    def ledger(self, books):
        postgres, name = books
        return BankLedger({"solo": (postgres.host, postgres.port)}, user=postgres.user, name=name)


@pytest.mark.parametrize("fence", FENCES)
class TestBankByQueries(LedgerContract):
    @pytest.fixture
    def ledger(self, books, fence):
        postgres, name = books

        def connect():
            return psycopg.connect(host=postgres.host, port=postgres.port, user=postgres.user, dbname=name)

        return SqlLedger(
            connect,
            accounts=ACCOUNTS,
            postings=POSTINGS,
            keys="SELECT key, status AS state FROM operation_keys",
            close=CLOSE,
            fence=fence,
            begin="SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
            copies={"other": connect},
        )


def test_both_read_the_same(books, pay):
    postgres, name = books
    pay("k1")
    where = {"host": postgres.host, "port": postgres.port, "user": postgres.user, "dbname": name}
    queried = SqlLedger(lambda: psycopg.connect(**where), accounts=ACCOUNTS, postings=POSTINGS)
    own = BankLedger({"solo": (postgres.host, postgres.port)}, user=postgres.user, name=name)
    one, other = own.read(timeout_s=5), queried.read(timeout_s=5)
    assert (one.accounts, one.postings) == (other.accounts, other.postings)


def test_the_fence_waits_for_a_payment_that_is_under_way(books):
    postgres, name = books
    where = {"host": postgres.host, "port": postgres.port, "user": postgres.user, "dbname": name}
    lock = SqlLedger(
        lambda: psycopg.connect(**where, options="-c lock_timeout=20ms"),
        postings=POSTINGS,
        fence="LOCK TABLE postings IN SHARE MODE",
    )
    with psycopg.connect(**where) as under_way:
        under_way.execute("INSERT INTO operation_keys (key, request_hash, status) VALUES ('k', '', 'open')")
        under_way.execute("INSERT INTO transactions (transaction, key, kind) VALUES (gen_random_uuid(), 'k', 'transfer')")
        under_way.execute(
            "INSERT INTO postings (transaction, key, account, version, amount, balance_after) "
            "SELECT transaction, key, 'ada', 1, 0, 100 FROM transactions"
        )
        with pytest.raises(NotReady, match=r"could not count open transactions within 0.1 s: LockNotAvailable: .* in query fence"):
            lock.open_transactions(timeout_s=0.1)
        under_way.rollback()
    assert lock.open_transactions(timeout_s=5) == 0


def test_a_wrong_query_is_not_waited_for(books):
    postgres, name = books
    connect = {"host": postgres.host, "port": postgres.port, "user": postgres.user, "dbname": name}
    ledger = SqlLedger(lambda: psycopg.connect(**connect), postings="SELECT * FROM postins")
    with pytest.raises(UnreadableLedger, match='query postings: the database does not take it: relation "postins" does not exist'):
        ledger.read(timeout_s=60)
