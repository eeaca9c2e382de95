"""The database tier of the bank: two PostgreSQL nodes under Patroni, which decides by a lease in etcd who is primary.

The nodes announce to each other the address of their link, so that replication, rewind and Patroni's own questions can be cut.
The database `bank` (user `postgres`, no password on loopback or in the run's network) is made with the cluster, shortly after the
first node answers.
`current_setting('bank.node')` tells which node served a query.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from chaoskit.bank.broken import managers
from chaoskit.model.topology import (
    POSTGRES_HELLO,
    Command,
    GroupSpec,
    LinkSpec,
    Place,
    Port,
    RoleState,
    ServiceSpec,
    http_hello,
)

GROUP = "ledger-db"
NODES = ("ledger-db-1", "ledger-db-2")
ETCD = "etcd"
DATABASE = "bank"
USER = "postgres"

# Patroni's shortest lease that survives a busy machine: a killed primary is replaced in about 5 s. Patroni 3.2 and later lift it to
# 20 s.
LEASE = {"ttl": 5, "loop_wait": 1, "retry_timeout": 2}
# A standby that stops confirming holds up every payment until its connection counts as dead; with the default of 60 s a cut of the
# replication would be an outage of a minute. As long as the lease: no sooner than a node counts as dead.
REPLICATION_TIMEOUT = "5s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """How the database tier is set up: as given, the sound one."""

    synchronous: bool = True
    """Whether a commit waits for the standby, and only a standby in step may take over."""
    parameters: Mapping[str, object] = field(default_factory=dict)
    """What PostgreSQL is told besides."""
    never_promoted: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    """Nodes that refuse to write, also as the primary."""
    always_waiting: tuple[str, ...] = ()
    """Nodes that, as the primary, let commits wait also while there is no standby."""
    manager: str = ""
    """Python that Patroni runs before anything else."""

    def patches(self, node: str) -> str:
        return self.manager + (managers.ALWAYS_WAITS if node in self.always_waiting else "")


TIERS: Mapping[str, Tier] = {
    "async-replication": Tier(synchronous=False),
    # The first node is the primary, since the second one starts after it answers.
    "no-takeover": Tier(never_promoted=NODES[1:]),
    "read-only-takeover": Tier(read_only=NODES[1:]),
    "async-commit": Tier(parameters={"synchronous_commit": "off", "wal_writer_delay": "10s"}),
    "stale-promotion": Tier(manager=managers.PROMOTES_ANYBODY),
    "degrade-to-async": Tier(manager=managers.GIVES_UP_WAITING),
    "restart-shows-waiting": Tier(manager=managers.PROMOTES_ANYBODY, always_waiting=NODES[:1]),
    "split-brain": Tier(synchronous=False, manager=managers.NEVER_STEPS_DOWN),
}
"""By defect. Of the others the database tier knows nothing."""


def etcd_command(place: Place) -> Command:
    client, peer = (f"http://{host}:{port}" for host, port in (place.own("client"), place.own("peer")))
    return Command(
        argv=(
            place.program("etcd"),
            "--name=etcd",
            f"--data-dir={place.directory / 'data'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=etcd={peer}",
            "--log-level=warn",
            "--unsafe-no-fsync",  # a killed process loses nothing by it; only a crash of the machine would
        )
    )


def node_command(place: Place) -> Command:
    programs = Path(place.program("postgres")).parent
    settings = place.write("patroni.json", json.dumps(node_settings(place, programs), indent=1))
    library = programs.parent / "lib"
    # The walreceiver of a relocated PostgreSQL otherwise loads an older libpq of the system, and never streams.
    variables = {"LD_LIBRARY_PATH": str(library)} if (library / "libpq.so.5").exists() else {}
    argv: tuple[str, ...] = (place.program("patroni"), str(settings))
    if patches := _tier(place).patches(place.service):
        # Python runs a module of this name at its start; where Patroni itself is found must stay in the path.
        folder = place.write("sitecustomize.py", patches).parent
        start = place.write("start.sh", f'export PYTHONPATH="{folder}${{PYTHONPATH:+:$PYTHONPATH}}"\nexec "$@"\n')
        argv = ("/bin/sh", str(start), *argv)
    return Command(argv=argv, variables=variables, unprivileged=True)


def node_settings(place: Place, programs: Path) -> Mapping[str, object]:
    """Patroni's settings (it reads YAML, of which JSON is a part)."""
    peer = next(node for node in NODES if node != place.service)
    tier = _tier(place)
    # Without passwords: whoever is on loopback, or in the private network of the run, may come in.
    near = "127.0.0.1/32" if place.own("postgres")[0] == "127.0.0.1" else "samenet"
    create = place.write("create_database.sh", f'exec "{programs / "psql"}" -X -q -d "$1" -c "CREATE DATABASE {DATABASE}"\n')
    return {
        "scope": GROUP,
        "name": place.service,
        "restapi": {"listen": _text(place.own("rest")), "connect_address": _text(place.reached_by(peer, "rest"))},
        # Without use_proxies Patroni asks etcd for its real address and goes past the link.
        "etcd3": {"hosts": [_text(place.to(ETCD, "client"))], "use_proxies": True},
        "bootstrap": {
            "dcs": {
                **LEASE,
                "synchronous_mode": tier.synchronous,
                "failsafe_mode": True,  # the loss of etcd alone does not stop the bank
                "postgresql": {"use_pg_rewind": True, "use_slots": True, "parameters": _parameters(tier)},
            },
            "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums", "no-sync"],
            "post_bootstrap": f"sh {create}",
        },
        "postgresql": {
            "listen": _text(place.own("postgres")),
            "connect_address": _text(place.reached_by(peer, "postgres")),
            "data_dir": str(place.directory / "data"),
            "bin_dir": str(programs),
            "pgpass": str(place.directory / "pgpass"),
            "authentication": {"superuser": {"username": USER}, "replication": {"username": "replicator"}},
            "pg_hba": [f"host all all {near} trust", f"host replication all {near} trust"],
            "basebackup": [{"checkpoint": "fast"}, "no-sync"],
            "parameters": {
                "unix_socket_directories": "",
                "bank.node": place.service,
                "bank.rest": _text(place.own("rest")),  # for read_role, which knows only how to reach PostgreSQL
                **({"default_transaction_read_only": "on"} if place.service in tier.read_only else {}),
            },
        },
        "watchdog": {"mode": "off"},  # it wants a longer lease, and says so every second
        "tags": {"nofailover": place.service in tier.never_promoted},
    }


