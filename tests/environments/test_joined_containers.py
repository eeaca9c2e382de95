"""Containers that one process has started, used by others: hurt and healed from everywhere, removed by the one that started them."""

import json
import os
import signal
import subprocess
import sys

import pytest
from testcontainers.core.container import DockerContainer

from chaoskit.environments.containers import ContainerEnvironment
from chaoskit.environments.images import provide
from chaoskit.environments.owner import is_run
from chaoskit.environments.reaper import records_folder
from chaoskit.faults.kill import Kill
from chaoskit.faults.partition import Partition
from chaoskit.model.errors import NotReady
from chaoskit.testing import JoinableContract, injected

pytestmark = [pytest.mark.docker, pytest.mark.whole]

SERVICE = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""


def declared(image, *names):
    environment = ContainerEnvironment()
    environment.link(names[0], names[1], port=8080)
    for name in names:
        environment.add(name, DockerContainer(image, command=["python3", "-c", SERVICE]), ports=(8080,))
    return environment


def victim(image, description):
    """Joins, breaks things, says so, and waits until it is killed. This file is its program."""
    environment = declared(image, "payments", "ledger")
    environment.join(json.loads(description))
    with injected(Partition(between=("payments", "ledger")), environment), injected(Kill(service="payments"), environment):
        print("broken", flush=True)
        sys.stdin.read()


@pytest.fixture(scope="module")
def image(engine):
    return provide(engine, names=("bank",)).named("bank").reference


@pytest.fixture(scope="module")
def first(image):
    with declared(image, "payments", "ledger") as first:
        yield first


@pytest.fixture
def joined(image, first):
    joined = declared(image, "payments", "ledger")
    joined.join(json.loads(json.dumps(first.shared())))
    yield joined
    joined.down()


class TestContainers(JoinableContract):
    @pytest.fixture
    def other(self, image):
        other = declared(image, "payments", "ledger", "side")
        yield other
        other.down()


def test_what_a_killed_process_has_done_to_what_it_joined_is_undone(image, first, wait_until):
    """Also to a link, which here outlives the process that has cut it."""
    words = [sys.executable, __file__, image, json.dumps(first.shared())]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "broken\n"
        (link,) = first.links("payments", "ledger")
        assert link.look(timeout_s=0.4) == "silent"
        assert not first.service("payments").is_running()
        os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda: link.look(timeout_s=1.0) == "answered" and first.service("payments").is_running(), timeout_s=30)
        wait_until(lambda: not list(records_folder().glob(f"{process.pid}-*")), timeout_s=30)
    finally:
        process.kill()
        process.communicate()


def test_what_another_has_healed_leads_where_it_led(first, joined):
    """An answer alone proves nothing: a proxy that was made anew may lead to whoever answers there."""
    names = list(first.stack.toxiproxy.wire.call("GET", "/proxies"))
    before = [first.stack.toxiproxy.read(name) for name in names]
    assert len(before) == 3
    assert [joined.stack.toxiproxy.made(name) for name in names] == before
    (link,), (theirs,) = first.links("payments", "ledger"), joined.links("payments", "ledger")
    for hurt in (
        link.refuse,
        lambda: link.cut(direction="both"),
        theirs.refuse,
        lambda: theirs.slow(latency_s=1, jitter_s=0, direction="both"),
    ):
        hurt()
        theirs.restore()
        assert [first.stack.toxiproxy.read(name) for name in names] == before


def test_what_is_gone_cannot_be_joined(image):
    first = declared(image, "payments", "ledger")
    with first:
        assert is_run(first.run)
        description = first.shared()
    late = declared(image, "payments", "ledger")
    with pytest.raises(NotReady, match=f"run {description['stack']['run']}: what it had started cannot be joined"):
        late.join(description)


if __name__ == "__main__":
    victim(*sys.argv[1:])
