"""Your own containers as an environment: Testcontainers declares them, this starts them on one network and lets them be hurt.

    with ContainerEnvironment() as env:                       # or env.up() and env.down()
        ...

    env = ContainerEnvironment(logs=tmp_path)
    env.add("payments-db", PostgresContainer("postgres:17"))
    way = env.link("payments", "payments-db", port=5432)      # "toxiproxy:12345": what payments must call instead
    env.add("payments", DockerContainer("acme/payments").with_env("DB", f"postgresql://test:test@{way}/test"), ports=(8080,))
    with env:
        host, port = env.address("payments", 8080)            # on loopback, the same across kill and start
        env.service("payments-db").kill()
        env.service("payments-db").start()
        (link,) = env.links("payments", "payments-db")
        link.cut(direction="answers")
        link.restore()

Everything is removed at the end of the block, also when a start failed. Faults act through docker-py on the wrapped container:
Testcontainers has no kill or pause, caches what it knows of a container's state, and forgets a port when a container restarts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from chaoskit.environments import container_faults
from chaoskit.environments.container_undo import undo_container
from chaoskit.environments.docker_engine import TARGET_LABEL, connect, engine_address
from chaoskit.environments.docker_service import DockerService
from chaoskit.environments.hello import Address
from chaoskit.environments.images import provide
from chaoskit.environments.packet_link import ContainerPackets
from chaoskit.environments.ports import HOST
from chaoskit.environments.proxy_link import CAPABILITIES, ProxyLink, link_name
from chaoskit.environments.roster import Roster
from chaoskit.environments.ryuk import without_pulling_ryuk
from chaoskit.environments.stack import TOXIPROXY, Entry, Stack, Standing
from chaoskit.environments.starting import or_taken_down, wait_ready
from chaoskit.model.errors import CannotHeal, CannotInject, ChaoskitError, NotReady, Unsupported, UsageError
from chaoskit.model.journey import Habit
from chaoskit.model.protocols import Undo
from chaoskit.model.topology import (
    POSTGRES_HELLO,
    Command,
    Currency,
    Ledger,
    LinkSpec,
    Place,
    Port,
    ServiceSpec,
    Topology,
    http_hello,
)

if TYPE_CHECKING:
    from docker.models.containers import Container
    from testcontainers.core.container import DockerContainer

READY_WITHIN_S = 60.0  # a stock database makes its cluster first; on a starved machine that took 40 s
HELLOS = {5432: POSTGRES_HELLO}
"""What is said to a port so that it answers a byte. To any other port it is an HTTP request, which most servers answer somehow."""


@dataclass(slots=True, kw_only=True)
class _Added:
    """A container that was added, and the ports that are known of it."""

    container: DockerContainer
    ready_within_s: float
    ports: set[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Customers:
    """Who uses the containers, and where they call."""

    journeys: str
    names: tuple[str, ...]
    entry: tuple[str, int]
    habits: tuple[Habit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Books:
    """How the money is read."""

    ledger: Callable[[Callable[[str, str], Address]], Ledger]
    currency: Currency | None
    opening: Callable[[int, Mapping[str, str]], Mapping[str, int]] | None


class ContainerEnvironment:
    """Containers that are not the bank's, as an environment that experiments, faults and tests can use.

    *logs* gets one file for each service at the end; None keeps no logs. An engine elsewhere is refused unless *allow_remote*.
    A context manager: entering starts everything, leaving removes it. Raises `MissingEngine` and `Unsupported` when it is made.
    """

    name = "docker"

    def __init__(self, *, logs: Path | None = None, allow_remote: bool = False) -> None:
        self._logs = logs
        # At once: Testcontainers connects when the first container is declared, and what it raises is no reason to skip a test.
        connect(allow_remote=allow_remote).client.close()
        self._stack = Stack(allow_remote=allow_remote)
        self._added: dict[str, _Added] = {}
        self._specs: dict[tuple[str, str], LinkSpec] = {}
        """One for each client and service."""
        self._ports: dict[tuple[str, ...], int] = {}
        """(client, service, port) -> number of a link; (service, port) -> number that goes past all links."""
        self._hellos: dict[tuple[str, int], bytes] = {}
        self._roster: Roster[DockerService] = Roster(lambda: self.topology, self._own_address)
        self._customers: _Customers | None = None
        self._books: _Books | None = None
        self._remembered: set[str] = set()

    def add(
        self,
        name: str,
        container: DockerContainer,
        *,
        ports: tuple[int, ...] = (),
        hello: Mapping[int, bytes] | None = None,
        ready_within_s: float = READY_WITHIN_S,
    ) -> None:
        """Take a container in as service *name*, under which the others may also call it directly.

        *ports* are reached from here by `address`, besides those that it exposes and those of links. *hello* says what to
        send to a port so that a healthy service answers. A container that runs already must carry the label `chaoskit.target=true`.
        Raises `UsageError`.
        """
        self._must_be_down(f"service {name!r} was added")
        if name in self._added:
            raise UsageError(f"service {name!r} was added twice; give the second container a name of its own")
        if name == TOXIPROXY or not name or not set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-"):
            raise UsageError(
                f"{name!r} was given as a service; expected lower-case letters, digits and hyphens, and not {TOXIPROXY!r}"
            )
        if container._network is not None:  # noqa: SLF001 - there is no public way to ask
            raise UsageError(
                f"service {name!r}: its container has a network of its own; leave with_network out, it is given one here"
            )
        exposed = {int(str(port).partition("/")[0]) for port in container.ports}
        self._added[name] = _Added(container=container, ready_within_s=ready_within_s, ports={*ports, *exposed, *(hello or {})})
        self._hellos |= {(name, port): said for port, said in (hello or {}).items()}

    def link(self, client: str, service: str, *, port: int, hello: bytes | None = None) -> str:
        """Declare that *client* calls *service*, and return where it must call it instead: `host:port`, through Toxiproxy.

        A *client* that is no service is outside: then call what `address` says. Both names may be added later.
        """
        self._must_be_down(f"link {client} -> {service} was declared")
        key = (client, service, str(port))
        if key in self._ports:
            raise UsageError(f"link {client} -> {service} at port {port} was declared twice")
        if hello is not None:
            self._hellos[service, port] = hello
        self._ports[key] = self._stack.take_port()
        before = self._specs.get((client, service))
        ports = (*(before.ports if before else ()), str(port))
        self._specs[client, service] = LinkSpec(client=client, service=service, ports=ports)
        return f"{TOXIPROXY}:{self._ports[key]}"

    def customers(self, journeys: str, *, names: tuple[str, ...], entry: tuple[str, int], habits: tuple[Habit, ...] = ()) -> None:
        """Declare who uses these containers, so that experiments and `Chaos.load` can let customers in.

        *journeys* is the reference `module:function` of a function `(options, seed)` that gives a journey
        (`chaoskit.model.journey`) for each of *names*; the load imports it in a process of its own, along this one's path.
        *entry* is the service and port that they call, by HTTP; *habits* are what its journeys heed of `visit.habit`. Raises
        `UsageError`.
        """
        self._must_be_down(f"customers {journeys!r} were declared")
        if self._customers is not None:
            raise UsageError(f"customers {journeys!r} were declared after {self._customers.journeys!r}; give all journeys in one")
        module, colon, function = journeys.partition(":")
        if not (colon and function.isidentifier() and all(part.isidentifier() for part in module.split("."))):
            raise UsageError(f"customers {journeys!r}: expected module:function, such as 'payments_journeys:journeys'")
        if not names:
            raise UsageError(f"customers {journeys!r}: no names were given; name its journeys, such as names=('pay', 'look')")
        self._customers = _Customers(journeys=journeys, names=names, entry=entry, habits=habits)

    def books(
        self,
        ledger: Callable[[Callable[[str, str], Address]], Ledger],
        *,
        currency: Currency | None = None,
        opening: Callable[[int, Mapping[str, str]], Mapping[str, int]] | None = None,
    ) -> None:
        """Declare how the money of these containers is read at the end of a run, so that it can be judged.

        *ledger* is a function that makes a ledger (`chaoskit.ledgers`) from a function `address(service, port)` with the port as
        text; what it reaches so is no link, and cannot be cut. *currency* says how amounts are shown. *opening* gives the balances
        at the beginning from the seed and options; without it they are read when a run begins. Raises `UsageError`.
        """
        self._must_be_down("books were declared")
        if self._books is not None:
            raise UsageError("books were declared twice; declare one ledger for all of the money")
        self._books = _Books(ledger=ledger, currency=currency, opening=opening)

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            self.down()
        except ChaoskitError as second:
            if error is None:
                raise
            error.add_note(f"and not everything could be removed: {second}")

    def up(self, *, is_stopping: Callable[[], bool] = lambda: False, say: Callable[[str], None] = lambda _: None) -> None:
        """Start every container, those that are called before those that call them. On failure everything is removed.

        Blocks up to the containers' own limits. Raises `MissingPart`, `UsageError`, `NotReady` with the last log lines, `Stopped`.
        """
        assert not self._roster.services, "an environment goes up once"
        with or_taken_down(self.down):
            self._up(is_stopping, say)

    def shared(self) -> Mapping[str, object]:
        """How another process finds these containers, which are up; see `join`."""
        return {
            "services": {name: str(service.container.id) for name, service in self._roster.services.items()},
            "ports": [[*key, number] for key, number in self._ports.items()],
            "stack": asdict(self._stack.standing()),
        }

    def join(self, description: Mapping[str, object]) -> None:
        """Instead of `up`: use what another process has started from the same declarations, of which *description* is `shared`.

        It is hurt and healed from here as from there; `down` only lets go of it. Raises `UsageError` when it was declared
        otherwise, and `NotReady` when it is gone.
        """
        assert not self._roster.services, "an environment goes up once"
        with or_taken_down(self.down):
            self._join(**description)  # type: ignore[arg-type]  # what `shared` gives, which JSON has carried

    def _join(self, *, services: Mapping[str, str], ports: list[list[str | int]], stack: dict[str, object]) -> None:
        import docker

        self._check_names()
        theirs = {tuple(map(str, key)): int(number) for *key, number in ports}
        ours = {*self._ports, *((name, str(port)) for name, added in self._added.items() for port in added.ports)}
        if list(services) != self._order() or set(theirs) != ours:
            only = sorted(":".join(key) for key in set(theirs) ^ ours) or [f"{', '.join(services)} in this order"]
            raise UsageError(
                f"environment {self.name} of {', '.join(self._added)}: another process has brought it up from other declarations, "
                f"which differ in {', '.join(only)}; declare the same in each process"
            )
        self._ports = theirs
        self._stack.join(Standing(**stack))  # type: ignore[arg-type]  # as above
        self._stack.adopt(tuple(self._entry(key) for key in self._ports))
        self._roster.links = tuple(self._stack.link(spec, self._entries(spec)) for spec in self._specs.values())
        containers = self._stack.engine.client.containers
        try:
            for name, found in services.items():
                self._roster.services[name] = DockerService(
                    self._spec(name), containers.get(found), address=self._own_address, log=None
                )
        except (docker.errors.DockerException, OSError) as error:
            raise NotReady(f"service {name}: its container, which another process has started, cannot be had: {error}") from error

    def _check_names(self) -> None:
        """Whether links and customers name what was added, whose ports are then known. Raises `UsageError`."""
        for spec in self._specs.values():
            if spec.service not in self._added:
                known = ", ".join(self._added) or "none"
                raise UsageError(f"link {link_name(spec)}: {spec.service!r} was not added; known are {known}")
            self._added[spec.service].ports |= set(map(int, spec.ports))
        if self._customers is not None:
            name, port = self._customers.entry
            if name not in self._added:
                known = ", ".join(self._added) or "none"
                raise UsageError(f"customers {self._customers.journeys!r}: {name!r} was not added; known are {known}")
            self._added[name].ports.add(port)

    def _up(self, is_stopping: Callable[[], bool], say: Callable[[str], None]) -> None:
        self._check_names()
        order = self._order()
        for name, added in self._added.items():
            self._ports |= {(name, str(port)): self._stack.take_port() for port in sorted(added.ports)}
        images = provide(self._stack.engine, names=(TOXIPROXY,), say=say, is_stopping=is_stopping, run=self.run)
        self._stack.open(logs=self._logs)
        entries = tuple(self._entry(key) for key in self._ports)
        self._stack.start_toxiproxy(images.named(TOXIPROXY), entries, is_stopping=is_stopping)
        self._roster.links = tuple(self._stack.link(spec, self._entries(spec)) for spec in self._specs.values())
        for name in order:
            self._start(name)
            wait_ready(self._roster.services[name], is_stopping=is_stopping)
            say(f"{name} answers")
        self._stack.weigh()

    def down(self) -> None:
        """Remove everything, or let go of what was joined. May be called at any time and twice. Raises `CannotHeal`."""
        problems = []
        try:
            for service in self.started:
                service.save_log()
        except OSError as error:  # a full disk: all the same they are removed
            problems.append(f"logs could not be kept: {error}")
        self._roster.services.clear()
        try:
            self._stack.close()
        except CannotHeal as error:
            problems.append(str(error))
        if problems:
            raise CannotHeal(f"environment {self.name} of {', '.join(self._added)}: {'; '.join(problems)}")

    @property
    def topology(self) -> Topology:
        """The containers and links as experiments see them, with what `customers` and `books` have declared."""
        who, books = self._customers, self._books
        return Topology(
            name="containers",
            services=tuple(self._spec(name) for name in self._added),
            links=tuple(self._specs.values()),
            entry=(who.entry[0], str(who.entry[1])) if who else ("", ""),
            journeys=who.journeys if who else "",
            journey_names=who.names if who else (),
            habit_names=tuple(habit.value for habit in who.habits) if who else (),
            ledger=books.ledger if books else None,
            opening=books.opening if books else None,
            currency=books.currency if books else None,
        )

    @property
    def capabilities(self) -> frozenset[str]:
        return CAPABILITIES | container_faults.capabilities()

    @property
    def lacks(self) -> Mapping[str, str]:
        """For each capability that is missing here, what it is that is missing, in words."""
        return container_faults.lacks()

    @property
    def run(self) -> str:
        return "" if self._stack.is_joined else self._stack.run  # what was joined is another process's to remove

    @property
    def engine_address(self) -> str:
        return engine_address()

    @property
    def stack(self) -> Stack:
        """The run's network, Toxiproxy and reaper."""
        return self._stack

    @property
    def started(self) -> tuple[DockerService, ...]:
        """Every service that is up, in the order in which they were started."""
        return tuple(self._roster.services.values())

    def permit(self, targets: tuple[str, ...]) -> None:
        """All containers that were started here are our own; a guest must still carry the label `chaoskit.target=true`."""
        import docker

        guests = {guest.id for guest in self._stack.guests}
        for name in {word for target in targets for word in target.split(" -> ")} & self._roster.services.keys():
            container = self._roster.services[name].container
            if container.id in guests:
                try:
                    container.reload()
                except docker.errors.DockerException as error:
                    raise CannotInject(f"service {name!r}: whether it may be hurt cannot be seen: {error}") from error
                if problem := _not_marked(name, container):
                    raise CannotInject(f"{problem} any more; nothing was done to it")

    def remember(self, name: str, undo: tuple[Undo, ...]) -> None:
        """Before a fault called *name*: what it does to guests will be undone by the reaper, should this process die.

        All that is ours goes when it is removed and needs no record. Raises `CannotInject`.
        """
        guests = {guest.id for guest in self._stack.guests}
        elsewhere = tuple(one for one in undo if self._stack.is_joined or one.details.get("container") in guests)
        if elsewhere:
            self._stack.reaper.remember(name, elsewhere)
            self._remembered.add(name)

    def forget(self, name: str) -> None:
        """The fault was undone and seen to be gone. Raises `CannotHeal`."""
        if name in self._remembered:
            self._stack.reaper.forget(name)
            self._remembered.discard(name)

    def service(self, name: str) -> DockerService:
        """A service that can be killed, started, paused and squeezed. Raises `Unsupported`."""
        return self._roster.service(name)

    def log_tail(self, service: str, *, most_bytes: int) -> str:
        """The end of what a service has printed up to now, at most *most_bytes* of it; "" for nothing."""
        return self._roster.service(service).log_tail(most_bytes=most_bytes)

    def links(self, one: str, other: str) -> tuple[ProxyLink, ...]:
        """Every link between two, whichever of them calls; () if there is none. Raises `Unsupported` for an unknown name."""
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
            raise CannotHeal(f"undo {undo.verb!r} of {undo.target!r}: this environment does not know it")

    def address(self, service: str, port: str | int) -> Address:
        """Where a client outside reaches a port: through the link of such a client, if one was declared. Raises `Unsupported`."""
        outside = (
            self._ports[spec.client, service, str(port)]
            for spec in self._specs.values()
            if spec.client not in self._added and spec.service == service and str(port) in spec.ports
        )
        number = next(outside, None) or self._ports.get((service, str(port)))
        if number is None or not self._roster.services:
            known = ", ".join(":".join(key) for key in self._ports if len(key) == 2) or "none, since it is not up"
            raise Unsupported(f"{service}:{port} is not an address of this environment ({known}); add it with ports=({port},)")
        return (HOST, number)

    def ledger(self) -> Ledger | None:
        """The reader of the money; None unless `books` has declared one."""
        return None if self._books is None else self._books.ledger(self._past_links)

    def cpu(self) -> Mapping[str, float]:
        return self._stack.cpu()

    def facts(self) -> Mapping[str, str]:
        facts = {"environment": self.name, **self._stack.facts()}
        for name, service in self._roster.services.items():
            facts[f"image {name}"] = str(service.container.attrs["Image"])
            facts[f"memory of {name}"] = service.memory()
        return facts

    def _start(self, name: str) -> None:
        """Let Testcontainers start it, with what makes it ours. Its own wait strategy is waited for, too."""
        import docker

        added = self._added[name]
        container = added.container
        hosts = self._stack.hosts({other: self._static(other) for other in self._added if other != name})
        try:
            if _wrapped(container) is not None:
                self._attach(name, container)
            else:
                container._docker.client = self._stack.engine.client  # noqa: SLF001 - its own follows variables to other machines
                # It would publish everywhere; what its type does not tell is that docker-py takes a host address here.
                container.ports = {port: (HOST, fixed) for port, fixed in container.ports.items()}  # type: ignore[misc]
                container._kwargs = self._kwargs(name, container, hosts)  # noqa: SLF001 - with_kwargs forgets the user's
                try:
                    with without_pulling_ryuk():
                        container.start()
                finally:
                    made = _wrapped(container)  # a wait that failed leaves it there
                    if made is not None:
                        self._stack.containers[name] = made
        except (docker.errors.DockerException, OSError, RuntimeError) as error:  # a wait that timed out is an OSError
            made = _wrapped(container)
            log = made.logs(tail=12).decode(errors="replace") if made is not None else "it was not made"
            raise NotReady(
                f"service {name}: container of {container.image} did not start: {error}; the end of its log:\n{log}"
            ) from error
        wrapped = container.get_wrapped_container()
        log_path = None if self._logs is None else self._logs / f"{name}.log"
        self._roster.services[name] = DockerService(self._spec(name), wrapped, address=self._own_address, log=log_path)

    def _kwargs(self, name: str, container: DockerContainer, hosts: Mapping[str, str]) -> dict[str, object]:
        """What the user asked for and what makes the container ours, in one: Testcontainers' own setters replace each other."""
        asked, stack = container._kwargs, self._stack  # noqa: SLF001
        aliases = [name, *(container._network_aliases or ())]  # noqa: SLF001
        endpoint = stack.engine.client.api.create_endpoint_config(aliases=aliases, ipv4_address=self._static(name))
        return {
            "init": True,
            **({"cgroup_parent": stack.group} if stack.group else {}),
            **asked,
            "labels": {**(asked.get("labels") or {}), **stack.engine.labels(stack.run, name)},
            "extra_hosts": {**(asked.get("extra_hosts") or {}), **hosts},
            "network": stack.network.name,
            "networking_config": {stack.network.name: endpoint},
        }

    def _attach(self, name: str, container: DockerContainer) -> None:
        """Take in a container that runs already. It is let go when the network is removed, and stays."""
        wrapped = container.get_wrapped_container()
        wrapped.reload()
        if problem := _not_marked(name, wrapped):
            raise UsageError(f"{problem}; add it before it is started, or label it if it may be hurt")
        self._stack.network.connect(wrapped, aliases=[name], ipv4_address=self._static(name))
        self._stack.guests.append(wrapped)

    def _order(self) -> list[str]:
        """Those that are called first. Raises `UsageError` for a circle."""
        calls = {name: {s.service for s in self._specs.values() if s.client == name and s.service != name} for name in self._added}
        order: list[str] = []
        while len(order) < len(calls):
            ready = [name for name, called in calls.items() if name not in order and called.issubset(order)]
            if not ready:
                circle = ", ".join(name for name in calls if name not in order)
                raise UsageError(f"services {circle} call each other in a circle, so none can be started first; leave out one link")
            order += ready
        return order

    def _entry(self, key: tuple[str, ...]) -> Entry:
        service, port = key[-2:]
        name = f"{service}:{port}" if len(key) == 2 else f"{key[0]} -> {service}:{port}"
        upstream = (self._static(service), int(port))
        return Entry(name=name, port=self._ports[key], upstream=upstream, hello=self._hello(service, int(port)))

    def _spec(self, name: str) -> ServiceSpec:
        added = self._added[name]
        return ServiceSpec(
            name=name,
            ports=tuple(Port(str(port), self._hello(name, port)) for port in sorted(added.ports)),
            command=_no_command,
            ready_within_s=added.ready_within_s,
            version=added.container.image,
        )

    def _entries(self, spec: LinkSpec) -> tuple[Entry, ...]:
        return tuple(self._entry((spec.client, spec.service, port)) for port in spec.ports)

    def _hello(self, service: str, port: int) -> bytes:
        return self._hellos.get((service, port)) or HELLOS.get(port) or http_hello("/")

    def _own_address(self, service: str, port: str) -> Address:
        return (HOST, self._ports[service, port])

    def _past_links(self, service: str, port: str) -> Address:
        """Where we ourselves reach a port, whatever is done to links. Raises `Unsupported`."""
        if (service, str(port)) not in self._ports:
            return self.address(service, port)  # which says what there is
        return self._own_address(service, str(port))

    def _static(self, name: str) -> str:
        return self._stack.address(1 + list(self._added).index(name))

    def _must_be_down(self, what: str) -> None:
        if self._roster.services:
            raise UsageError(f"{what} while the environment is up; declare everything before it is started")


def _not_marked(name: str, container: Container) -> str:
    """Why a container that is not ours may not be hurt, "" if it may."""
    if container.labels.get(TARGET_LABEL) == "true":
        return ""
    return f"service {name!r}: its container {container.name} runs already and does not carry the label {TARGET_LABEL}=true"


def _wrapped(container: DockerContainer) -> Container | None:
    """docker-py's object, None for one that was never started."""
    return container._container  # noqa: SLF001 - the public name raises


def _no_command(_place: Place) -> Command:
    raise Unsupported("these containers are started by Testcontainers, not by a command of a topology")
