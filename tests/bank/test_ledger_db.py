"""The database tier: what the nodes are told, how their role is read, and that the standby really takes over."""

import contextlib
import dataclasses
import importlib
import inspect
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from chaoskit.bank.defects import DEFECTS
from chaoskit.bank.ledger_db import DATABASE, GROUP, LEDGER_DB, LINKS, NODES, SERVICES, TIERS, Tier, node_command, read_role
from chaoskit.environments.process import ProcessEnvironment
from chaoskit.model.protocols import Undo
from chaoskit.model.topology import Topology


@dataclasses.dataclass
class PaperPlace:
    """A place where nothing listens: the address says whose it is and who calls it."""

    service: str
    directory: Path
    options: dict = dataclasses.field(default_factory=dict)
    seed: int = 1

    def own(self, port):
        return f"{self.service}.own", port

    def to(self, service, port):
        return f"{self.service}-to-{service}", port

    def reached_by(self, client, port):
        return f"{client}-to-{self.service}", port

    def program(self, name):
        return f"/programs/bin/{name}"

    def write(self, name, text):
        path = self.directory / name
        path.write_text(text)
        return path


def settings(folder, service, **options):
    command = node_command(PaperPlace(service=service, directory=folder, options=options))
    assert command.unprivileged
    return json.loads(Path(command.argv[1]).read_text())


def test_peers_and_the_lease_are_reached_through_links(tmp_path):
    node = settings(tmp_path, "ledger-db-1")
    assert node["postgresql"]["listen"] == "ledger-db-1.own:postgres"
    assert node["postgresql"]["connect_address"] == "ledger-db-2-to-ledger-db-1:postgres"
    assert node["restapi"]["connect_address"] == "ledger-db-2-to-ledger-db-1:rest"
    assert node["etcd3"] == {"hosts": ["ledger-db-1-to-etcd:client"], "use_proxies": True}


def test_the_bank_as_it_is_loses_nothing_and_takes_over(tmp_path):
    for name in NODES:
        node = settings(tmp_path, name)
        assert node["bootstrap"]["dcs"]["synchronous_mode"] is True
        assert node["bootstrap"]["dcs"]["postgresql"]["parameters"]["synchronous_commit"] == "on"
        assert "fsync" not in node["bootstrap"]["dcs"]["postgresql"]["parameters"]
        assert node["tags"] == {"nofailover": False}


def test_the_defect_async_replication_answers_before_the_standby_has_the_change(tmp_path):
    dcs = settings(tmp_path, "ledger-db-1", defect="async-replication")["bootstrap"]["dcs"]
    assert dcs["synchronous_mode"] is False
    assert dcs["postgresql"]["parameters"]["synchronous_commit"] == "local"


def test_the_defect_no_takeover_keeps_the_second_node_a_standby(tmp_path):
    tags = {name: settings(tmp_path, name, defect="no-takeover")["tags"]["nofailover"] for name in NODES}
    assert tags == {"ledger-db-1": False, "ledger-db-2": True}


def test_the_defect_read_only_takeover_waits_for_the_second_node(tmp_path):
    told = {name: settings(tmp_path, name, defect="read-only-takeover")["postgresql"]["parameters"] for name in NODES}
    assert {name: parameters.get("default_transaction_read_only") for name, parameters in told.items()} == {
        "ledger-db-1": None,
        "ledger-db-2": "on",
    }


def test_the_defect_async_commit_answers_before_it_writes_and_is_synchronous_for_its_manager(tmp_path):
    dcs = settings(tmp_path, "ledger-db-1", defect="async-commit")["bootstrap"]["dcs"]
    assert dcs["synchronous_mode"] is True
    assert dcs["postgresql"]["parameters"]["synchronous_commit"] == "off"
    assert dcs["postgresql"]["parameters"]["wal_writer_delay"] == "10s"


def test_a_defect_of_the_services_changes_nothing_here(tmp_path):
    for name in NODES:
        assert settings(tmp_path, name, defect="local-commit") == settings(tmp_path, name)


def test_every_row_is_a_defect_and_changes_the_tier():
    assert set(TIERS) <= set(DEFECTS)
    assert Tier() not in TIERS.values()


