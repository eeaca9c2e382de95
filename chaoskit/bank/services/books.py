"""Opening the books: database, tables, customers and opening balances. Doing it again changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import psycopg
from psycopg import sql

from chaoskit.bank import schema
from chaoskit.bank.customers import CLEARING, VAULT, customers, guessed, watcher
from chaoskit.bank.services.serving import log
from chaoskit.bank.services.sessions import RECONNECT_S, Database
from chaoskit.bank.tokens import pin_hash

# Creating a database copies its template: seconds on a busy machine, while a session's usual limit is about one.
TRY_S = 15.0
UNHURRIED = "SET statement_timeout = '10s'"


async def open_books(database: Database, *, seed: int, who: str, functions: Sequence[str], opened: Path) -> None:
    """Open the books of the customers *who* on the primary as soon as there is one, and leave the mark *opened*.

    The caller bounds how long it waits.

    Returns at once when the mark is there: the books of a bank that was open before are not needed to start again.
    """
    said = ""
    while not opened.exists():  # noqa: ASYNC240 - one look at a local file
        try:
            async with asyncio.timeout(TRY_S):
                await _open_once(database, seed=seed, who=who, functions=functions)
        except (psycopg.Error, OSError, TimeoutError) as error:
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            if reason != said:
                log.info("books not open yet: %s", reason)
            said = reason
            await asyncio.sleep(RECONNECT_S)
        else:
            opened.touch()  # noqa: ASYNC240 - as above
            log.info("books open")


async def _open_once(database: Database, *, seed: int, who: str, functions: Sequence[str]) -> None:
    admin = database.conninfo(application="bank-books", name="postgres")
    async with await psycopg.AsyncConnection.connect(admin, autocommit=True) as connection:
        await connection.execute(UNHURRIED)
        known = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (database.name,))
        if await known.fetchone() is None:
            await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database.name)))
    everybody = (*customers(seed, who=who), *guessed(seed), watcher(seed))
    limits = [(customer.name, customer.lowest_sum) for customer in everybody if customer.lowest_sum is not None]
    together = dict(limits)
    accounts = [
        (account, customer.name, "customer", balance, None if customer.name in together else 0)
        for customer in everybody
        for account, balance in customer.balances.items()
    ]
    houses = [(VAULT, None, "vault", 0, None), (CLEARING, None, "clearing", 0, None)]
    async with await psycopg.AsyncConnection.connect(database.conninfo(application="bank-books")) as connection:
        await connection.execute(UNHURRIED)
        await connection.execute(schema.LOCK_OPENING)
        await connection.execute(schema.TABLES)
        for function in functions:
            await connection.execute(function)
        async with connection.cursor() as cursor:
            await cursor.executemany(schema.ADD_CUSTOMER, [(c.name, pin_hash(c.name, c.pin, seed=seed)) for c in everybody])
            await cursor.executemany(schema.ADD_ACCOUNT, [*accounts, *houses])
            await cursor.executemany(schema.ADD_LIMIT, limits)
