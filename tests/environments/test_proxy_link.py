"""Every way in which a link can be hurt, on a real Toxiproxy, told apart by what a client sees."""

import contextlib
import socket

import pytest

from chaoskit.environments.ports import HOST
from chaoskit.environments.proxy_link import PortProxy, ProxyLink
from chaoskit.environments.toxiproxy import Toxiproxy
from chaoskit.model.errors import CannotInject
from chaoskit.model.topology import LinkSpec

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
