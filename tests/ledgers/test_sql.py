"""Books in a database that is not the bank's: what its queries give, and what they must not give."""

import sqlite3
import threading
from contextlib import closing
from decimal import Decimal
from uuid import UUID

import pytest

from chaoskit.ledgers import SqlLedger
from chaoskit.model.errors import NotReady, UnreadableLedger, UsageError
from chaoskit.model.topology import AccountState, Evidence, Posting

SCHEMA = """
CREATE TABLE wallets (id TEXT PRIMARY KEY, cents INTEGER, revision INTEGER, floor INTEGER);
CREATE TABLE entries (booking TEXT, request TEXT, wallet TEXT, cents INTEGER, revision INTEGER, rest INTEGER);
CREATE TABLE requests (id TEXT PRIMARY KEY, status TEXT);
INSERT INTO wallets VALUES ('ada', 70, 1, 0), ('ben', 30, 1, NULL);
INSERT INTO entries VALUES ('b1', 'k1', 'ada', -30, 1, 70), ('b1', 'k1', 'ben', 30, 1, 30);
INSERT INTO requests VALUES ('k1', 'applied'), ('k2', 'refused');
"""
ACCOUNTS = "SELECT id AS account, cents AS balance, revision AS version, floor AS lowest FROM wallets"
POSTINGS = """
SELECT booking AS "transaction", request AS "key", wallet AS account, cents AS amount, revision AS version, rest AS balance_after
FROM entries
"""
KEYS = 'SELECT id AS "key", status AS state FROM requests'
CLOSE = "INSERT INTO requests VALUES (?, 'tombstone') ON CONFLICT DO NOTHING"
SOON_S = 0.05
"""For what fails: it is tried again until then."""


@pytest.fixture
def path(tmp_path):
    with closing(sqlite3.connect(tmp_path / "books.db")) as connection:
        connection.executescript(SCHEMA)
    return tmp_path / "books.db"


@pytest.fixture
def ledger(path):
    def make(accounts=ACCOUNTS, postings=POSTINGS, **more):
        return SqlLedger(lambda: sqlite3.connect(path, timeout=0.01), accounts=accounts, postings=postings, **more)

    return make


@pytest.fixture
def change(path):
    def carry_out(statement):
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(statement)

    return carry_out


def rows(*values, columns):
    """A query that gives these rows, without a table."""
    names = columns.split()
    selects = [" , ".join(f'{value} AS "{name}"' for value, name in zip(row, names, strict=True)) for row in values]
    return " UNION ALL ".join(f"SELECT {select}" for select in selects)


def test_everything_is_read_that_there_is(ledger):
    state = ledger(keys=KEYS, close=CLOSE, fence="SELECT 0", name="wallets-db").read(("k1",), timeout_s=5)
    assert state.read_from == "wallets-db"
    assert state.accounts == (
        AccountState(account="ada", kind="customer", balance=70, version=1, lowest=0),
        AccountState(account="ben", kind="customer", balance=30, version=1, lowest=None),
    )
    assert state.postings == (
        Posting(transaction="b1", key="k1", account="ada", version=1, amount=-30, balance_after=70),
        Posting(transaction="b1", key="k1", account="ben", version=1, amount=30, balance_after=30),
    )
    assert (state.lacks, state.keys) == (frozenset(), {})


@pytest.mark.parametrize(
    "accounts, postings, keys, lacks",
    [
        ("SELECT id AS account, cents AS balance FROM wallets", POSTINGS, "", {Evidence.ACCOUNT_VERSIONS}),
        ("", POSTINGS, "", {Evidence.BALANCES, Evidence.ACCOUNT_VERSIONS}),
        (
            ACCOUNTS,
            'SELECT wallet AS account, cents AS amount, request AS "key" FROM entries',
            "",
            {Evidence.VERSIONS, Evidence.BALANCES_AFTER},
        ),
        (
            ACCOUNTS,
            'SELECT wallet AS account, cents AS amount, booking AS "transaction" FROM entries',
            "",
            {Evidence.VERSIONS, Evidence.BALANCES_AFTER, Evidence.POSTING_KEYS, Evidence.KEYS},
        ),
        (ACCOUNTS, "", KEYS, {Evidence.POSTINGS, Evidence.VERSIONS, Evidence.BALANCES_AFTER, Evidence.POSTING_KEYS}),
    ],
)
def test_what_no_query_gives_is_lacking(ledger, accounts, postings, keys, lacks):
    state = ledger(accounts, postings, keys=keys).read(("k1", "k2", "k3"), timeout_s=5)
    assert state.lacks == lacks | {Evidence.CLOSED_KEYS, Evidence.FENCE}
    if Evidence.POSTINGS in lacks:
        assert state.keys == {"k1": "applied", "k2": "refused", "k3": "absent"}


