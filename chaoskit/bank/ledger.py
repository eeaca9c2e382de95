"""Reads the final state of the money: ours by SQL, from the current primary, and other banks' from the switch between them.

The fence holds without knowing what is still under way: a key with a tombstone is refused by the database itself, however late the
payment arrives.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from http.client import HTTPException
from typing import TypeVar
from urllib.request import urlopen

import psycopg
from psycopg.conninfo import make_conninfo

from chaoskit.bank import schema
from chaoskit.model.errors import NotReady
from chaoskit.model.topology import AccountState, Credit, GroupLimit, LedgerState, Posting

# Keys per statement: each waits for a payment under way with that key, so a batch holds few locks and no long transaction.
BATCH = 500
# Between two looks at something that should become so.
LOOK_EVERY_S = 0.1

ACCOUNTS = "SELECT account, kind, balance, version, lowest FROM accounts ORDER BY account"
POSTINGS = "SELECT transaction::text, key, account, version, amount, balance_after FROM postings ORDER BY account, version"
NODE = "SELECT coalesce(current_setting('bank.node', true), '')"
OPEN = """
SELECT (SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND xact_start IS NOT NULL),
  (SELECT count(*) FROM outbox WHERE NOT sent)
"""
LIMITS = """
SELECT customer, array_agg(account ORDER BY account), limits.lowest FROM limits JOIN accounts USING (customer)
GROUP BY customer, limits.lowest ORDER BY customer
"""
UNSENT = "SELECT t.key FROM outbox o JOIN transactions t USING (transaction) WHERE NOT o.sent ORDER BY t.key"
DIGEST = """
SELECT encode(sha256(convert_to(
  coalesce((SELECT string_agg(concat_ws(' ', account, balance, version), E'\\n' ORDER BY account) FROM accounts), '') || E'\\n' ||
  coalesce((SELECT string_agg(concat_ws(' ', account, version, amount, balance_after, key, transaction), E'\\n' ORDER BY account,
  version)
            FROM postings), ''), 'UTF8')), 'hex')
