"""Two tiny containers on a network of their own, from an image that holds one program and nothing else."""

import contextlib
import io
import os
import random
import socket
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from chaoskit.environments import container_faults
from chaoskit.environments.container_faults import ContainerFaults
from chaoskit.environments.container_process import running_pid
from chaoskit.environments.namespace import Namespace
from chaoskit.environments.programs import find_go

PORTS = (7000, 7001)
RUN = f"test-{os.getpid()}"


class Target(ContainerFaults):
    """One container with the test program, as a service."""

    def __init__(self, container, network):
        self.container = container
        self.network = network

    @property
    def name(self):
        return self.container.labels["chaoskit.service"]

    @property
    def address(self):
        self.container.reload()
        return self.container.attrs["NetworkSettings"]["Networks"][self.network.name]["IPAddress"]

    def namespace(self):
        return Namespace(running_pid(self.container))

    def connect(self, other, port=7000, *, timeout_s=5.0):
        """A connection from inside this container."""
        address = (other.address, port)
        return Line(self.namespace().do(lambda: socket.create_connection(address, timeout=timeout_s)))

    def ask(self, line, *, timeout_s=5.0):
        """One question to the program, from this machine."""
        with contextlib.closing(Line(socket.create_connection((self.address, 7000), timeout=timeout_s))) as connection:
            return connection.ask(line, timeout_s=timeout_s)


class Line:
    """A connection on which one line is answered by one line."""

    def __init__(self, connection):
        self.connection = connection
        self.file = connection.makefile("r")

    def send(self, line):
        self.connection.sendall(f"{line}\n".encode())

    def ask(self, line, *, timeout_s=5.0):
        self.send(line)
        return self.hear(timeout_s=timeout_s)

    def hear(self, *, timeout_s=5.0):
        self.connection.settimeout(timeout_s)
        data = b""
        while not data.endswith(b"\n"):
            received = self.connection.recv(1)
            if not received:
                raise ConnectionError("it was closed")
            data += received
        return data.decode().strip()

    def close(self):
        self.file.close()
        self.connection.close()


@pytest.fixture(autouse=True)
def root():
    """Most of what is tested here is done to other processes and their namespaces."""
    if missing := container_faults.lacks():
        pytest.skip(f"cannot hurt containers here: {missing}")


@pytest.fixture(scope="session")
def image(engine, tmp_path_factory):
    go = find_go()
    if go is None:
        pytest.skip("no Go to build the test's program with")
    program = tmp_path_factory.mktemp("target") / "target"
    subprocess.run(
        [go, "build", "-C", Path(__file__).parent / "target", "-ldflags", "-s -w", "-o", program, "."],
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOWORK": "off"},
        check=True,
        timeout=300,
    )
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(program, "target")
    name = f"chaoskit-test-target:{RUN}"
    entry = 'ENTRYPOINT ["/target", "7000", "7001"]'
    engine.client.api.import_image_from_data(
        archive.getvalue(), repository="chaoskit-test-target", tag=RUN, changes=[entry, "LABEL chaoskit=1"]
    )
    yield name
    engine.client.images.remove(name)


@pytest.fixture(scope="session")
def network(engine):
    import docker

    for _ in range(20):  # the range may be somebody's
        pool = docker.types.IPAMPool(subnet=f"10.{random.randint(100, 250)}.{random.randint(0, 250)}.0/24")
        with contextlib.suppress(docker.errors.APIError):
            network = engine.client.networks.create(
                f"chaoskit-{RUN}", labels=engine.labels(RUN), ipam=docker.types.IPAMConfig(pool_configs=[pool])
            )
            break
    yield network
    network.remove()


@pytest.fixture
def start(engine, image, network):
    """Starts a container. Everything is removed at the end, its rules with it."""
    import docker

    started = []

    def start(name, **options):
        container = engine.client.containers.create(
            image, name=f"{name}-{RUN}", labels=engine.labels(RUN, name), network=network.name, detach=True, **options
        )
        started.append(container)
        network.disconnect(container)
        network.connect(container, aliases=[f"{name}.bank"])
        container.start()
        target = Target(container, network)
        deadline = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError):
                target.ask("hello")
                return target
            assert time.monotonic() < deadline, container.logs()

    yield start
    for container in started:
        with contextlib.suppress(docker.errors.NotFound):  # a test may have removed it
            container.remove(force=True, v=True)


@pytest.fixture
def pair(start):
    """One that calls and one that is called."""
    return start("client"), start("server")
