"""Every way in which a link can be hurt, on a real Toxiproxy, told apart by what a client sees."""

import contextlib
import json
import socket
from dataclasses import replace

import pytest

from chaoskit.environments.ports import HOST
from chaoskit.environments.proxy_link import PortProxy, ProxyLink, restore_from
from chaoskit.environments.replay import read_ledger, replay
from chaoskit.environments.toxiproxy import Toxiproxy
from chaoskit.faults.latency import Latency
from chaoskit.faults.partition import Partition
from chaoskit.faults.refuse import Refuse
from chaoskit.model.errors import CannotHeal, CannotInject
from chaoskit.model.protocols import Stage, Undo
from chaoskit.model.topology import LinkSpec
from chaoskit.model.undo import injecting
from chaoskit.testing import FakeEnvironment, FakeLoad

SHORT_S = 0.4


@pytest.fixture
def toxiproxy(server):
    return Toxiproxy(HOST, server.port)


@pytest.fixture
def link(toxiproxy, echoing, ports):
    """A link of two ports to a service that echoes."""
    proxies = []
    for name in ("one", "two"):
        port = ports.take()
        toxiproxy.create(name, listen=f"{HOST}:{port}", upstream=echoing)
        proxies.append(PortProxy(name=name, address=(HOST, port), hello=b"hello"))
    return ProxyLink(LinkSpec(client="a", service="b", ports=("one", "two")), tuple(proxies), toxiproxy)


@pytest.fixture
def connection(link):
    """One that was open before."""
    with contextlib.closing(socket.create_connection(link._proxies[0].address, timeout=5)) as connection:
        connection.sendall(b"before")
        assert connection.recv(6) == b"before"
        yield connection


def test_each_hurt_has_its_own_look(link):
    hurts = {
        "refused": link.refuse,
        "reset": link.reset,
        "silent": lambda: link.stall(direction="both"),
    }
    for word, hurt in hurts.items():
        assert link.look(timeout_s=5) == "answered"
        hurt()
        assert link.look(timeout_s=SHORT_S) == word
        link.restore()
        link.restore()
    assert link.look(timeout_s=5) == "answered"


def test_one_port_in_trouble_is_seen_beside_a_healthy_one(link, toxiproxy):
    toxiproxy.disable("two")
    assert link.look(timeout_s=5) == "refused"


@pytest.mark.parametrize("direction", ["both", "requests", "answers"])
def test_a_stall_holds_and_the_open_connection_goes_on(link, connection, direction):
    link.stall(direction=direction)
    connection.sendall(b"during")
    connection.settimeout(SHORT_S)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    link.restore()
    connection.settimeout(5)
    assert connection.recv(6, socket.MSG_WAITALL) == b"during"
    connection.sendall(b"after")
    assert connection.recv(5, socket.MSG_WAITALL) == b"after"


def test_a_refusal_ends_what_was_open_in_good_order(link, connection):
    link.refuse()
    assert connection.recv(1) == b""


def test_a_reset_ends_what_was_open_and_resets_what_is_new(link, connection):
    link.reset()
    assert connection.recv(1) == b"", "the proxy can reset only what came after"
    assert link.look(timeout_s=5) == "reset"


def test_a_stall_beside_another_fault_is_taken_off_with_it(link, toxiproxy):
    link.stall(direction="requests")
    link.slow(latency_s=0.01, jitter_s=0, direction="answers")
    link.restore()
    assert not toxiproxy.read("one").toxics
    assert link.look(timeout_s=5) == "answered"


def test_a_reader_that_stopped_reading_does_not_keep_a_stall_from_being_healed(link, connection):
    """What is held cannot be let go to somebody who does not take it: then the connections end, and the server lives on."""
    link.stall(direction="answers")
    connection.settimeout(SHORT_S)
    with contextlib.suppress(TimeoutError):
        while True:
            connection.sendall(b"x" * 65536)
    link.restore()
    assert link.look(timeout_s=5) == "answered"


def test_a_throttled_link_takes_as_long_as_its_bytes(link):
    link.throttle(bytes_per_s=1000, direction="answers")
    assert link.answer_s(timeout_s=5) >= 0.005  # five bytes at a thousand a second
    link.restore()
    assert link.look(timeout_s=5) == "answered"


def test_a_server_that_is_gone_is_an_error_for_each_of_them(link, server):
    server.stop()
    for hurt in (
        link.refuse,
        link.reset,
        lambda: link.stall(direction="both"),
        lambda: link.throttle(bytes_per_s=1, direction="both"),
    ):
        with pytest.raises(CannotInject, match="link a -> b: Toxiproxy at"):
            hurt()
    server.start()


@pytest.fixture
def lasting(link, toxiproxy):
    """The same link, as one that outlives the process that hurts it."""
    return ProxyLink(LinkSpec(client="a", service="b", ports=("one", "two")), link._proxies, toxiproxy, is_lasting=True)


def undo_of(link):
    return Undo(verb="restore", target="a -> b", details=json.loads(json.dumps(dict(link.handle))))


def test_a_lasting_link_is_restored_by_a_process_that_knows_its_undo_alone(link, lasting, tmp_path):
    assert link.handle == {}, "one that ends with its process needs nobody else"
    ledger = tmp_path / "undo.jsonl"
    for hurt in (lambda: lasting.cut(direction="both"), lasting.refuse, lasting.reset):
        ledger.write_text(json.dumps(injecting("cut", (undo_of(lasting),))) + "\n")
        hurt()
        assert lasting.look(timeout_s=SHORT_S) != "answered"
        replayed = replay(read_ledger(ledger), engine_address="")
        assert (replayed.done, replayed.problems) == (["cut: restored a -> b"], [])
        assert lasting.look(timeout_s=5) == "answered"


def test_nothing_is_done_to_a_link_that_is_not_the_one_any_more(lasting, toxiproxy, server, echoing, ports):
    """Another environment's proxies of the same name, at the port where the ones of the undo were."""
    undo = undo_of(lasting)
    for name in ("one", "two"):
        toxiproxy.delete(name)
        toxiproxy.create(name, listen=f"{HOST}:{ports.take()}", upstream=echoing)
        toxiproxy.disable(name)
    gone = "nothing left to undo: the proxies of a -> b are gone"
    assert restore_from(undo) == gone
    assert not toxiproxy.read("one").enabled
    server.stop()
    assert restore_from(undo) == gone


def test_a_server_that_does_not_answer_may_still_have_it(lasting):
    """Only one at whose port nobody listens is gone: a wedged one still cuts the link."""
    undo = undo_of(lasting)
    with socket.create_server((HOST, 0)) as silent:
        wedged = replace(undo, details={**undo.details, "toxiproxy": f"{HOST}:{silent.getsockname()[1]}"})
        with pytest.raises(CannotHeal, match=r"link a -> b: .*no answer within"):
            restore_from(wedged)


def test_faults_of_a_link_write_down_how_another_process_finds_it(lasting):
    class Environment(FakeEnvironment):
        def links(self, one, other):
            return (lasting,)

    stage = Stage(Environment(), FakeLoad())
    faults = (Partition(between=("a", "b")), Latency(between=("a", "b"), add_s=1.0), Refuse(between=("a", "b")))
    assert [fault.aim(stage).undo for fault in faults] == [(undo_of(lasting),)] * 3
