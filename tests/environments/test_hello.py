"""An answer is a byte, not a connection."""

import socket

from chaoskit.environments.hello import answer_s
from chaoskit.environments.toxiproxy import Toxiproxy


def test_a_service_that_sends_a_byte_answers(echoing):
    host, port = echoing.split(":")
    assert answer_s((host, int(port)), b"hello?", timeout_s=5) > 0


def test_an_accepted_connection_alone_is_no_answer():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert answer_s(silent.getsockname(), b"hello?", timeout_s=0.05) is None
        address = silent.getsockname()
    assert answer_s(address, b"hello?", timeout_s=0.05) is None


def test_a_connection_that_ends_without_a_byte_is_no_answer(server, echoing):
    """As through a proxy whose service is dead."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        dead = gone.getsockname()[1]
    proxy = Toxiproxy("127.0.0.1", server.port).create("p", listen="127.0.0.1:0", upstream=f"127.0.0.1:{dead}")
    assert answer_s(("127.0.0.1", int(proxy.listen.split(":")[1])), b"hello?", timeout_s=5) is None
