"""What every environment of containers stands on: one run's network, its Toxiproxy, fixed ports of this machine, and its removal.

All addresses are static and all names are in the containers' hosts files, so no look-up ever leaves a container: a name that the
engine does not know any more is asked for elsewhere, and that can take ten seconds.
"""

from __future__ import annotations

import contextlib
import io
import ipaddress
import tarfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from chaoskit.environments import owner
from chaoskit.environments.container_process import held_back, present_pid
from chaoskit.environments.docker_engine import Engine, connect
from chaoskit.environments.hello import Address, answer_s
from chaoskit.environments.images import Image
from chaoskit.environments.packet_link import ContainerPackets, Flow
from chaoskit.environments.ports import HOST, Ports
from chaoskit.environments.proxy_link import PortProxy, ProxyLink, link_name
from chaoskit.environments.reaper import Reaper
from chaoskit.environments.starting import LOOK_EVERY_S, check
from chaoskit.environments.toxiproxy import Toxiproxy
from chaoskit.environments.toxiproxy_wire import ToxiproxyUnreachable
from chaoskit.model.errors import CannotHeal, MissingPart, NotReady
from chaoskit.model.topology import LinkSpec, http_hello

if TYPE_CHECKING:
    from docker.models.containers import Container
    from docker.models.networks import Network

    from chaoskit.environments.docker_service import DockerService

TOXIPROXY = "toxiproxy"
FOLDER = Path("/var/lib/chaoskit")
"""Where a service's own folder is, inside its container."""
NOBODY = 65534  # Debian's user without rights; it has a name, which initdb asks for
MEMORY = 1 << 30  # ten times what the largest service of the bank needs. A number, since "unlimited" cannot be restored
CPU_SHARES = 1024  # one ordinary process's weight, for each container
READY_WITHIN_S = 20.0  # a tenth of a second on a quiet machine
ROUTED_S = 1.0  # it has just answered through its published port
# A neighbour that is gone is known to be so within a second. The kernel's own 3 s to 40 s would hold up Toxiproxy, which calls one
# at a time and answers its control only in between: a killed container would make the healing of another fault late.
NEIGHBOURS = {"retrans_time_ms": "100", "base_reachable_time_ms": "50", "delay_first_probe_time": "0"}
ENDPOINT_SYSCTLS_API = (1, 46)
AT_ONCE = 4  # the engine makes or removes a container in a third of a second, most of it waiting for the kernel
NETWORK_TRIES = 5  # somebody else may take the range that was free a moment ago
CGROUP_V1 = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A way through Toxiproxy: it listens at *port*, inside the network and on this machine alike, and calls *upstream*."""

    name: str
    port: int
    upstream: Address
    hello: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What a container of ours is made of."""

    image: str
    argv: tuple[str, ...]
    address: str
    variables: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] | None = None
    """What its folder begins with; None for one that has no folder."""
    published: tuple[int, ...] = ()
    neighbours: Mapping[str, str] = field(default_factory=dict)
    """Settings of the kernel for how it looks for other containers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What another process must know of a stack that is open, as plain data."""

    run: str
    network: str
    """Its id, as those of containers are."""
    subnet: str
    control: int
    is_routed: bool
    has_weight: bool
    containers: dict[str, str]
    guests: list[str]


