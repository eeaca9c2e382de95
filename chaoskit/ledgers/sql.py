"""The books of any database, by queries. Any DB-API 2 driver will do; this imports none.

What no query gives is lacking, and the checks that need it say so: nothing is filled in. A row that makes no sense is an error that
names its query, column and row, since one wrong row can be a payment.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from chaoskit.ledgers.rows import STATES, Connection, Query, Table, fetch, run
from chaoskit.ledgers.waiting import LOOK_EVERY_S, attempted
from chaoskit.model.errors import NotReady, UnreadableLedger, UsageError
from chaoskit.model.topology import AccountState, Evidence, LedgerState, Posting

BATCH = 500
"""Keys that are closed in one transaction: each waits for a payment under way with that key, so a batch holds few locks."""

ACCOUNTS = {"account": True, "kind": False, "balance": False, "version": False, "lowest": False}
POSTINGS = {"account": True, "amount": True, "transaction": False, "key": False, "version": False, "balance_after": False}
KEYS = {"key": True, "state": True}

T = TypeVar("T")


class SqlLedger:
    """A `Ledger` in a database, told by queries. The columns of a query are found by name; all but the first few may be left out.

    *connect* gives a new DB-API 2 connection; each call makes its own and closes it. Give it short limits of its own.

    *accounts*: `account`, and if there are any `balance`, `version` (of the last posting), `kind` and `lowest` (NULL: no limit).
    *postings*: `account` and `amount` (signed), `key` or `transaction` or both, and if there are any `version` (the account's,
    from 1 without gaps) and `balance_after`. Transfers in one row are a `UNION ALL` of both sides.
    *keys*: `key` and `state`, one of `applied`, `refused`, `tombstone`, `open`; for services that keep their keys apart.
    *close* is a statement with one parameter, a key: whatever comes later under it must have no effect.
    *fence* is a query that gives the number of open transactions, or a statement without rows that can only be carried out when
    there are none, such as `LOCK TABLE transfers IN SHARE MODE` or `BEGIN IMMEDIATE`.
    *begin* comes first on the connection that reads, to make what it reads one snapshot. Without it, two equal reads show the same
    as long as postings are only ever added.
    *minor_digits*: amounts are in whole currency with so many decimals (`12.50`); None if they are whole minor units (`1250`).
    *copies* are other copies of the same ledger by name, to be compared with this one at the end.

    A version is proof of an order only if the account was locked when it was drawn. A serial number drawn at insert is not: leave
    it out. Columns and values are looked at whenever they are read; what is wrong with them raises `UnreadableLedger`.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        *,
        accounts: str = "",
        postings: str = "",
        keys: str = "",
        close: str = "",
        fence: str = "",
        begin: str = "",
        minor_digits: int | None = None,
        copies: Mapping[str, Callable[[], Connection]] | None = None,
        name: str = "ledger",
    ) -> None:
        if not (accounts or postings or keys):
            raise UsageError(f"{name}: no query was given, so there is nothing to read; give accounts, postings or keys")
        self._connect = connect
        self._accounts = Query(name="accounts", text=accounts, columns=ACCOUNTS)
        self._postings = Query(name="postings", text=postings, columns=POSTINGS)
        self._keys = Query(name="keys", text=keys, columns=KEYS)
        self._close, self._fence, self._begin = close, fence, begin
        self._minor_digits = minor_digits
        self._copies = dict(copies or {})
        self._name = name

    def settle(self, keys: tuple[str, ...], *, timeout_s: float) -> Mapping[str, str]:
        """Close each key, if there is a statement for it, and say what became of it. What can still come later is left out."""
        if not keys:
            return {}

        def work(connection: Connection) -> dict[str, str]:
            if self._close:
                for at in range(0, len(keys), BATCH):
                    for key in keys[at : at + BATCH]:
                        run(connection, "close", self._close, (key,))
                    connection.commit()
            state = self._state(connection)
            said = self._said(connection)
            posted = set() if Evidence.POSTING_KEYS in state.lacks else state.applied_keys
            # What was closed and is nowhere is barred, but only if it would be seen somewhere.
            is_seen = Evidence.POSTING_KEYS not in state.lacks and not self._keys.text
            silent = "tombstone" if self._close and is_seen else "open"
            found = {key: said.get(key, "applied" if key in posted else silent) for key in keys}
            return {key: word for key, word in found.items() if word != "open"}

        return self._on(self._connect, work, doing="settle keys", timeout_s=timeout_s)

    def open_transactions(self, *, timeout_s: float) -> int | None:
        """What the fence says: the number that its query gives, or 0 when its statement could be carried out. None without one."""
        if not self._fence:
            return None

        def work(connection: Connection) -> int:
            found = run(connection, "fence", self._fence)
            if found is None:
                return 0
            columns, rows = found
            table = Table(query="fence", columns=columns, rows=rows)
            if len(rows) != 1 or len(columns) != 1:
                raise table.strange(f"{len(rows)} rows of {len(columns)} columns", "one row with one number, or no rows at all")
            return table.whole(0, columns[0])

        return self._on(self._connect, work, doing="count open transactions", timeout_s=timeout_s)

    def read(self, keys: tuple[str, ...] = (), *, timeout_s: float) -> LedgerState:
        """Accounts and postings, and where postings have no keys, what the ledger says of *keys*."""

        def work(connection: Connection) -> LedgerState:
            state = self._state(connection)
            if Evidence.POSTING_KEYS not in state.lacks or Evidence.KEYS in state.lacks:
                return state
            said = self._said(connection)
            if still := [key for key in keys if said.get(key) == "open"]:
                raise NotReady(f"{len(still)} keys are still open, such as {still[0]!r}")
            return LedgerState(
                read_from=state.read_from,
                accounts=state.accounts,
                postings=state.postings,
                keys={key: said.get(key, "absent") for key in keys},
                lacks=state.lacks,
            )

        return self._on(self._connect, work, doing="read", timeout_s=timeout_s)

    def digests(self, *, timeout_s: float) -> Mapping[str, str]:
        """A digest of what each copy shows, waiting within the limit until they are equal; {} when no copies were named.

        Copies that cannot be read are left out; raises `NotReady` when none can.
        """
        members = {self._name: self._connect, **self._copies} if self._copies else {}
        until_s = time.monotonic() + timeout_s
        found: dict[str, str] = {}
        reasons: list[str] = []
        while members:
            found, reasons = {}, []
            for member, connect in members.items():
                try:
                    # A copy that is away must not use up the time of the others.
                    share_s = max(LOOK_EVERY_S, (until_s - time.monotonic()) / len(members))
                    found[member] = _digest(self._on(connect, self._state, doing=f"read {member}", timeout_s=share_s))
                except NotReady as error:
                    reasons.append(str(error))
            is_settled = len(found) == len(members) and len(set(found.values())) == 1
            if is_settled or time.monotonic() + LOOK_EVERY_S >= until_s:
                break
            time.sleep(LOOK_EVERY_S)  # a copy needs a moment to catch up; bounded by the deadline above
        if members and not found:
            raise NotReady("; ".join(reasons))
        return found

    def _state(self, connection: Connection) -> LedgerState:
        """What accounts and postings show now, on a connection that has done nothing else or has committed it."""
        connection.rollback()
        if self._begin:
            run(connection, "begin", self._begin)
        lacks = {evidence for evidence, text in ((Evidence.CLOSED_KEYS, self._close), (Evidence.FENCE, self._fence)) if not text}
        accounts, missing = self._read_accounts(connection)
        postings, more = self._read_postings(connection)
        lacks |= missing | more
        if Evidence.POSTING_KEYS in lacks and not self._keys.text:
            lacks.add(Evidence.KEYS)
        return LedgerState(read_from=self._name, accounts=accounts, postings=postings, lacks=frozenset(lacks))

    def _read_accounts(self, connection: Connection) -> tuple[tuple[AccountState, ...], set[Evidence]]:
        table = fetch(connection, self._accounts, minor_digits=self._minor_digits)
        if table is None:
            return (), {Evidence.BALANCES, Evidence.ACCOUNT_VERSIONS}
        found: dict[str, AccountState] = {}
        for row in range(len(table.rows)):
            account = table.text(row, "account")
            if account in found:
                raise table.strange(f"{account!r} twice", "each account once", row=row, column="account")
            found[account] = AccountState(
                account=account,
                kind=table.text(row, "kind", default="customer"),
                balance=table.amount(row, "balance"),
                version=table.whole(row, "version"),
                lowest=table.amount_or_none(row, "lowest"),
            )
        columns = {Evidence.BALANCES: "balance", Evidence.ACCOUNT_VERSIONS: "version"}
        return tuple(found.values()), {evidence for evidence, column in columns.items() if column not in table.columns}

    def _read_postings(self, connection: Connection) -> tuple[tuple[Posting, ...], set[Evidence]]:
        columns = {
            Evidence.POSTING_KEYS: "key",
            Evidence.VERSIONS: "version",
            Evidence.BALANCES_AFTER: "balance_after",
        }
        table = fetch(connection, self._postings, minor_digits=self._minor_digits)
        if table is None:
            return (), {Evidence.POSTINGS, *columns}
        if "key" not in table.columns and "transaction" not in table.columns:
            raise table.strange("neither a key nor a transaction", "what tells which rows belong together")
        together = "transaction" if "transaction" in table.columns else "key"
        postings = tuple(
            Posting(
                transaction=table.text(row, together),
                key=table.text(row, "key", default=""),
                account=table.text(row, "account"),
                version=table.whole(row, "version"),
                amount=table.amount(row, "amount"),
                balance_after=table.amount(row, "balance_after"),
            )
            for row in range(len(table.rows))
        )
        return postings, {evidence for evidence, column in columns.items() if column not in table.columns}

    def _said(self, connection: Connection) -> dict[str, str]:
        """What the ledger says of every key that it knows; {} without a query for them."""
        table = fetch(connection, self._keys, minor_digits=None)
        found: dict[str, str] = {}
        for row in range(len(table.rows) if table else 0):
            assert table is not None
            key, state = table.text(row, "key"), table.text(row, "state")
            if state not in STATES:
                raise table.strange(repr(state), f"one of {', '.join(STATES)}", row=row, column="state")
            if found.setdefault(key, state) != state:
                raise table.strange(f"{key!r} as {found[key]} and as {state}", "one state for each key", row=row, column="key")
        return found

    def _on(self, connect: Callable[[], Connection], work: Callable[[Connection], T], *, doing: str, timeout_s: float) -> T:
        """*work* on a connection of its own; again from the start while it fails and time is left: all work may be repeated."""

        def attempt() -> T:
            connection = connect()
            try:
                done = work(connection)
                connection.rollback()
                return done
            finally:
                connection.close()

        return attempted(attempt, what=f"{self._name}: could not {doing}", timeout_s=timeout_s, never=UnreadableLedger)


def _digest(state: LedgerState) -> str:
    """The same for the same accounts and postings, in whatever order a copy gives them."""
    lines = sorted(map(repr, (*state.accounts, *state.postings)))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
