"""Any topology as containers of a local engine: the same bank as in child processes, behind real network addresses.

Which image a service needs is told by the programs that its command asks its place for.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from chaoskit.environments import container_faults
from chaoskit.environments.container_undo import undo_container
from chaoskit.environments.docker_engine import engine_address
from chaoskit.environments.docker_service import DockerService
from chaoskit.environments.hello import Address
from chaoskit.environments.images import Images, provide
from chaoskit.environments.packet_link import ContainerPackets
from chaoskit.environments.ports import HOST
from chaoskit.environments.proxy_link import CAPABILITIES, link_name
from chaoskit.environments.roster import Roster
from chaoskit.environments.stack import AT_ONCE, FOLDER, TOXIPROXY, Entry, Launch, Stack
from chaoskit.environments.starting import or_taken_down, start_all, wait_complete
from chaoskit.model.errors import CannotHeal, ChaoskitError, MissingPart, Unsupported
from chaoskit.model.protocols import Link, Undo
from chaoskit.model.topology import Ledger, LinkSpec, ServiceSpec, Topology

CUSTOMERS = "customers"
"""The client of links from outside."""


class DockerEnvironment:
    """A topology that runs as containers, every link through one Toxiproxy container that is published on loopback only.

    *logs* gets one file for each service when it is taken down. An engine on another machine is refused unless *allow_remote*.
    Not thread-safe but for `resolve`, `address` and a link's `answer_s`. Client addresses stay the same across kill and start.
    """

    name = "docker"

    def __init__(
        self,
        topology: Topology,
        *,
        seed: int,
        options: Mapping[str, str],
        logs: Path,
        directory: Path | None = None,  # noqa: ARG002 - containers keep their folders themselves
        allow_remote: bool = False,
    ) -> None:
        self.topology = topology
        self._seed = seed
        self._options = dict(options)
        self._logs = logs
        self._stack = Stack(allow_remote=allow_remote)
        self._images: Images | None = None
        self._roster: Roster[DockerService] = Roster(lambda: topology, self._own_address)
        self._ports: dict[tuple[str, ...], int] = {}
        """(service, port) -> number at the service and, through Toxiproxy, here; (client, service, port) -> number of a link."""

    @property
    def capabilities(self) -> frozenset[str]:
        return CAPABILITIES | container_faults.capabilities()

    @property
    def lacks(self) -> Mapping[str, str]:
        """For each capability that is missing here, what it is that is missing, in words."""
        return container_faults.lacks()

    @property
    def run(self) -> str:
        return self._stack.run

    @property
    def engine_address(self) -> str:
        return engine_address()

    @property
    def stack(self) -> Stack:
        """The run's network, Toxiproxy and reaper."""
        return self._stack

    def up(self, *, is_stopping: Callable[[], bool], say: Callable[[str], None]) -> None:
        assert not self._roster.services, "an environment goes up once"
        with or_taken_down(self.down):
            self._up(is_stopping, say)

    def _up(self, is_stopping: Callable[[], bool], say: Callable[[str], None]) -> None:
        self._images = provide(self._stack.engine, say=say, is_stopping=is_stopping, run=self.run)
        self._logs.mkdir(parents=True, exist_ok=True)
        owned = [(spec.name, port.name) for spec in self.topology.services for port in spec.ports]
        linked = [(link.client, link.service, port) for link in self.topology.links for port in link.ports]
        self._ports = {key: self._stack.take_port() for key in (*owned, *linked)}
        self._stack.open(logs=self._logs)
        entries = tuple(self._entry(key) for key in self._ports)
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="chaoskit-create") as crew:
            made = [crew.submit(self._service, number, spec) for number, spec in enumerate(self.topology.services, start=1)]
            self._stack.start_toxiproxy(self._images.named(TOXIPROXY), entries, is_stopping=is_stopping)
            self._roster.services |= {spec.name: one.result() for spec, one in zip(self.topology.services, made, strict=True)}
        self._stack.weigh()
        self._roster.links = tuple(self._stack.link(link, self._entries(link)) for link in self.topology.links)
        start_all(self._roster.services, is_stopping=is_stopping, say=say)
        for group in self.topology.groups:
            wait_complete(group, self._roster.services, self._own_address, is_stopping=is_stopping, say=say)

    def down(self) -> None:
        problems = []
        try:
            services = self._roster.services
            if services:
                ends = {name: service.end() for name, service in services.items()}
                (self._logs / "containers.json").write_text(json.dumps({"together": self._stack.usage(), **ends}, indent=1))
            for service in services.values():
                service.save_log()
            services.clear()
        except (ChaoskitError, OSError) as error:  # an engine that does not answer, a full disk: all the same they are removed
            problems.append(str(error))
        try:
            self._stack.close()
        except CannotHeal as error:
            problems.append(str(error))
        if problems:
            raise CannotHeal(f"environment {self.name} of {self.topology.name}: {'; '.join(problems)}")

    def permit(self, targets: tuple[str, ...]) -> None:
        """All of it is our own."""

    def service(self, name: str) -> DockerService:
        return self._roster.service(name)

    def log_tail(self, service: str, *, most_bytes: int) -> str:
        """The end of what a service has printed up to now, at most *most_bytes* of it; "" for nothing."""
        return self._roster.service(service).log_tail(most_bytes=most_bytes)

    def links(self, one: str, other: str) -> tuple[Link, ...]:
        return self._roster.links_between(one, other)

    def packets(self, one: str, other: str) -> tuple[ContainerPackets, ...]:
        """The same links below Toxiproxy, for faults that lose packets instead of bytes; () while it is not up."""
        services = self._roster.services
        specs = self._roster.between(one, other) if services else ()
        return tuple(self._stack.packets(spec, self._entries(spec), caller=services.get(spec.client)) for spec in specs)

    def resolve(self, name: str) -> str:
        return self._roster.resolve(name)

    def undo(self, undo: Undo) -> None:
        if not self._roster.undo(undo) and not undo_container(self._stack.engine, undo):
            raise CannotHeal(
                f"undo {undo.verb!r} of {undo.target!r}: this environment knows start, resume, restore, and what undoes a fault "
                "of one container"
            )

    def address(self, service: str, port: str) -> Address:
        customers = (CUSTOMERS, service, port)
        return (HOST, self._ports[customers]) if customers in self._ports else self._own_address(service, port)

    def ledger(self) -> Ledger | None:
        return self.topology.ledger(self._own_address) if self.topology.ledger is not None else None

    def cpu(self) -> Mapping[str, float]:
        return self._stack.cpu()

    def facts(self) -> Mapping[str, str]:
        facts = {"environment": self.name, **self._stack.facts()}
        if self._images is not None:
            facts[TOXIPROXY] = f"Toxiproxy {self._stack.toxiproxy.version()}"
            facts |= {f"image {image.name}": f"{image.reference} {image.id}" for image in self._images.all}
        facts |= {f"memory of {name}": service.memory() for name, service in self._roster.services.items()}
        return facts | {spec.name: spec.version for spec in self.topology.services if spec.version}

    def _service(self, number: int, spec: ServiceSpec) -> DockerService:
        assert self._images is not None
        place = DockerPlace(
            service=spec.name,
            directory=FOLDER / spec.name,
            seed=self._seed,
            options=self._options,
            images=self._images,
            addresses={name: self._stack.address(number) for number, name in enumerate((TOXIPROXY, *self.topology.service_names))},
            ports=self._ports,
        )
        command = spec.command(place)
        launch = Launch(
            image=self._images.with_programs(frozenset(place.asked)).id,
            argv=command.argv,
            address=self._stack.address(number),
            variables={"HOME": str(place.directory), **command.variables},
            files=place.files,
        )
        hosts = self._stack.hosts({name: address for name, address in place.addresses.items() if name != spec.name})
        make = functools.partial(self._stack.create, spec.name, launch, hosts=hosts)
        return DockerService(spec, make(), address=self._own_address, log=self._logs / f"{spec.name}.log", remake=make)

    def _entry(self, key: tuple[str, ...]) -> Entry:
        """The way through Toxiproxy for one number. A service's own is never hurt: it is how we look past the links."""
        service, port_name = key[-2:]
        hellos = {(spec.name, port.name): port.hello for spec in self.topology.services for port in spec.ports}
        link = next((link for link in self.topology.links if (link.client, link.service) == key[:-1]), None)
        return Entry(
            name=f"{link_name(link)}:{port_name}" if link else f"{service}:{port_name}",
            port=self._ports[key],
            upstream=(self._stack.address(1 + self.topology.service_names.index(service)), self._ports[service, port_name]),
            hello=hellos[service, port_name],
        )

    def _entries(self, link: LinkSpec) -> tuple[Entry, ...]:
        return tuple(self._entry((link.client, link.service, port)) for port in link.ports)

    def _own_address(self, service: str, port: str) -> Address:
        if (service, port) not in self._ports:
            known = ", ".join(":".join(key) for key in self._ports if len(key) == 2) or "none, since it is not up"
            raise Unsupported(f"{service}:{port} is not an address of this environment ({known})")
        return (HOST, self._ports[service, port])


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerPlace:
    """Where a service lives: inside its container. This is the `Place` that topologies see."""

    service: str
    directory: Path
    seed: int
    options: Mapping[str, str]
    images: Images
    addresses: Mapping[str, str]
    """Each container's static address in the network."""
    ports: Mapping[tuple[str, ...], int]
    asked: set[str] = field(default_factory=set)
    """The programs that the command asked for: they tell which image it needs."""
    files: dict[str, str] = field(default_factory=dict)
    """What will be copied into the folder before the container is started."""

    def own(self, port: str) -> Address:
        return self._direct(self.service, port)

    def to(self, service: str, port: str) -> Address:
        return self._through(self.service, service, port) or self._direct(service, port)

    def reached_by(self, client: str, port: str) -> Address:
        return self._through(client, self.service, port) or self.own(port)

    def program(self, name: str) -> str:
        self.asked.add(name)
        return self.images.with_programs(frozenset({name})).programs[name]

    def write(self, name: str, text: str) -> Path:
        self.files[name] = text
        return self.directory / name

    def _through(self, *key: str) -> Address | None:
        return (self.addresses[TOXIPROXY], self.ports[key]) if key in self.ports else None

    def _direct(self, service: str, port: str) -> Address:
        if (service, port) not in self.ports:
            known = ", ".join(":".join(key) for key in self.ports if len(key) == 2)
            raise MissingPart(f"service {self.service}: asked for {service}:{port}, which this topology does not have ({known})")
        return self.addresses[service], self.ports[service, port]