class Stack:
    """One run's containers and what they share. *open* and *close* in this order; `close` may be called at any time and twice."""

    def __init__(self, *, allow_remote: bool = False) -> None:
        self.run = owner.new_run()
        self.ports = Ports()
        self.containers: dict[str, Container] = {}
        self.guests: list[Container] = []
        """Containers of somebody else's on our network: they are let go, not removed."""
        self._allow_remote = allow_remote
        self._engine: Engine | None = None
        self._network: Network | None = None
        self._subnet = ipaddress.ip_network("10.0.0.0/24")
        self._reaper: Reaper | None = None
        self._toxiproxy: Toxiproxy | None = None
        self._has_weight = False
        self.is_joined = False
        """Whether another process has opened it, and removes it: here it is only let go of."""
        self._control = 0
        self._is_routed = False
        """Whether this machine reaches containers by their own addresses: not so with an engine in a virtual machine."""

    @property
    def engine(self) -> Engine:
        if self._engine is None:
            self._engine = connect(allow_remote=self._allow_remote)
        return self._engine

    @property
    def toxiproxy(self) -> Toxiproxy:
        assert self._toxiproxy is not None, "the stack is not open"
        return self._toxiproxy

    @property
    def network(self) -> Network:
        assert self._network is not None, "the stack is not open"
        return self._network

    @property
    def reaper(self) -> Reaper:
        if self._reaper is None and self.is_joined:
            # Of a run that makes nothing, so it removes nothing: it undoes what this process did, should that be killed.
            self._reaper = Reaper.start(owner.new_run(), engine_address=self.engine.address)
        assert self._reaper is not None, "the stack is not open"
        return self._reaper

    @property
    def group(self) -> str | None:
        """The control group that all containers share; None where each has a weight of its own."""
        return f"/chaoskit-{self.run}" if self.engine.has_cgroup_parents else None

    def open(self, *, logs: Path | None) -> None:
        """Start the reaper and make the network. Raises `MissingPart` when there is no engine to do it."""
        self._reaper = Reaper.start(self.run, engine_address=self.engine.address, log=None if logs is None else logs / "reaper.log")
        self._network = self._make_network()

    def standing(self) -> Standing:
        return Standing(
            run=self.run,
            network=str(self.network.id),
            subnet=str(self._subnet),
            control=self._control,
            is_routed=self._is_routed,
            has_weight=self._has_weight,
            containers={name: str(container.id) for name, container in self.containers.items()},
            guests=[str(guest.id) for guest in self.guests],
        )

    def join(self, standing: Standing) -> None:
        """Instead of `open` and `start_toxiproxy`: use what another process has opened. Raises `NotReady` when it is gone.

        Then comes `adopt`, with entries made of the addresses that are known by then.
        """
        import docker

        self.is_joined, self.run = True, standing.run
        self.ports.close()
        self._subnet, self._control = ipaddress.ip_network(standing.subnet), standing.control
        self._is_routed, self._has_weight = standing.is_routed, standing.has_weight
        containers = self.engine.client.containers
        try:
            self._network = self.engine.client.networks.get(standing.network)
            self.containers = {name: containers.get(one) for name, one in standing.containers.items()}
            self.guests = [containers.get(one) for one in standing.guests]
        except (docker.errors.DockerException, OSError) as error:
            raise NotReady(f"run {standing.run}: what it had started cannot be joined: {error}") from error
        self._toxiproxy = self._toxiproxy_in(self.containers[TOXIPROXY])

    def adopt(self, entries: tuple[Entry, ...]) -> None:
        """The ways that are there, as they were made."""
        for entry in entries:
            self.toxiproxy.adopt(entry.name, listen=self._listen(entry), upstream=_upstream(entry))

    def take_port(self) -> int:
        """A port of this machine that stays ours."""
        self.ports.reserve(1)
        return self.ports.take()

    def address(self, number: int) -> str:
        """The static address of the container with this number, from 0."""
        return str(self._subnet[number + 2])  # the first one is the engine's own

    def hosts(self, names: Mapping[str, str]) -> dict[str, str]:
        """Every container's hosts entries."""
        return {TOXIPROXY: self.address(0), **names}

    def start_toxiproxy(self, image: Image, entries: tuple[Entry, ...], *, is_stopping: Callable[[], bool]) -> None:
        """Start the one Toxiproxy, publish its ports on loopback only, and make a way for each of *entries*."""
        self._control = control = self.take_port()
        address = self.address(0)
        launch = Launch(
            image=image.id,
            argv=("-host", address, "-port", str(control)),
            address=address,
            published=(control, *(entry.port for entry in entries)),
            neighbours=NEIGHBOURS,
        )
        container = self.create(TOXIPROXY, launch, hosts={})
        container.start()
        toxiproxy = self._toxiproxy_in(container)
        self._wait_toxiproxy(container, toxiproxy, is_stopping)
        self._is_routed = answer_s((address, control), http_hello("/version"), timeout_s=ROUTED_S) is not None
        for entry in entries:
            toxiproxy.create(entry.name, listen=self._listen(entry), upstream=_upstream(entry))
        self._toxiproxy = toxiproxy

    def link(self, spec: LinkSpec, entries: tuple[Entry, ...]) -> ProxyLink:
        """The link whose ways are *entries*. Hellos go to Toxiproxy's own door where this machine reaches it.

        A published port is accepted by the engine's own proxy, which closes what nobody takes: a refusal is not seen through it.
        """
        proxies = (PortProxy(name=entry.name, address=self._door(entry), hello=entry.hello) for entry in entries)
        return ProxyLink(spec, tuple(proxies), self.toxiproxy, is_lasting=self.is_joined)

    def packets(self, spec: LinkSpec, entries: tuple[Entry, ...], *, caller: DockerService | None) -> ContainerPackets:
        """The same link below Toxiproxy: at the caller's end, or at Toxiproxy's own door for a caller that is no container.

        Only there the packets of such a caller can be told from those of others: behind it all come from the same address.
        """
        flows = (
            Flow(
                port=port,
                peer="" if caller is None else self.address(0),
                number=entry.port,
                hello=entry.hello,
                is_caller=caller is not None,
                door=self._door(entry),
            )
            for port, entry in zip(spec.ports, entries, strict=True)
        )
        container = self.containers[TOXIPROXY] if caller is None else caller.container
        return ContainerPackets(link_name(spec), container, tuple(flows), run=self.run)

    def create(self, name: str, launch: Launch, *, hosts: Mapping[str, str]) -> Container:
        """Make a container, which is not started. May be called from any thread."""
        import docker

        client = self.engine.client
        sysctls, endpoint = self._neighbours(launch.neighbours)
        networking = {
            self.network.name: client.api.create_endpoint_config(aliases=[name], ipv4_address=launch.address, driver_opt=endpoint)
        }
        try:
            container = client.containers.create(
                launch.image,
                list(launch.argv),
                name=f"chaoskit-{self.run}-{name}",
                hostname=name,
                labels=self.engine.labels(self.run, name),
                environment=dict(launch.variables),
                user=f"{NOBODY}:{NOBODY}",
                init=True,  # a first process that reaps and passes signals on, which none of the services does
                extra_hosts=dict(hosts),
                ports={f"{port}/tcp": (HOST, port) for port in launch.published},
                mem_limit=MEMORY,
                memswap_limit=MEMORY,
                sysctls=sysctls,
                network=self.network.name,
                networking_config=networking,
                detach=True,
                **({"cgroup_parent": self.group} if self.group else {}),
            )
            self.containers[name] = container
            if launch.files is not None:
                container.put_archive("/", _archive(FOLDER / name, launch.files))
        except (docker.errors.DockerException, OSError) as error:
            raise NotReady(f"service {name}: its container could not be made from {launch.image}: {error}") from error
        return container

    def weigh(self) -> None:
        """Give all containers together the weight of as many ordinary processes as they are, where they would share that of one."""
        if self.group is None:
            return
        path = CGROUP_V1 / "cpu" / self.group.lstrip("/") / "cpu.shares"
        with contextlib.suppress(OSError):  # not root, or an engine in another machine: `facts` says that it was not done
            path.write_text(str(CPU_SHARES * len(self.containers)))
            self._has_weight = True

    def facts(self) -> Mapping[str, str]:
        weight = "each container by itself"
        if self.group is not None:
            weight = f"{CPU_SHARES} for each of {len(self.containers)} containers" if self._has_weight else "one process's for all"
        return {**self.engine.facts(), "cpu weight": weight}

    def cpu(self) -> Mapping[str, float]:
        """How often all containers together were held back since their start, by a limit above their own; {} where none is seen."""
        container = self.containers.get(TOXIPROXY)
        pid = None if container is None else present_pid(container)
        if pid is None:
            return {}
        periods, throttled = held_back(pid)
        used_ns = self.usage().get("cpuacct.usage")
        used = {} if used_ns is None else {"used_s": int(used_ns) / 1e9}
        return {"periods": float(periods), "throttled": float(throttled), **used}

    def usage(self) -> Mapping[str, str]:
        """CPU time and throttling of all containers together since their start; {} where that cannot be read."""
        if self._engine is None or self.group is None:
            return {}
        found = {}
        for controller, name in (("cpuacct", "cpuacct.usage"), ("cpu", "cpu.stat"), ("memory", "memory.max_usage_in_bytes")):
            path = CGROUP_V1 / controller / self.group.lstrip("/") / name
            with contextlib.suppress(OSError):
                found[name] = " ".join(path.read_text().split())
        return found

    def close(self) -> None:
        """Remove everything and see that it is gone; let go of what was joined. Raises `CannotHeal` with what is left."""
        import docker

        if self.is_joined:
            self.containers, self.guests, self._network = {}, [], None
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="chaoskit-remove") as crew:
            problems = [problem for problem in crew.map(_remove, self.containers.values()) if problem]
        if self._network is not None:
            for guest in self.guests:
                try:
                    self._network.disconnect(guest, force=True)
                except (docker.errors.DockerException, OSError) as error:
                    problems.append(f"container {guest.name}: {error}")
            self.guests.clear()
            try:
                self._network.remove()
            except docker.errors.NotFound:
                pass  # as good
            except (docker.errors.DockerException, OSError) as error:
                problems.append(f"network {self._network.name}: {error}")
            self._network = None
        if self._reaper is not None:
            try:
                self._reaper.close()  # it looks whether anything is left, and tries again
                problems.clear()
            except CannotHeal as error:
                problems.append(str(error))
        self.containers.clear()
        self.ports.close()
        if self._engine is not None:
            self._engine.client.close()
        if problems:
            raise CannotHeal("; ".join(problems))

    def _listen(self, entry: Entry) -> str:
        return f"{self.address(0)}:{entry.port}"

    def _toxiproxy_in(self, container: Container) -> Toxiproxy:
        def restart() -> None:
            container.restart(timeout=0)
            self._wait_toxiproxy(container, toxiproxy, lambda: False)

        toxiproxy = Toxiproxy(HOST, self._control, restart=restart)
        return toxiproxy

    def _door(self, entry: Entry) -> Address:
        return (self.address(0) if self._is_routed else HOST, entry.port)

    def _neighbours(self, settings: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str] | None]:
        """The same settings for the container or for its endpoint: newer engines choose the device's name themselves."""
        if not settings or tuple(map(int, self.engine.api.split("."))) < ENDPOINT_SYSCTLS_API:
            return {f"net.ipv4.neigh.eth0.{name}": value for name, value in settings.items()}, None
        text = ",".join(f"net.ipv4.neigh.IFNAME.{name}={value}" for name, value in settings.items())
        return {}, {"com.docker.network.endpoint.sysctls": text}

    def _make_network(self) -> Network:
        """A network whose range the engine chooses, asked for again by name: static addresses need one that was asked for."""
        import docker
        from docker.types import IPAMConfig, IPAMPool

        networks, name, labels = self.engine.client.networks, f"chaoskit-{self.run}", self.engine.labels(self.run)
        problem: Exception | None = None
        for _ in range(NETWORK_TRIES):
            try:
                draft = networks.create(name, driver="bridge", labels=labels)
                draft.reload()
                subnet = draft.attrs["IPAM"]["Config"][0]["Subnet"]
                draft.remove()
                ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=subnet)])
                network = networks.create(name, driver="bridge", labels=labels, ipam=ipam)
            except (docker.errors.DockerException, OSError) as error:
                problem = error
                continue
            self._subnet = ipaddress.ip_network(subnet)
            return network
        raise MissingPart(f"no network for containers could be made: {problem}; remove networks that nobody uses") from problem

    def _wait_toxiproxy(self, container: Container, toxiproxy: Toxiproxy, is_stopping: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            check(is_stopping)
            try:
                toxiproxy.version()
            except ToxiproxyUnreachable as error:
                if time.monotonic() > deadline:
                    log = container.logs(tail=8).decode(errors="replace")
                    raise NotReady(
                        f"Toxiproxy did not answer within {READY_WITHIN_S:g} s: {error}; its log ends:\n{log}"
                    ) from error
            else:
                return
            time.sleep(LOOK_EVERY_S)


def _upstream(entry: Entry) -> str:
    return f"{entry.upstream[0]}:{entry.upstream[1]}"


def _remove(container: Container) -> str:
    """Remove a container. Returns what went wrong, "" when it is gone."""
    import docker

    try:
        container.remove(force=True, v=True)
    except docker.errors.NotFound:
        return ""  # somebody was faster, which is as good
    except (docker.errors.DockerException, OSError) as error:
        return f"container {container.name}: {error}"
    return ""


def _archive(folder: Path, files: Mapping[str, str]) -> bytes:
    """The files as the engine takes them, owned by the service and closed to others."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for path, mode, content in (
            (folder, 0o700, None),
            *((folder / name, 0o600, text.encode()) for name, text in files.items()),
        ):
            entry = tarfile.TarInfo(str(path).lstrip("/"))
            entry.mode, entry.uid, entry.gid = mode, NOBODY, NOBODY
            entry.mtime = int(time.time())
            if content is None:
                entry.type = tarfile.DIRTYPE
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return data.getvalue()
