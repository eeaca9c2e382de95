"""Any topology as child processes on loopback: no containers, for root and for ordinary users alike.

Everything lives under one supervisor process, which ends it all when the runner dies, and every link runs through a proxy of this
environment's own Toxiproxy.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from chaoskit.environments import owner
from chaoskit.environments.hello import Address
from chaoskit.environments.ports import HOST, Ports, is_listening
from chaoskit.environments.process_service import ProcessPlace, ProcessService, can_map_users
from chaoskit.environments.programs import provide
from chaoskit.environments.proxy_link import PortProxy, ProxyLink, link_name
from chaoskit.environments.roster import Roster
from chaoskit.environments.starting import LOOK_EVERY_S, or_taken_down, start_all, wait_complete, wait_ready
from chaoskit.environments.supervision import Supervisor, SupervisorError
from chaoskit.environments.supervisor import is_inside, processes, working_folder
from chaoskit.environments.toxiproxy import Toxiproxy
from chaoskit.model.errors import CannotHeal, Unsupported
from chaoskit.model.protocols import Link, Service, Undo
from chaoskit.model.topology import Command, Ledger, Place, Port, ServiceSpec, Topology, http_hello

CUSTOMERS = "customers"
"""The client of links from outside."""
TOXIPROXY = "toxiproxy"
SWEEP_S = 5.0  # for the way that is needed only when the supervisor itself was killed
PORT_CLOSES_S = 2.0  # the kernel closes a dead process's sockets before its number is free; this is for a starved machine


class ProcessEnvironment:
    """A topology that runs as child processes.

    *logs* gets one file for each service and stays. The services' folders are made inside *directory*, the system's folder for
    temporary files by default, and are removed by `down`. Not thread-safe but for `resolve`, `address` and a link's `answer_s`.
    """

    name = "process"
    engine_address = ""
    capabilities = frozenset({"kill", "pause", "cut", "slow", "refuse", "reset", "stall", "throttle"})

    def __init__(
        self, topology: Topology, *, seed: int, options: Mapping[str, str], logs: Path, directory: Path | None = None
    ) -> None:
        self.topology = topology
        self.run = owner.new_run()
        self._seed = seed
        self._options = dict(options)
        self._logs = logs
        self._directory = directory
        self._ports = Ports()
        self._work: Path | None = None
        self._supervisor: Supervisor | None = None
        self._toxiproxy: Toxiproxy | None = None
        self._toxiproxy_version = ""
        self._roster: Roster[ProcessService] = Roster(lambda: topology, self._own_address)
        self._addresses: dict[tuple[str, str], Address] = {}
        self._proxied: dict[tuple[str, str, str], Address] = {}

    def up(self, *, is_stopping: Callable[[], bool], say: Callable[[str], None]) -> None:
        assert self._supervisor is None, "an environment goes up once"
        with or_taken_down(self.down):
            self._up(is_stopping, say)

    def _up(self, is_stopping: Callable[[], bool], say: Callable[[str], None]) -> None:
        provide("toxiproxy-server", is_stopping=is_stopping, say=say)
        self._logs.mkdir(parents=True, exist_ok=True)
        self._assign_ports()
        self._work = Path(tempfile.mkdtemp(prefix=f"chaoskit-{_plain(self.topology.name)}-", dir=self._directory)).resolve()
        (self._work / owner.MARK).write_text(self.run)  # for `chaoskit gc`, should the supervisor be killed as well
        self._supervisor = Supervisor(work=self._work, logs=self._logs.resolve(), keep_open=self._ports.descriptors)
        self._start_toxiproxy(is_stopping)
        self._roster.services |= {spec.name: self._service(spec) for spec in self.topology.services}
        start_all(self._roster.services, is_stopping=is_stopping, say=say)
        for group in self.topology.groups:
            wait_complete(group, self._roster.services, self._own_address, is_stopping=is_stopping, say=say)

    def down(self) -> None:
        problems = []
        if self._supervisor is not None:
            try:
                self._supervisor.close()
            except SupervisorError as error:
                problems += self._sweep(error)
        deadline = time.monotonic() + PORT_CLOSES_S
        ports = {address[1] for address in (*self._addresses.values(), *self._proxied.values())}
        while (open_ports := sorted(port for port in ports if is_listening(port))) and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_S)
        if open_ports:
            problems.append(f"somebody still listens on {HOST} at {', '.join(map(str, open_ports))}")
        if problems:
            raise CannotHeal(f"environment {self.name} of {self.topology.name}: {'; '.join(problems)}")
        self._ports.close()

    def permit(self, targets: tuple[str, ...]) -> None:
        """All of it is our own."""

    def service(self, name: str) -> Service:
        return self._roster.service(name)

    def log_tail(self, service: str, *, most_bytes: int) -> str:
        """The end of what a service has printed up to now, at most *most_bytes* of it; "" for nothing."""
        return self._roster.service(service).log_tail(most_bytes=most_bytes)

    def links(self, one: str, other: str) -> tuple[Link, ...]:
        return self._roster.links_between(one, other)

    def resolve(self, name: str) -> str:
        return self._roster.resolve(name)

    def undo(self, undo: Undo) -> None:
        if not self._roster.undo(undo):
            raise CannotHeal(f"undo {undo.verb!r} of {undo.target!r}: this environment knows start, resume and restore")

    def address(self, service: str, port: str) -> Address:
        return self._proxied.get((CUSTOMERS, service, port)) or self._own_address(service, port)

    def ledger(self) -> Ledger | None:
        return self.topology.ledger(self._own_address) if self.topology.ledger is not None else None

    def facts(self) -> Mapping[str, str]:
        facts = {"environment": self.name}
        if self._toxiproxy is not None:
            facts[TOXIPROXY] = self._toxiproxy_version
        if os.geteuid() == 0:
            facts["unprivileged"] = "a user namespace" if can_map_users() else "the user nobody"
        return facts | {spec.name: spec.version for spec in self.topology.services if spec.version}

    def _assign_ports(self) -> None:
        owned = [(spec.name, port.name) for spec in self.topology.services for port in spec.ports]
        linked = [(link.client, link.service, port) for link in self.topology.links for port in link.ports]
        self._ports.reserve(len(owned) + len(linked) + 1)
        self._addresses = {key: (HOST, self._ports.take()) for key in [*owned, (TOXIPROXY, "control")]}
        self._proxied = {key: (HOST, self._ports.take()) for key in linked}

    def _service(self, spec: ServiceSpec) -> ProcessService:
        assert self._work is not None
        assert self._supervisor is not None
        directory = self._work / spec.name
        directory.mkdir(mode=0o700)
        place = ProcessPlace(
            service=spec.name,
            directory=directory,
            seed=self._seed,
            options=self._options,
            addresses=self._addresses,
            proxied=self._proxied,
        )
        return ProcessService(spec, place, self._supervisor)

    def _start_toxiproxy(self, is_stopping: Callable[[], bool]) -> None:
        host, port = self._addresses[TOXIPROXY, "control"]

        def command(place: Place) -> Command:
            return Command(argv=(place.program("toxiproxy-server"), "-host", host, "-port", str(port)))

        spec = ServiceSpec(name=TOXIPROXY, ports=(Port("control", http_hello("/version")),), command=command)
        server = self._service(spec)

        def restart() -> None:
            assert self._supervisor is not None
            self._supervisor.kill(TOXIPROXY)
            server.start()

        server.launch()
        wait_ready(server, is_stopping=is_stopping)
        self._toxiproxy = Toxiproxy(host, port, restart=restart)
        self._toxiproxy_version = f"Toxiproxy {self._toxiproxy.version()}"
        hellos = {(spec.name, port.name): port.hello for spec in self.topology.services for port in spec.ports}
        links = []
        for spec_ in self.topology.links:
            proxies = []
            for port_name in spec_.ports:
                name = f"{link_name(spec_)}:{port_name}"
                listen = self._proxied[spec_.client, spec_.service, port_name]
                upstream = self._addresses[spec_.service, port_name]
                self._toxiproxy.create(name, listen=_text(listen), upstream=_text(upstream))
                proxies.append(PortProxy(name=name, address=listen, hello=hellos[spec_.service, port_name]))
            links.append(ProxyLink(spec_, tuple(proxies), self._toxiproxy))
        self._roster.links = tuple(links)

    def _sweep(self, error: SupervisorError) -> list[str]:
        """What the supervisor would have done, when it was killed: end what works inside our folder, and remove that."""
        assert self._work is not None
        deadline = time.monotonic() + SWEEP_S
        while left := [pid for pid in processes() if is_inside(working_folder(pid), str(self._work))]:
            if time.monotonic() > deadline:
                return [f"{error}; processes {left} are still there"]
            for pid in left:
                _kill(pid)
            time.sleep(LOOK_EVERY_S)
        shutil.rmtree(self._work, ignore_errors=True)
        return [f"{error}; {self._work} could not be removed"] if self._work.exists() else []

    def _own_address(self, service: str, port: str) -> Address:
        if (service, port) not in self._addresses:
            known = ", ".join(f"{one}:{other}" for one, other in self._addresses) or "none, since it is not up"
            raise Unsupported(f"{service}:{port} is not an address of this environment ({known})")
        return self._addresses[service, port]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it ended meanwhile, which is what was wanted


def _text(address: Address) -> str:
    return f"{address[0]}:{address[1]}"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", name.lower())
