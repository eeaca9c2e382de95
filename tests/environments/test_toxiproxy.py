"""Our Toxiproxy client against real servers, with the traps that cost others days."""

import contextlib
import socket
import threading
import time

import pytest

from chaoskit.environments.ports import HOST
from chaoskit.environments.toxics import Bandwidth, Latency, Slicer, Stream, Timeout, toxic
from chaoskit.environments.toxiproxy import Toxiproxy
from chaoskit.environments.toxiproxy_wire import (
    CannotListen,
    NotAsAsked,
    ProxyExists,
    ProxyMissing,
    ToxicExists,
    ToxicMissing,
    ToxiproxyError,
    ToxiproxyUnreachable,
    Wire,
)
from chaoskit.model.errors import CannotHeal, UsageError


class RecordingWire(Wire):
    """The real wire, remembering what was called."""

    def __init__(self, host, port):
        super().__init__(host, port)
        self.calls = []

    def call(self, method, path, body=None):
        self.calls.append((method, path))
        return super().call(method, path, body)


@pytest.fixture
def client(server):
    return Toxiproxy(HOST, server.port, restart=server.start)


@pytest.fixture
def pouring():
    """A service that sends without end to whoever connects: a client that stops reading fills every buffer on the way."""
    listener = socket.create_server((HOST, 0))
    connections = []

    def pour(connection):
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(b"x" * 65536)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(connection)
                threads.append(threading.Thread(target=pour, args=(connection,)))
                threads[-1].start()

    threads = [threading.Thread(target=accept)]
    threads[0].start()
    yield f"{HOST}:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for connection in connections:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        connection.close()
    for thread in threads:
        thread.join(10)


def answers(address, *, timeout_s=1.0):
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=timeout_s) as connection:
        connection.sendall(b"hello")
        try:
            return connection.recv(100)
        except TimeoutError:
            return None


def test_a_cut_swallows_and_a_heal_lets_through_again(client, echoing):
    proxy = client.create("a -> b", listen=f"{HOST}:0", upstream=echoing)
    assert answers(proxy.listen) == b"hello"
    state = client.add("a -> b", Timeout(stream="upstream"))
    assert state.toxics == (Timeout(stream=Stream.UPSTREAM),)
    assert answers(proxy.listen, timeout_s=0.2) is None
    healed = client.heal("a -> b")
    assert healed == proxy
    assert answers(proxy.listen) == b"hello"
    assert client.heal("a -> b") == proxy


def test_a_proxy_created_with_toxics_has_them_from_its_first_connection_on(client, echoing):
    proxy = client.create("p", listen=f"{HOST}:0", upstream=echoing, toxics=(Timeout(), Latency(latency_ms=10, jitter_ms=1)))
    assert proxy.enabled
    assert {one.name for one in proxy.toxics} == {"timeout_downstream", "latency_downstream"}
    assert answers(proxy.listen, timeout_s=0.2) is None


def test_a_toxic_is_updated_in_place(client, echoing):
    client.create("p", listen=f"{HOST}:0", upstream=echoing)
    client.add("p", Latency(latency_ms=10))
    state = client.update("p", Latency(latency_ms=20, jitter_ms=5, toxicity=0.3))
    assert state.toxics == (Latency(latency_ms=20, jitter_ms=5, toxicity=0.3),)
    assert client.read("p") == state


def test_healing_removes_toxics_that_somebody_else_added(client, echoing):
    client.create("p", listen=f"{HOST}:0", upstream=echoing)
    Toxiproxy(HOST, client.wire.port).wire.call("POST", "/proxies/p/toxics", {"type": "timeout", "name": "alien"})
    assert client.read("p").foreign == ("alien",)
    assert client.heal("p").foreign == ()


def test_a_disabled_proxy_stays_disabled_when_healed(client, echoing):
    client.create("p", listen=f"{HOST}:0", upstream=echoing)
    client.add("p", Timeout())
    client.disable("p")
    assert not client.heal("p").enabled


def wedge(client, proxy):
    """The way others remove a toxic, while a reader that stopped reading is connected."""
    host, port = proxy.listen.split(":")
    reader = socket.create_connection((host, int(port)))
    reader.recv(1)
    deadline = time.monotonic() + 10
    while True:  # until nothing moves any more on the way to the reader
        with pytest.raises(ToxiproxyUnreachable):
            Toxiproxy(HOST, client.wire.port, timeout_s=0.5).wire.call("DELETE", "/proxies/p/toxics/latency_downstream")
        with contextlib.suppress(ToxiproxyUnreachable):
            Toxiproxy(HOST, client.wire.port, timeout_s=0.5).read("p")
            assert time.monotonic() < deadline
            continue
        return reader