def _tier(place: Place) -> Tier:
    return TIERS.get(place.options.get("defect", "none"), Tier())


def _parameters(tier: Tier) -> dict[str, object]:
    return {
        "max_connections": 100,
        "shared_buffers": "32MB",  # the whole ledger of a run fits
        "wal_log_hints": "on",
        "wal_keep_size": "128MB",
        "wal_sender_timeout": REPLICATION_TIMEOUT,
        "wal_receiver_timeout": REPLICATION_TIMEOUT,
        "wal_retrieve_retry_interval": "500ms",  # a standby tries again soon; the default of 5 s is as long as a lease
        "synchronous_commit": "on" if tier.synchronous else "local",
        "bank.synchronous": "on" if tier.synchronous else "off",
        "log_line_prefix": "%m [%p] ",
        **tier.parameters,
    }


def read_role(member: str, address: tuple[str, int], *, timeout_s: float) -> RoleState:
    """Ask one node. Blocks up to *timeout_s*; a node that does not answer is `down`. Must not be called inside an event loop."""
    try:
        return asyncio.run(_ask(member, address, timeout_s))
    except (OSError, TimeoutError) as error:  # psycopg's errors are turned into states where they happen
        return RoleState(member=member, role="down", accepts_writes=None, detail=f"{type(error).__name__}: {error}")


