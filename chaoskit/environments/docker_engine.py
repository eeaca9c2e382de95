"""The container engine: found, checked to be on this machine, and what it is.

docker-py follows the command line's active context, and Testcontainers writes its choice into the process's variables; so the
address is looked up here, an engine elsewhere is refused unless it is allowed in so many words, and no variable is ever written.
"""

from __future__ import annotations

import functools
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from chaoskit.environments import sweep
from chaoskit.model.errors import MissingEngine, Unsupported

if TYPE_CHECKING:
    from docker import DockerClient

LABEL = "chaoskit"
"""On everything that is ours, with the value `1`."""
RUN_LABEL = "chaoskit.run"
SERVICE_LABEL = "chaoskit.service"
TARGET_LABEL = "chaoskit.target"
"""What somebody puts on a container of theirs, with the value `true`, so that it may be hurt."""

OLDEST_API = (1, 41)  # Engine 20.10: the oldest that was tried, and that a supported distribution still ships
DEFAULT_SOCKET = "unix:///var/run/docker.sock"
LIMITS = {"squeeze-cpu": ("CpuCfsQuota", "CPU quotas"), "squeeze-memory": ("MemoryLimit", "memory limits")}
"""What a kernel may lack (small machines often have no control group for memory), and what the engine calls it."""
CALL_S = 30.0  # creating a container takes half a second; on a starved machine with a busy disk it took ten


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A connected engine. `client` is docker-py's and may be used from any thread; nobody makes another one."""

    client: DockerClient
    address: str
    version: str
    api: str
    cgroup_version: str
    cgroup_driver: str

    @property
    def is_local(self) -> bool:
        return is_local(self.address)

    @property
    def has_cgroup_parents(self) -> bool:
        """Whether containers can be given a CPU weight together: by path, on cgroup version 1 without systemd."""
        return self.cgroup_version == "1" and self.cgroup_driver == "cgroupfs"

    def labels(self, run: str, service: str | None = None) -> dict[str, str]:
        """What everything of a run carries, and a service's container besides."""
        labels = {LABEL: "1", RUN_LABEL: run}
        return labels if service is None else labels | {SERVICE_LABEL: service}

    def facts(self) -> Mapping[str, str]:
        return {
            "engine": f"Docker Engine {self.version} (API {self.api}) at {self.address}",
            "cgroup": f"version {self.cgroup_version}, {self.cgroup_driver}",
        }


def connect(*, allow_remote: bool = False, address: str | None = None) -> Engine:
    """Connect to the engine at *address*, by default the one that the docker command would use. Blocks up to `CALL_S`.

    Raises `MissingEngine` when there is none that answers, and `Unsupported` for one that is elsewhere or too old.
    """
    address = engine_address() if address is None else address
    if not allow_remote and not is_local(address):
        raise Unsupported(
            f"the container engine at {address} is not on this machine; chaoskit breaks things, so it uses a local one only "
            "(a Unix socket or a loopback address). Unset DOCKER_HOST or choose another context, or allow it with allow_remote"
        )
    _check_socket(address)
    try:
        import docker
    except ImportError as error:
        raise MissingEngine("the package 'docker' is not installed; do `pip install 'chaoskit[docker]'`") from error
    try:
        settings = {**docker.utils.kwargs_from_env(), "base_url": address}
        client = docker.DockerClient(**settings, version="auto", timeout=CALL_S)
        version, info = client.version(), client.info()
    except (docker.errors.DockerException, OSError) as error:  # requests' errors are of the second kind
        raise MissingEngine(f"no container engine answered at {address}: {error}. Start it, or set DOCKER_HOST") from error
    api = str(version["ApiVersion"])
    if tuple(map(int, api.split("."))) < OLDEST_API:
        client.close()
        oldest = ".".join(map(str, OLDEST_API))
        raise Unsupported(
            f"the container engine at {address} speaks API {api}; expected {oldest} (Engine 20.10) or newer. Update it"
        )
    return Engine(
        client=client,
        address=address,
        version=str(version["Version"]),
        api=api,
        cgroup_version=str(info.get("CgroupVersion", "1")),  # the field came with cgroup version 2
        cgroup_driver=str(info.get("CgroupDriver", "")),
    )


def engine_address() -> str:
    """Where the docker command would look: `DOCKER_HOST`, else the active context, else the usual socket.

    Raises `MissingEngine` for a context that does not exist: docker-py would silently take the usual socket instead.
    """
    host = os.environ.get("DOCKER_HOST")
    if host:
        return host
    name = os.environ.get("DOCKER_CONTEXT")
    if not name and not (Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json").exists():
        return DEFAULT_SOCKET
    try:
        from docker.context import ContextAPI
    except ImportError as error:
        raise MissingEngine("the package 'docker' is not installed; do `pip install 'chaoskit[docker]'`") from error
    context = ContextAPI.get_context(name)
    if context is None:
        raise MissingEngine(
            f"the docker context {name or 'that is active'!r} does not exist; mend DOCKER_CONTEXT or `docker context use`"
        )
    return str(context.Host or DEFAULT_SOCKET).replace("http+unix://", "unix://")


def lacks() -> Mapping[str, str]:
    """The limits that this machine's engine cannot set, in words. Where none answers nothing is known, and a start says why."""
    try:
        address = engine_address()
        return _lacks(address) if is_local(address) else {}
    except (MissingEngine, sweep.EngineError):
        return {}


@functools.cache
def _lacks(address: str) -> Mapping[str, str]:
    info = cast("Mapping[str, object]", sweep.Engine(address, timeout_s=CALL_S).call("GET", "/info"))
    return {
        capability: f"the container engine at {address} says that its kernel has no {what} (its `{field}` is false)"
        for capability, (field, what) in LIMITS.items()
        if info.get(field) is False
    }


def is_local(address: str) -> bool:
    """Whether an engine's address is a socket of this machine or a loopback address."""
    parts = urlsplit(address)
    if parts.scheme in {"unix", "npipe"}:
        return True
    host = parts.hostname or ""
    try:
        return parts.scheme in {"tcp", "http", "https"} and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except ValueError:  # a name, which may mean anything tomorrow
        return False


def _check_socket(address: str) -> None:
    """Say what is wrong with a socket in words; the library's own error is a chain of four exceptions."""
    if not address.startswith("unix://"):
        return
    path = Path(address.removeprefix("unix://"))
    if not path.exists():
        raise MissingEngine(
            f"no container engine: {path} does not exist. Install and start one (on Debian: apt install docker.io), "
            "or set DOCKER_HOST"
        )
    if not os.access(path, os.R_OK | os.W_OK):
        raise MissingEngine(
            f"the container engine's socket {path} may not be used by user {os.geteuid()}; "
            "add the user to its group (usermod -aG docker, then log in again), or run as root"
        )
