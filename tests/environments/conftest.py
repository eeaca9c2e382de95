"""What the tests of environments share: ports of their own, a Toxiproxy, a service that echoes, and a topology of tiny services."""

import contextlib
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from chaoskit.environments.ports import HOST, Ports
from chaoskit.environments.process import ProcessEnvironment
from chaoskit.environments.programs import provide
from chaoskit.environments.toxiproxy import Toxiproxy
from chaoskit.environments.toxiproxy_wire import ToxiproxyUnreachable
from chaoskit.model.topology import Command, GroupSpec, LinkSpec, Port, RoleState, ServiceSpec, Topology


class Server:
    """One Toxiproxy process that can be started again at the same port."""

    def __init__(self, port):
        self.port = port
        self.child = None
        self.start()

    def start(self):
        self.stop()
        self.child = subprocess.Popen(
            [provide("toxiproxy-server").path, "-host", HOST, "-port", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(ToxiproxyUnreachable):
                Toxiproxy(HOST, self.port).version()
                return
            assert time.monotonic() < deadline
            assert self.child.poll() is None

    def stop(self):
        if self.child is not None:
            self.child.kill()
            self.child.wait()


@pytest.fixture
def ports():
    ports = Ports()
    ports.reserve(10)
    yield ports
    ports.close()


@pytest.fixture
def servers(ports):
    """Starts Toxiproxy servers."""
    started = []

    def start():
        started.append(Server(ports.take()))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def server(servers):
    return servers()


@pytest.fixture
def echoing():
    """The address of a service that sends everything back."""
    listener = socket.create_server((HOST, 0))

    def serve(connection):
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(65536):
                connection.sendall(data)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    yield f"{HOST}:{listener.getsockname()[1]}"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)


@pytest.fixture
def wait_until():
    def wait(condition, *, timeout_s=10.0):
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "the condition did not come true in time"
            time.sleep(0.005)

    return wait


@pytest.fixture
def is_alive():
    def look(pid):
        with contextlib.suppress(OSError):
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        return False

    return look


# Answers every connection with the first line of the file `answer`, and writes down what it was sent.
TINY = """
import os, socket, sys
print("uid", os.getuid(), flush=True)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = listener.accept()
    with connection:
        try:
            connection.settimeout(2)
            print("got", connection.recv(100), flush=True)
            connection.sendall(open("answer").readline().encode())
        except OSError as error:
            print(error, flush=True)
"""
DESCENDANT = """
import os, time
if os.fork() == 0:
    os.setsid()
    time.sleep(600)
"""


def tiny(name, *, answer="hello", unprivileged=False, before="", **more):
    def command(place):
        if not (place.directory / "answer").exists():
            place.write("answer", answer)
        code = before + TINY
        return Command(argv=(place.program("python"), "-c", code, str(place.own("main")[1])), unprivileged=unprivileged)

    return ServiceSpec(name=name, ports=(Port("main", b"hello?"),), command=command, **more)


def read_role(member, address, *, timeout_s):
    """The members of tiny groups answer with their role."""
    try:
        with socket.create_connection(address, timeout=timeout_s) as connection:
            connection.sendall(b"role?")
            role = connection.recv(100).decode() or "down"
    except OSError:
        role = "down"
    return RoleState(member=member, role=role, accepts_writes=role == "primary", streaming=role == "primary")


def topology(*services, links=(), groups=()):
    return Topology(
        name="Tiny services",
        services=services,
        links=tuple(LinkSpec(client=client, service=service, ports=("main",)) for client, service in links),
        groups=groups,
        entry=(services[0].name, "main"),
        journeys="none:none",
        journey_names=(),
    )


def shop():
    """A front that calls a back, which calls the front; customers call the front; and a pair of which one is primary."""
    return topology(
        tiny("front", after=("back",)),
        tiny("back", before=DESCENDANT),
        tiny("pair-1", answer="primary"),
        tiny("pair-2", answer="standby"),
        links=[("customers", "front"), ("front", "back"), ("back", "front")],
        groups=(GroupSpec(name="pair", members=("pair-1", "pair-2"), port="main", read_role=read_role, complete_within_s=5),),
    )


class Places:
    """Makes environments inside a folder, and takes them down at the end."""

    tiny = staticmethod(tiny)
    topology = staticmethod(topology)
    shop = staticmethod(shop)
    read_role = staticmethod(read_role)

    def __init__(self, folder):
        self.logs = folder / "logs"
        self.directory = folder / "work"
        self.directory.mkdir()
        self.made = []
        self.said = []

    def make(self, topology):
        self.made.append(ProcessEnvironment(topology, seed=1, options={}, logs=self.logs, directory=self.directory))
        return self.made[-1]

    def up(self, topology):
        environment = self.make(topology)
        environment.up(is_stopping=lambda: False, say=self.said.append)
        return environment

    def mine(self):
        """The processes that work inside our folder: everything that we started but the supervisors."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and str((entry / "cwd").readlink()).startswith(str(self.directory)):
                    found.append(int(entry.name))
        return found


@pytest.fixture
def places(tmp_path):
    places = Places(tmp_path)
    yield places
    for environment in places.made:
        environment.down()
    assert places.mine() == []
    assert list(places.directory.iterdir()) == []