def test_a_reader_that_stopped_reading_does_not_wedge_the_heal(client, pouring):
    """Removing the toxic from the live proxy would hang for ever. The safe order hangs now and then, too, and is escalated."""
    proxy = client.create("p", listen=f"{HOST}:0", upstream=pouring, toxics=(Latency(latency_ms=100),))
    host, port = proxy.listen.split(":")
    with socket.create_connection((host, int(port))) as reader:
        reader.recv(1)
        client.wire = RecordingWire(HOST, client.wire.port)
        assert client.heal("p").toxics == ()
        assert client.read("p").listen == proxy.listen
    assert ("DELETE", "/proxies/p/toxics/latency_downstream") in client.wire.calls


def test_a_server_that_is_wedged_already_is_healed_by_replacing_the_proxy(client, server, pouring):
    proxy = client.create("p", listen=f"{HOST}:0", upstream=pouring, toxics=(Latency(latency_ms=100),))
    child = server.child
    with wedge(client, proxy):
        assert client.version()
        healed = client.heal("p")
    assert healed.listen == proxy.listen
    assert healed.toxics == ()
    assert server.child is child


def test_a_dead_server_is_started_again_with_all_its_proxies_and_their_faults(client, server, echoing):
    one = client.create("one", listen=f"{HOST}:0", upstream=echoing, toxics=(Timeout(),))
    two = client.create("two", listen=f"{HOST}:0", upstream=echoing, toxics=(Latency(latency_ms=5),))
    server.stop()
    assert client.heal("one").toxics == ()
    assert client.read("two") == two
    assert answers(one.listen) == b"hello"


def test_a_proxy_that_cannot_be_healed_is_the_loudest_error(server, echoing):
    client = Toxiproxy(HOST, server.port, timeout_s=0.5)
    client.create("p", listen=f"{HOST}:0", upstream=echoing, toxics=(Timeout(),))
    server.stop()
    with pytest.raises(CannotHeal, match=r"may still be there.*nobody here can restart"):
        client.heal("p")


def test_a_call_to_a_server_that_never_answers_ends_in_time():
    with socket.create_server((HOST, 0)) as silent, pytest.raises(ToxiproxyUnreachable, match=r"within 0\.1 s"):
        Toxiproxy(HOST, silent.getsockname()[1], timeout_s=0.1).read("p")


def test_a_busy_address_gives_the_servers_bind_error_and_leaves_no_proxy(client, echoing):
    with pytest.raises(CannotListen, match="address already in use") as caught:
        client.create("p", listen=echoing, upstream=echoing)
    assert caught.value.status == 500
    with pytest.raises(ProxyMissing):
        client.read("p")


def test_enabling_on_a_port_that_was_taken_meanwhile_is_an_error(client, echoing):
    proxy = client.create("p", listen=f"{HOST}:0", upstream=echoing)
    client.disable("p")
    with socket.create_server((HOST, int(proxy.listen.split(":")[1]))), pytest.raises(CannotListen):
        client.enable("p")
    assert not client.read("p").enabled


def test_refusals_are_typed(client, echoing):
    client.create("p", listen=f"{HOST}:0", upstream=echoing, toxics=(Timeout(),))
    with pytest.raises(ProxyExists):
        client.create("p", listen=f"{HOST}:0", upstream=echoing)
    with pytest.raises(ToxicExists):
        client.add("p", Timeout())
    with pytest.raises(ProxyMissing, match=r"'q' was not created here; known are \['p'\]"):
        client.heal("q")
    with pytest.raises(ToxicMissing):
        client.update("p", Latency(latency_ms=1))
    with pytest.raises(ToxiproxyError):
        client.add("q", Timeout())


def test_a_failed_second_create_leaves_the_first_one(client, echoing):
    proxy = client.create("p", listen=f"{HOST}:0", upstream=echoing)
    with pytest.raises(ProxyExists):
        client.create("p", listen=f"{HOST}:0", upstream=echoing)
    assert client.read("p") == proxy


def test_a_toxic_on_a_proxy_that_somebody_disabled_is_an_error(client, echoing):
    client.create("p", listen=f"{HOST}:0", upstream=echoing)
    client.wire.call("PATCH", "/proxies/p", {"enabled": False})
    with pytest.raises(NotAsAsked, match="disabled"):
        client.add("p", Timeout())


def test_names_are_quoted_and_impossible_ones_refused(client, echoing):
    proxy = client.create("a?b %", listen=f"{HOST}:0", upstream=echoing, toxics=(Timeout(name="x?y"),))
    assert client.heal(proxy.name).toxics == ()
    client.delete(proxy.name)
    client.delete(proxy.name)
    with pytest.raises(ProxyMissing):
        client.read(proxy.name)
    with pytest.raises(UsageError, match="'a/b' was given as a name"):
        client.create("a/b", listen=f"{HOST}:0", upstream=echoing)


