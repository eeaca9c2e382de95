"""Toxiproxy waits for a reset's own time before it takes it off. Neither that link nor another one may wait as long."""

import contextlib
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from chaoskit.environments.programs import provide
from chaoskit.environments.toxics import Latency, ResetPeer
from chaoskit.environments.toxiproxy import Toxiproxy
from chaoskit.environments.toxiproxy_wire import ToxiproxyUnreachable

HOST = "127.0.0.1"
RESET_AFTER_S = 15
"""What the toxic waits for. An ordinary removal took 14.7 s of it, and every list of proxies hung meanwhile."""


@pytest.fixture
def client():
    with socket.socket() as one:
        one.bind((HOST, 0))
        port = one.getsockname()[1]
    server = subprocess.Popen(
        [provide("toxiproxy-server").path, "-host", HOST, "-port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    client = Toxiproxy(HOST, port, restart=lambda: pytest.fail("it came to a restart"))
    try:
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(ToxiproxyUnreachable):
                client.version()
                break
            assert time.monotonic() < deadline
        yield client
    finally:
        server.kill()
        server.wait()


def test_a_long_reset_delays_neither_its_own_healing_nor_another_one(client):
    began = time.monotonic()
    with socket.create_server((HOST, 0)) as listener, ThreadPoolExecutor(2) as pool:
        upstream = f"{HOST}:{listener.getsockname()[1]}"
        reset, other = (client.create(name, listen=f"{HOST}:0", upstream=upstream) for name in ("reset", "other"))
        client.add("reset", ResetPeer(timeout_ms=RESET_AFTER_S * 1000))
        client.add("other", Latency(latency_ms=100))
        host, _, port = reset.listen.rpartition(":")
        with socket.create_connection((host, int(port))) as caller:
            caller.sendall(b"the toxic waits from the first byte on")
            with listener.accept()[0]:
                healed = [pool.submit(client.heal, name) for name in ("reset", "other")]
                states = [one.result(timeout=RESET_AFTER_S - 1) for one in healed]
    assert [state.toxics for state in states] == [(), ()]
    assert [state.listen for state in states] == [reset.listen, other.listen]
    assert time.monotonic() - began < RESET_AFTER_S, "the toxic's own time was over before it was healed"