def test_without_a_transaction_the_key_says_what_belongs_together(ledger):
    state = ledger(postings='SELECT wallet AS account, cents AS amount, request AS "key" FROM entries').read(timeout_s=5)
    assert {(posting.transaction, posting.key) for posting in state.postings} == {("k1", "k1")}


def test_a_ledger_needs_a_query():
    with pytest.raises(UsageError, match="no query was given"):
        SqlLedger(lambda: sqlite3.connect(":memory:"))


@pytest.mark.parametrize(
    "digits, given, expected",
    [
        (None, "1250", 1250),
        (None, "'1250'", 1250),
        (2, "12", 1200),
        (2, "'12.50'", 1250),
        (2, "'-0.01'", -1),
        (2, "'12.500'", 1250),
        (2, "'123456789012345678901234567890123.45'", 12345678901234567890123456789012345),
        (0, "12", 12),
    ],
)
def test_amounts_are_exact(ledger, digits, given, expected):
    accounts = rows(("'ada'", given), columns="account balance")
    (account,) = ledger(accounts, "", minor_digits=digits).read(timeout_s=5).accounts
    assert account.balance == expected


class Driver:
    """A connection that gives what it was told: for values that SQLite does not know."""

    def __init__(self, columns, *values):
        self.description = [(name,) for name in columns.split()]
        self._values = values

    def cursor(self):
        return self

    def execute(self, statement):
        assert statement

    def fetchall(self):
        return self._values

    def rollback(self):
        pass

    commit = close = rollback


@pytest.mark.parametrize(
    "value, digits, expected", [(Decimal("12.50"), 2, 1250), (Decimal(1250), None, 1250), (Decimal("1E+2"), 2, 10_000)]
)
def test_decimals_of_other_drivers_are_exact_too(value, digits, expected):
    ledger = SqlLedger(lambda: Driver("ACCOUNT BALANCE", ("ada", value)), accounts="…", minor_digits=digits)
    assert ledger.read(timeout_s=5).accounts[0].balance == expected


def test_names_may_be_numbers_and_uuids():
    booking = UUID(int=7)
    ledger = SqlLedger(lambda: Driver("transaction account amount", (booking, 17, 5)), postings="…")
    (posting,) = ledger.read(timeout_s=5).postings
    assert (posting.transaction, posting.account) == (str(booking), "17")