def test_two_servers_from_two_threads_never_mix(servers, echoing):
    two = [servers(), servers()]

    def create(index):
        client = Toxiproxy(HOST, two[index].port)
        for number in range(20):
            client.create(f"{index}-{number}", listen=f"{HOST}:0", upstream=echoing)

    threads = [threading.Thread(target=create, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, server in enumerate(two):
        assert set(Toxiproxy(HOST, server.port).wire.call("GET", "/proxies")) == {f"{index}-{number}" for number in range(20)}


def test_a_proxy_in_the_machines_environment_is_ignored(client, echoing, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert client.create("p", listen=f"{HOST}:0", upstream=echoing).enabled


def test_a_with_block_injects_and_heals(client, echoing):
    proxy = client.create("p", listen=f"{HOST}:0", upstream=echoing)
    with client.toxic("p", Timeout()):
        assert answers(proxy.listen, timeout_s=0.2) is None
    assert client.read("p") == proxy
    with client.down("p"), pytest.raises(ConnectionRefusedError):
        answers(proxy.listen)
    assert client.read("p").enabled


def test_an_error_inside_a_with_block_stays_the_first_one(client, echoing):
    client.create("p", listen=f"{HOST}:0", upstream=echoing)

    def fail_after_losing_the_proxy():
        with client.down("p"):
            client.wire.call("DELETE", "/proxies/p")
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine") as caught:
        fail_after_losing_the_proxy()
    assert "was not put back" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    "make, complaint",
    [
        (lambda: Latency(latency_ms=-1), "latency_ms -1"),
        (lambda: Latency(latency_ms=10, jitter_ms=11), "jitter_ms 11"),
        (lambda: Latency(latency_ms=2**62), "latency_ms"),
        (lambda: Latency(latency_ms=1.5), r"latency_ms 1\.5"),
        (lambda: Bandwidth(rate_kb_per_s=0), "rate_kb_per_s 0"),
        (lambda: Slicer(average_bytes=0), "average_bytes 0"),
        (lambda: Slicer(average_bytes=10, variation_bytes=10), "variation_bytes 10"),
        (lambda: Timeout(toxicity=7), "toxicity 7"),
        (lambda: toxic("latncy"), "'latncy' is not known.*Did you mean 'latency'"),
        (lambda: toxic("latency", attributes={"latncy": 5}), "attribute 'latncy' is not known.*Did you mean 'latency'"),
        (lambda: toxic("latency", stream="upsteam", attributes={"latency": 5}), "Did you mean 'upstream'"),
        (lambda: toxic("slicer"), "'average_size' is needed"),
    ],
)
def test_what_would_do_nothing_or_end_the_server_is_refused_before_it_is_sent(make, complaint):
    with pytest.raises(UsageError, match=complaint):
        make()


def test_a_misspelt_field_is_refused():
    with pytest.raises(TypeError):
        Latency(latency=5)


def test_the_servers_words_become_our_toxic():
    assert toxic("slicer", attributes={"average_size": 64, "delay": 10}) == Slicer(average_bytes=64, delay_us=10)
    assert toxic("timeout", stream="upstream", toxicity=0.5, name="x") == Timeout(stream=Stream.UPSTREAM, toxicity=0.5, name="x")


def test_a_healing_that_hangs_keeps_no_other_proxy_waiting(client, echoing):
    began, let_go = threading.Event(), threading.Event()

    class Hanging(Wire):
        def call(self, method, path, body=None):
            if path == "/proxies/p":
                began.set()
                assert let_go.wait(10)
            return super().call(method, path, body)

    for name in ("p", "q"):
        client.create(name, listen=f"{HOST}:0", upstream=echoing, toxics=(Timeout(),))
    client.wire = Hanging(HOST, client.wire.port)
    healing = threading.Thread(target=client.heal, args=("p",))
    healing.start()
    assert began.wait(10)
    assert client.heal("q").toxics == ()
    assert healing.is_alive()
    let_go.set()
    healing.join(10)
    assert client.read("p").toxics == ()


def test_two_that_find_the_server_dead_restart_it_once(client, server, echoing):
    starts = []

    def restart():
        starts.append(1)
        server.start()

    client = Toxiproxy(HOST, server.port, restart=restart)
    for name in ("p", "q"):
        client.create(name, listen=f"{HOST}:0", upstream=echoing, toxics=(Timeout(),))
    server.stop()
    threads = [threading.Thread(target=client.heal, args=(name,)) for name in ("p", "q")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [client.read(name).toxics for name in ("p", "q")] == [(), ()]
    assert len(starts) == 1