"""

T = TypeVar("T")


class BankLedger:
    """The `Ledger` of the reference bank. *members* are the database's members by name; each call makes its own connection.

    What other banks have booked is read from the switch at *rail*; without it nobody asks them.
    """

    def __init__(
        self, members: Mapping[str, tuple[str, int]], *, user: str, name: str, rail: tuple[str, int] | None = None
    ) -> None:
        self._members = dict(members)
        self._rail = rail
        self._user = user
        self._name = name

    def settle(self, keys: tuple[str, ...], *, timeout_s: float) -> Mapping[str, str]:
        """Make every key definite: `applied`, `refused`, or a `tombstone` that refuses whatever still comes."""

        def close(connection: psycopg.Connection) -> dict[str, str]:
            states: dict[str, str] = {}
            for at in range(0, len(keys), BATCH):
                batch = list(keys[at : at + BATCH])
                connection.execute(schema.CLOSE_KEYS, (batch,))
                states.update(connection.execute(schema.KEY_STATES, (batch,)).fetchall())
            return states

        states = self._on_primary(close, doing="settle keys", timeout_s=timeout_s) if keys else {}
        assert states.keys() == set(keys), "every key was written, so every key has a state"
        return states

    def open_transactions(self, *, timeout_s: float) -> int:
        """Transactions of the core that are open on the primary, looked at until there is none or the time is up.

        What still waits to be sent to other banks is waited for, too, but not counted: it changes their books, not ours.
        """
        until_s = time.monotonic() + timeout_s

        def count(connection: psycopg.Connection) -> int:
            while True:
                row = connection.execute(OPEN, (schema.CORE_SESSION,)).fetchone()
                assert row is not None
                if row == (0, 0) or time.monotonic() + LOOK_EVERY_S >= until_s:
                    return int(row[0])
                time.sleep(LOOK_EVERY_S)

        return self._on_primary(count, doing="count open transactions", timeout_s=timeout_s)

    def read(self, keys: tuple[str, ...] = (), *, timeout_s: float) -> LedgerState:
        """Accounts and postings in one snapshot, from the current primary; *keys* need not be asked about, postings have them."""
        del keys

        def snapshot(connection: psycopg.Connection) -> LedgerState:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            with connection.transaction():
                node = connection.execute(NODE).fetchone()
                limits = connection.execute(LIMITS).fetchall()
                unsent = connection.execute(UNSENT).fetchall()
                accounts = connection.execute(ACCOUNTS).fetchall()
                postings = connection.execute(POSTINGS).fetchall()
            assert node is not None
            return LedgerState(
                read_from=str(node[0]),
                accounts=tuple(
                    AccountState(account=account, kind=kind, balance=balance, version=version, lowest=lowest)
                    for account, kind, balance, version, lowest in accounts
                ),
                postings=tuple(
                    Posting(transaction=transaction, key=key, account=account, version=version, amount=amount, balance_after=after)
                    for transaction, key, account, version, amount, after in postings
                ),
                limits=tuple(
                    GroupLimit(group=customer, accounts=tuple(accounts), lowest=lowest) for customer, accounts, lowest in limits
                ),
                unsent=tuple(key for (key,) in unsent),
            )

        until_s = time.monotonic() + timeout_s
        ledger = self._on_primary(snapshot, doing="read the ledger", timeout_s=timeout_s)
        # After our own books, so that whatever they say was sent can have arrived.
        return replace(ledger, credits=self._credits(until_s)) if self._rail else ledger

    def _credits(self, until_s: float) -> tuple[Credit, ...]:
        """What the switch has credited at other banks."""
        assert self._rail is not None
        host, port = self._rail
        url = f"http://{host}:{port}/journal"
        while True:
            try:
                with urlopen(url, timeout=max(1.0, until_s - time.monotonic())) as response:
                    found = json.load(response)["credits"]
                return tuple(Credit(key=row["key"], account=row["creditor"], amount=row["amount"]) for row in found)
            except (OSError, HTTPException, ValueError) as error:
                if time.monotonic() + LOOK_EVERY_S >= until_s:
                    reason = f"could not read what other banks have booked ({url}): {_first_line(error)}"
                    raise NotReady(f"ledger: {reason}. Look into the log of the rail.") from error
                time.sleep(LOOK_EVERY_S)

    def digests(self, *, timeout_s: float) -> Mapping[str, str]:
        """A digest of the same state on each member that answers; waits, within the limit, until they are equal.

        A standby needs a moment to replay. Members that do not answer are left out; raises `NotReady` if none does.
        """
        until_s = time.monotonic() + timeout_s
        while True:
            found: dict[str, str] = {}
            reasons: list[str] = []
            for member, address in self._members.items():
                try:
                    found[member] = self._digest(address, limit_s=max(1.0, until_s - time.monotonic()))
                except psycopg.Error as error:
                    reasons.append(f"{member}: {_first_line(error)}")
            # One digest alone may only mean that the other member is still coming up.
            is_settled = len(found) == len(self._members) and len(set(found.values())) == 1
            if is_settled or time.monotonic() + LOOK_EVERY_S >= until_s:
                if not found:
                    raise self._not_ready("make digests", timeout_s, "; ".join(reasons))
                return found
            time.sleep(LOOK_EVERY_S)

    def _digest(self, address: tuple[str, int], *, limit_s: float) -> str:
        conninfo = self._conninfo((address,), attributes="any", limit_s=limit_s)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            row = connection.execute(DIGEST).fetchone()
        assert row is not None
        return str(row[0])

    def _on_primary(self, work: Callable[[psycopg.Connection], T], *, doing: str, timeout_s: float) -> T:
        """Do *work* on the current primary; again from the start if it fails and time is left: all work here may be repeated."""
        until_s = time.monotonic() + timeout_s
        while True:
            limit_s = max(1.0, until_s - time.monotonic())
            conninfo = self._conninfo(tuple(self._members.values()), attributes="read-write", limit_s=limit_s)
            try:
                with psycopg.connect(conninfo, autocommit=True) as connection:
                    return work(connection)
            except psycopg.Error as error:
                if time.monotonic() + LOOK_EVERY_S >= until_s:
                    raise self._not_ready(doing, timeout_s, _first_line(error)) from error
                time.sleep(LOOK_EVERY_S)

    def _conninfo(self, addresses: tuple[tuple[str, int], ...], *, attributes: str, limit_s: float) -> str:
        return make_conninfo(
            host=",".join(host for host, _ in addresses),
            port=",".join(str(port) for _, port in addresses),
            user=self._user,
            dbname=self._name,
            application_name="chaoskit-ledger",
            target_session_attrs=attributes,
            connect_timeout=2,
            tcp_user_timeout=2000,
            options=f"-c statement_timeout={int(limit_s * 1000)}",
        )

    def _not_ready(self, doing: str, timeout_s: float, reason: str) -> NotReady:
        where = ", ".join(f"{member} at {host}:{port}" for member, (host, port) in self._members.items())
        return NotReady(f"ledger: could not {doing} within {timeout_s:g} s ({where}): {reason}. Look into the members' logs.")


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