BROKEN = {
    "a column is missing": (
        {"accounts": "SELECT cents AS balance FROM wallets"},
        "query accounts: no column 'account' was given; expected columns of account, kind, balance, version, lowest: name them with AS",
    ),
    "a column is misspelt": (
        {"accounts": "SELECT id AS account, cents AS balence FROM wallets"},
        "query accounts: a column 'balence' that means nothing here (did you mean 'balance'?) was given",
    ),
    "several things are wrong with the columns": (
        {"postings": 'SELECT 1 AS amount, 2 AS amount, 3 AS "key"'},
        "query postings: no column 'account' and column 'amount' twice was given",
    ),
    "nothing says what belongs together": (
        {"postings": "SELECT wallet AS account, cents AS amount FROM entries"},
        "query postings: neither a key nor a transaction was given; expected what tells which rows belong together",
    ),
    "it is no query": ({"accounts": "CREATE TABLE x (y)"}, "query accounts: it gives no rows; expected a SELECT"),
    "an account is there twice": (
        {"accounts": rows(("'ada'", 1), ("'ben'", 1), ("'ada'", 2), columns="account balance")},
        "query accounts, column account, row 3: 'ada' twice was given in ('ada', 2); expected each account once: mend the query",
    ),
    "a name is NULL": (
        {"accounts": rows(("NULL", 1), columns="account balance")},
        "query accounts, column account, row 1: NULL was given in (None, 1); expected a value in every row: mend the query",
    ),
    "a balance is NULL": (
        {"accounts": rows(("'a'", "NULL"), columns="account balance")},
        "query accounts, column balance, row 1: NULL",
    ),
    "a key is NULL": (
        {"postings": rows(("'a'", 1, "NULL"), columns="account amount key")},
        "query postings, column key, row 1: NULL was given",
    ),
    "a version is NULL": (
        {"postings": rows(("'a'", 1, "'k'", 1), ("'a'", 1, "'k'", "NULL"), columns="account amount key version")},
        "query postings, column version, row 2: NULL was given in ('a', 1, 'k', None)",
    ),
    "a name is a binary fraction": (
        {"accounts": rows((1.5, 1), columns="account balance")},
        "query accounts, column account, row 1: 1.5 was given in (1.5, 1); expected text",
    ),
    "an amount is a binary fraction": (
        {"postings": rows(("'a'", 12.5, "'k'"), columns="account amount key"), "minor_digits": 2},
        "the binary fraction 12.5 was given in ('a', 12.5, 'k'); expected an exact number with at most 2 decimals; cast it to text",
    ),
    "an amount has decimals that nobody spoke of": (
        {"postings": rows(("'a'", "'12.50'", "'k'"), columns="account amount key")},
        "query postings, column amount, row 1: '12.50' was given in ('a', '12.50', 'k'); expected whole minor units",
    ),
    "an amount has more decimals than the currency": (
        {"postings": rows(("'a'", "'0.005'", "'k'"), columns="account amount key"), "minor_digits": 2},
        "'0.005' was given",
    ),
    "an amount is no number": ({"postings": rows(("'a'", "'much'", "'k'"), columns="account amount key")}, "'much' was given"),
    "an amount is infinite": (
        {"postings": rows(("'a'", "'Infinity'", "'k'"), columns="account amount key")},
        "'Infinity' was given",
    ),
    "an amount is NaN": ({"postings": rows(("'a'", "'NaN'", "'k'"), columns="account amount key")}, "'NaN' was given"),
    "a version is half": (
        {"postings": rows(("'a'", 1, "'k'", "'1.5'"), columns="account amount key version")},
        "query postings, column version, row 1: '1.5' was given in ('a', 1, 'k', '1.5'); expected a whole number",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_makes_no_sense_is_an_error_with_its_place(ledger, case):
    changes, message = BROKEN[case]
    with pytest.raises(UnreadableLedger) as caught:
        ledger(**changes).read(timeout_s=5)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "keys, message",
    [
        (
            rows(("'k1'", "'done'"), columns="key state"),
            "query keys, column state, row 1: 'done' was given in ('k1', 'done'); expected one of applied, refused, tombstone, open",
        ),
        (
            rows(("'k1'", "'open'"), ("'k1'", "'applied'"), columns="key state"),
            "query keys, column key, row 2: 'k1' as open and as applied was given in ('k1', 'applied'); expected one state for each key",
        ),
        (rows(("'k1'",), columns="key"), "query keys: no column 'state' was given"),
    ],
)
def test_keys_that_make_no_sense_are_an_error_too(ledger, keys, message):
    for call in (lambda it: it.settle(("k1",), timeout_s=5), lambda it: it.read(("k1",), timeout_s=5)):
        with pytest.raises(UnreadableLedger) as caught:
            call(ledger(postings="", keys=keys))
        assert message in str(caught.value)


def test_a_query_that_the_database_does_not_take_is_named(ledger):
    """SQLite does not tell a table that is missing from one that is locked, so it is tried until the time is up."""
    with pytest.raises(NotReady, match=r"ledger: could not read within 0.05 s: OperationalError: .*entrees in query postings"):
        ledger(postings="SELECT * FROM entrees").read(timeout_s=SOON_S)


class ProgrammingError(Exception):
    """What a driver raises that can tell."""


def test_a_driver_that_can_tell_a_wrong_query_is_not_waited_for():
    class Wrong(Driver):
        def execute(self, statement):
            raise ProgrammingError("syntax error at or near FORM")

    with pytest.raises(UnreadableLedger, match="query accounts: the database does not take it: syntax error at or near FORM; mend"):
        SqlLedger(lambda: Wrong("account"), accounts="SELECT FORM").read(timeout_s=60)


def test_a_database_that_is_away_is_waited_for(path):
    tries = []

    def connect():
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionRefusedError("nobody is there")
        return sqlite3.connect(path)

    assert SqlLedger(connect, accounts=ACCOUNTS).read(timeout_s=10).accounts
    assert len(tries) == 3
    with pytest.raises(NotReady, match=r"wallets: could not read within 0.05 s: ConnectionRefusedError: nobody is there"):
        SqlLedger(_refused, accounts=ACCOUNTS, name="wallets").read(timeout_s=SOON_S)


def _refused():
    raise ConnectionRefusedError("nobody is there")


def test_a_driver_that_hangs_is_not_waited_for_longer():
    release = threading.Event()
    ledger = SqlLedger(lambda: release.wait(30), accounts=ACCOUNTS)
    try:
        with pytest.raises(NotReady, match=r"could not read within 0.05 s: no answer at all"):
            ledger.read(timeout_s=SOON_S)
    finally:
        release.set()


def test_a_key_that_is_closed_is_definite(ledger, path):
    it = ledger(keys=KEYS, close=CLOSE)
    assert it.settle((), timeout_s=5) == {}
    many = tuple(f"never-{number}" for number in range(1200))
    assert it.settle(("k1", "k2", *many), timeout_s=30) == {"k1": "applied", "k2": "refused", **dict.fromkeys(many, "tombstone")}
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM requests WHERE status = 'tombstone'").fetchone() == (1200,)


def test_without_a_query_for_keys_postings_say_it(ledger):
    assert ledger(close=CLOSE).settle(("k1", "k3"), timeout_s=5) == {"k1": "applied", "k3": "tombstone"}


def test_without_a_statement_that_closes_keys_what_may_still_come_is_left_out(ledger):
    assert ledger().settle(("k1", "k3"), timeout_s=5) == {"k1": "applied"}
    assert ledger(keys=KEYS).settle(("k1", "k2", "k3"), timeout_s=5) == {"k1": "applied", "k2": "refused"}


def test_a_key_that_stays_open_is_not_definite(ledger, change):
    change("INSERT INTO requests VALUES ('k3', 'open')")
    assert ledger(keys=KEYS, close=CLOSE).settle(("k1", "k3"), timeout_s=5) == {"k1": "applied"}
    with pytest.raises(NotReady, match="1 keys are still open, such as 'k3'"):
        ledger(postings="", keys=KEYS).read(("k1", "k3"), timeout_s=SOON_S)


def test_a_statement_that_closes_something_else_closes_nothing(ledger):
    """The query for keys does not show what was closed, so nobody knows whether it was."""
    it = ledger(keys=KEYS, close="UPDATE wallets SET floor = floor WHERE id = ?")
    assert it.settle(("k3",), timeout_s=5) == {}


def test_what_was_closed_and_can_be_seen_nowhere_may_have_been_applied_before(ledger):
    it = ledger(postings='SELECT wallet AS account, cents AS amount, booking AS "transaction" FROM entries', close=CLOSE)
    assert it.settle(("k1", "k3"), timeout_s=5) == {}


def test_the_fence_is_a_number_or_a_statement_that_needs_everybody_to_be_done(ledger, path):
    assert ledger().open_transactions(timeout_s=5) is None
    assert ledger(fence="SELECT 2").open_transactions(timeout_s=5) == 2
    it = ledger(fence="BEGIN IMMEDIATE")
    assert it.open_transactions(timeout_s=5) == 0
    with closing(sqlite3.connect(path, isolation_level=None)) as somebody:
        somebody.execute("BEGIN IMMEDIATE")
        with pytest.raises(NotReady, match=r"could not count open transactions within 0.05 s: OperationalError: .* in query fence"):
            it.open_transactions(timeout_s=SOON_S)
    assert it.open_transactions(timeout_s=5) == 0


@pytest.mark.parametrize(
    "fence", ["SELECT 1 WHERE false", "SELECT 1, 2", "SELECT 1 UNION SELECT 2", "SELECT 'none'", "SELECT NULL"]
)
def test_a_fence_that_is_no_number_is_an_error(ledger, fence):
    with pytest.raises(UnreadableLedger, match="query fence"):
        ledger(fence=fence).open_transactions(timeout_s=5)


def test_reading_begins_as_it_is_told_and_leaves_nothing_open(ledger, change):
    assert ledger(begin="BEGIN").read(timeout_s=5).accounts
    change("UPDATE wallets SET cents = cents")
    with pytest.raises(NotReady, match="in query begin"):
        ledger(begin="BEGINN").read(timeout_s=SOON_S)


def test_copies_are_compared_whatever_order_they_read_in(ledger, path, change, tmp_path):
    assert ledger().digests(timeout_s=5) == {}
    other = tmp_path / "other.db"
    other.write_bytes(path.read_bytes())
    with closing(sqlite3.connect(other)) as connection, connection:
        connection.execute("CREATE TABLE turned AS SELECT * FROM entries ORDER BY wallet DESC")
        connection.execute("DELETE FROM entries")
        connection.execute("INSERT INTO entries SELECT * FROM turned")
    it = ledger(copies={"standby": lambda: sqlite3.connect(other), "gone": _refused}, name="primary")
    digests = it.digests(timeout_s=SOON_S)
    assert digests.keys() == {"primary", "standby"}
    assert digests["primary"] == digests["standby"]
    change("UPDATE entries SET cents = 31 WHERE wallet = 'ben'")
    assert len(set(it.digests(timeout_s=SOON_S).values())) == 2
    with pytest.raises(NotReady, match="nobody is there"):
        SqlLedger(_refused, accounts=ACCOUNTS, copies={"other": _refused}).digests(timeout_s=SOON_S)