STATE = """
SELECT pg_is_in_recovery(), EXISTS (
    SELECT FROM pg_stat_replication
    WHERE state = 'streaming' AND (sync_state IN ('sync', 'quorum') OR current_setting('bank.synchronous', true) = 'off')
), current_setting('bank.synchronous', true) = 'on', current_setting('bank.rest', true)"""
# Refused in a read-only transaction. Nothing is changed, and no commit waits for a standby.
TRY_WRITE = "UPDATE pg_catalog.pg_database SET datname = datname WHERE false"
TRY_LOG = "SELECT pg_logical_emit_message(true, 'chaoskit', 'can this be written?')"
# Patroni answers from memory in 5 ms. Without its coordinator it takes seconds, which must not cost us the node's role.
CONFIRM_S = 0.3


async def _ask(member: str, address: tuple[str, int], timeout_s: float) -> RoleState:
    import psycopg

    host, port = address
    state = RoleState(member=member, role="down", accepts_writes=None)
    try:
        # psycopg's own limit is whole seconds and at least two.
        async with (
            asyncio.timeout(timeout_s),
            await psycopg.AsyncConnection.connect(
                host=host,
                port=port,
                user=USER,
                dbname="postgres",
                application_name="chaoskit-role",
                sslmode="disable",
                autocommit=True,
            ) as connection,
        ):
            row = await (await connection.execute(STATE)).fetchone()
            assert row is not None
            in_recovery, streaming, is_synchronous, rest = row
            if in_recovery:
                return replace(state, role="standby", accepts_writes=False)  # in recovery nothing can be written
            state = replace(state, role="primary", streaming=bool(streaming))
            async with connection.transaction(force_rollback=True):
                await connection.execute(TRY_WRITE)
                await connection.execute(TRY_LOG)
            state = replace(state, accepts_writes=True)
            if streaming and is_synchronous and rest and not await _is_confirmed(rest):
                return replace(
                    state, streaming=False, detail="its standby confirms, but Patroni has not yet named it as one to promote"
                )
            return state
    except TimeoutError:
        return replace(state, detail=f"no answer within {timeout_s:g} s")
    except psycopg.Error as error:
        refused = state.role == "primary" and error.sqlstate is not None
        return replace(state, accepts_writes=False if refused else None, detail=str(error).strip())


async def _is_confirmed(rest: str) -> bool:
    """Whether Patroni would promote the standby. True when Patroni does not say: PostgreSQL has said that it confirms."""
    host, _, port = rest.partition(":")
    try:
        async with asyncio.timeout(CONFIRM_S):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(b"GET /cluster HTTP/1.0\r\n\r\n")
                head, _, body = (await reader.read(65536)).partition(b"\r\n\r\n")
                while not body.rstrip().endswith(b"}") and (more := await reader.read(65536)):
                    body += more
            finally:
                writer.close()
            members = json.loads(body).get("members", ()) if b" 200 " in head.partition(b"\r\n")[0] else None
    except (OSError, TimeoutError, ValueError):
        return True
    return members is None or any(member.get("role") == "sync_standby" for member in members)


def _text(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"


def _node(name: str, after: tuple[str, ...]) -> ServiceSpec:
    return ServiceSpec(
        name=name,
        ports=(Port("postgres", POSTGRES_HELLO), Port("rest", http_hello("/health"))),
        command=node_command,
        after=after,
        ready_within_s=40.0,  # 2 to 5 s on a quiet machine, 12 s were seen on one ten times overloaded
        version="PostgreSQL 18 under Patroni 3.0.4",
    )


SERVICES = (
    ServiceSpec(
        name=ETCD,
        ports=(Port("client", http_hello("/health")), Port("peer", http_hello("/version"))),
        command=etcd_command,
        version="etcd 3.5.1",
    ),
    _node(NODES[0], after=(ETCD,)),
    _node(NODES[1], after=(NODES[0],)),
)
LINKS = (
    *(LinkSpec(client=node, service=ETCD, ports=("client",)) for node in NODES),
    LinkSpec(client=NODES[0], service=NODES[1], ports=("postgres", "rest")),
    LinkSpec(client=NODES[1], service=NODES[0], ports=("postgres", "rest")),
)
LEDGER_DB = GroupSpec(name=GROUP, members=NODES, port="postgres", read_role=read_role)