@pytest.mark.parametrize("defect", [None, *TIERS])
def test_only_a_defect_of_the_manager_puts_anything_before_patroni(tmp_path, defect):
    options = {"defect": defect} if defect else {}
    argv = node_command(PaperPlace(service="ledger-db-1", directory=tmp_path, options=options)).argv
    patches = TIERS[defect].patches("ledger-db-1") if defect else ""
    before = ("/bin/sh", str(tmp_path / "start.sh")) if patches else ()
    assert argv == (*before, "/programs/bin/patroni", str(tmp_path / "patroni.json"))
    assert not patches or (tmp_path / "sitecustomize.py").read_text() == patches


@pytest.mark.parametrize("path,expected", [(None, "{0}"), ("/opt/patroni", "{0}:/opt/patroni")])
def test_what_is_put_before_patroni_leaves_patroni_where_it_is_found(tmp_path, path, expected):
    argv = node_command(PaperPlace(service="ledger-db-1", directory=tmp_path, options={"defect": "stale-promotion"})).argv
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | ({"PYTHONPATH": path} if path else {})
    done = subprocess.run(
        [*argv[:2], "printenv", "PYTHONPATH"], env=environ, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == expected.format(tmp_path)


@pytest.mark.parametrize("defect", [name for name, tier in TIERS.items() if tier.patches("ledger-db-1")])
def test_what_is_put_before_patroni_fits_the_patroni_that_is_here(tmp_path, defect):
    """An error there would be swallowed by Python, and the bank would be sound without anybody noticing."""
    pytest.importorskip("patroni", reason="the reference bank needs chaoskit[bank]")
    (tmp_path / "sitecustomize.py").write_text(TIERS[defect].patches("ledger-db-1"))
    code = "import sitecustomize, sys, patroni.postgresql, patroni.ha; sys.exit(sitecustomize.__file__ != sys.argv[1])"
    command = [sys.executable, "-c", code, str(tmp_path / "sitecustomize.py")]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_decisions_that_are_replaced_are_those_of_patroni():
    """If Patroni renames one of them, the replacement would replace nothing."""
    dcs = pytest.importorskip("patroni.dcs", reason="the reference bank needs chaoskit[bank]")
    importlib.import_module("patroni.postgresql")
    ha, config = importlib.import_module("patroni.ha"), importlib.import_module("patroni.config")
    assert callable(dcs.SyncState.matches)
    assert callable(ha.Ha.process_sync_replication)
    assert callable(ha.Ha.is_lagging)
    assert isinstance(inspect.getattr_static(config.GlobalConfig, "is_synchronous_mode_strict"), property)
    assert callable(ha.Ha._handle_dcs_error)
    assert "sync.matches(self.state_handler.name, True)" in inspect.getsource(ha.Ha.is_healthiest_node)


def test_a_dead_node_is_down(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    state = read_role("ledger-db-1", address, timeout_s=1)
    assert (state.role, state.accepts_writes, state.streaming) == ("down", None, False)
    assert "refused" in state.detail


def test_a_node_that_never_answers_is_down_after_the_limit():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        state = read_role("ledger-db-1", listener.getsockname(), timeout_s=0.2)
    assert state.role == "down"
    assert "within 0.2 s" in state.detail


TIER = Topology(
    name="ledger-db",
    services=SERVICES,
    links=LINKS,
    groups=(LEDGER_DB,),
    entry=("ledger-db-1", "postgres"),
    journeys="none:none",
    journey_names=(),
)


@contextlib.contextmanager
def tier(folder, **options):
    environment = ProcessEnvironment(TIER, seed=1, options=options, logs=folder / "logs", directory=folder)
    environment.up(is_stopping=lambda: False, say=print)
    try:
        yield environment
    finally:
        environment.down()


def roles(environment):
    return {name: read_role(name, environment.address(name, "postgres"), timeout_s=1) for name in NODES}


def wait_for(environment, condition, *, timeout_s):
    start = time.monotonic()
    while not condition(states := roles(environment)):
        assert time.monotonic() - start < timeout_s, states
        time.sleep(0.05)
    return time.monotonic() - start


def is_writable(states):
    return any(state.role == "primary" and state.accepts_writes for state in states.values())


def is_complete(states):
    return is_writable(states) and any(state.streaming for state in states.values())


def query(environment, service, text):
    host, port = environment.address(service, "postgres")
    with psycopg.connect(host=host, port=port, user="postgres", dbname=DATABASE, autocommit=True) as connection:
        cursor = connection.execute(text)
        return cursor.fetchone() if cursor.description else None


@pytest.mark.whole
def test_the_standby_takes_over_and_the_old_primary_comes_back_behind_it(tmp_path):
    with tier(tmp_path) as environment:
        assert environment.resolve(f"{GROUP}.primary") == "ledger-db-1"
        assert environment.resolve(f"{GROUP}.standby") == "ledger-db-2"
        query(environment, "ledger-db-1", "CREATE TABLE paid AS SELECT 100 AS amount")
        assert query(environment, "ledger-db-1", "SELECT current_setting('bank.node')") == ("ledger-db-1",)
        environment.service(f"{GROUP}.primary").kill()
        outage_s = wait_for(environment, is_writable, timeout_s=30)
        assert query(environment, "ledger-db-2", "SELECT amount, current_setting('bank.node') FROM paid") == (100, "ledger-db-2")
        start = time.monotonic()
        environment.undo(Undo(verb="start", target="ledger-db-1"))
        wait_for(environment, is_complete, timeout_s=40)
        print(f"outage {outage_s:.1f} s, rejoined after {time.monotonic() - start:.1f} s")
        assert environment.resolve(f"{GROUP}.standby") == "ledger-db-1"
    assert [entry.name for entry in tmp_path.iterdir()] == ["logs"]


@pytest.mark.whole
def test_a_cut_replication_is_noticed_and_streams_again_when_restored(tmp_path):
    with tier(tmp_path) as environment:
        links = environment.links(*NODES)
        assert [link.name for link in links] == ["ledger-db-1 -> ledger-db-2", "ledger-db-2 -> ledger-db-1"]
        for link in links:
            link.cut(direction="both")
        wait_for(environment, lambda states: not is_complete(states), timeout_s=20)
        # The standby is dropped as a voter, and the primary goes on alone.
        deadline = time.monotonic() + 20
        while query(environment, "ledger-db-1", "SHOW synchronous_standby_names") != ("",):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        query(environment, "ledger-db-1", "CREATE TABLE paid AS SELECT 100 AS amount")
        for link in links:
            link.restore()
        wait_for(environment, is_complete, timeout_s=30)
        assert environment.resolve(f"{GROUP}.primary") == "ledger-db-1"
        assert query(environment, "ledger-db-2", "SELECT amount FROM paid") == (100,)


@pytest.mark.whole
def test_with_the_defect_no_takeover_nobody_takes_over(tmp_path):
    with tier(tmp_path, defect="no-takeover") as environment:
        environment.service("ledger-db-1").kill()
        deadline = time.monotonic() + 12  # twice what the sound bank needs
        while time.monotonic() < deadline:
            states = roles(environment)
            assert not is_writable(states), states
            time.sleep(0.5)
        environment.service("ledger-db-1").start()
        wait_for(environment, is_complete, timeout_s=40)
        assert environment.resolve(f"{GROUP}.primary") == "ledger-db-1"


@pytest.mark.whole
def test_with_the_defect_async_replication_payments_do_not_wait_for_the_standby(tmp_path):
    with tier(tmp_path, defect="async-replication") as environment:
        for link in environment.links(*NODES):
            link.cut(direction="both")
        query(environment, "ledger-db-1", "SET statement_timeout = '2s'; CREATE TABLE paid AS SELECT 100 AS amount")
        environment.service("ledger-db-1").kill()
        wait_for(environment, is_writable, timeout_s=30)
        with pytest.raises(psycopg.errors.UndefinedTable):
            query(environment, "ledger-db-2", "SELECT amount FROM paid")


OWNER = """
import importlib.util, sys, time
from pathlib import Path
spec = importlib.util.spec_from_file_location("tier", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
with module.tier(Path(sys.argv[2])):
    print("up", flush=True)
    time.sleep(600)
"""


@pytest.mark.whole
def test_no_process_is_left_when_the_owner_is_killed(tmp_path):
    owner = subprocess.Popen([sys.executable, "-c", OWNER, __file__, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    with owner, owner.stdout:
        while owner.stdout.readline() != "up\n":
            assert owner.poll() is None
        seen = inside(tmp_path)
        assert len(seen) > 10
        os.kill(owner.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while inside(tmp_path) or any(is_alive(pid) for pid in seen) or [entry.name for entry in tmp_path.iterdir()] != ["logs"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_alive(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def inside(folder):
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and str((entry / "cwd").readlink()).startswith(str(folder)):
                found.append(int(entry.name))
    return found
