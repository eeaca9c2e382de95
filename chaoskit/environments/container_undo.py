"""Undoes what was done to a container from plain data alone, so that a process which knows only the engine can heal.

A container that is gone, or has a new network namespace since it was restarted, has taken with it what was done to it: then there
is nothing to undo, which is not the same as an undo that failed (`CannotHeal`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from chaoskit.environments import disk
from chaoskit.environments import namespace as kernel
from chaoskit.environments.container_process import PERIOD_US, find, present_pid, update
from chaoskit.environments.namespace import Namespace
from chaoskit.model.errors import CannotHeal, ChaoskitError
from chaoskit.model.protocols import Undo

if TYPE_CHECKING:
    from docker.models.containers import Container

    from chaoskit.environments.docker_engine import Engine

UNLIMITED_BYTES = 1 << 50  # version 1 has no way back to "unlimited" through the engine, but takes a number that no machine has


def undo_container(engine: Engine, undo: Undo) -> bool:
    """Do an `attach`, `resize`, `free-disk`, `unfilter` or `unthrottle`, as often as wanted. Raises `CannotHeal`.

    Returns False, and does nothing, for any other verb.
    """
    act = _UNDO.get(undo.verb)
    if act is None or "container" not in undo.details:
        return False
    import docker

    try:
        container = find(engine, undo.details["container"])
        if container is not None:
            act(container, undo)
    except CannotHeal:
        raise
    except (ChaoskitError, docker.errors.APIError, OSError) as error:
        if _is_gone(engine, undo):  # it went while its rules were being taken off, and they went with it
            return True
        raise CannotHeal(f"undo {undo.verb} of {undo.target}: container {undo.details['container'][:12]}: {error}") from error
    return True


def _is_gone(engine: Engine, undo: Undo) -> bool:
    container = find(engine, undo.details["container"])
    return container is None or (undo.verb in {"unfilter", "unthrottle"} and present_pid(container) is None)


def _attach(container: Container, undo: Undo) -> None:
    """With the names and the address that it had. Where the network was made without a range of addresses, the engine chooses."""
    import docker

    network = container.client.networks.get(undo.details["network"])
    aliases, address = json.loads(undo.details["aliases"]), undo.details["address"]
    container.reload()
    endpoint = container.attrs["NetworkSettings"]["Networks"].get(network.name)
    if endpoint is not None and container.status == "running" and endpoint["IPAddress"] != address:
        # After a connect that failed, the engine lists an endpoint which it does not have.
        try:
            network.disconnect(container, force=True)
        except docker.errors.APIError as error:
            if "is not connected" not in str(error):
                raise
        endpoint = None
    if endpoint is None:
        if network.name == "bridge":  # the engine's own network takes neither names nor addresses
            network.connect(container)
        else:
            try:
                network.connect(container, aliases=aliases, ipv4_address=address or None)
            except docker.errors.APIError as error:
                if "user configured subnet" not in str(error):
                    raise
                network.connect(container, aliases=aliases)
    container.reload()
    endpoint = container.attrs["NetworkSettings"]["Networks"][network.name]
    missing = set(aliases) - set(endpoint.get("Aliases") or ())
    if address and container.status == "running" and endpoint["IPAddress"] != address:
        raise CannotHeal(
            f"{undo.target} is on network {network.name} again as {endpoint['IPAddress']} and not as {address}: somebody took its "
            "address meanwhile, and open connections go to them. Give the network a subnet, and its members fixed addresses"
        )
    if missing:
        raise CannotHeal(f"{undo.target} is on network {network.name} again without its names {', '.join(sorted(missing))}")


def _resize(container: Container, undo: Undo) -> None:
    """The numbers that were there before. What was unlimited gets the value that means it, or one that no machine reaches."""
    before = {key: int(value) for key, value in undo.details.items() if key not in {"container", "felt"}}
    if before.get("NanoCpus"):
        settings = {"NanoCpus": before["NanoCpus"]}
    elif "CpuQuota" in before:
        settings = {"CpuPeriod": before["CpuPeriod"] or PERIOD_US, "CpuQuota": before["CpuQuota"] or -1}
    else:
        memory = before["Memory"] or UNLIMITED_BYTES
        swap = before["MemorySwap"] if before["Memory"] and before["MemorySwap"] > 0 else memory
        settings = {"Memory": memory, "MemorySwap": max(swap, memory)}
    update(container, settings)


def _free_disk(container: Container, undo: Undo) -> None:
    path, file = undo.details["path"], undo.details["file"]
    pid = present_pid(container)
    if pid is not None:
        disk.free_inside(pid, path, file)
        return
    # Nothing runs, so a tmpfs is gone, but a volume keeps its files.
    for mount in container.attrs["Mounts"]:
        if mount.get("Source") and (path == mount["Destination"] or path.startswith(mount["Destination"].rstrip("/") + "/")):
            inside = path.removeprefix(mount["Destination"]).lstrip("/")
            disk.free_inside(os.getpid(), os.path.join(mount["Source"], inside).rstrip("/"), file)  # noqa: PTH118 - text of another system


def _unfilter(container: Container, undo: Undo) -> None:
    pid = present_pid(container)
    if pid is not None:  # otherwise its namespace is gone, and the rules with it
        kernel.remove(Namespace(pid), undo.details["chain"])


def _unthrottle(container: Container, undo: Undo) -> None:
    pid = present_pid(container)
    if pid is not None:
        kernel.unlimit(Namespace(pid), undo.details["device"], undo.details["handle"])


_UNDO: Mapping[str, Callable[[Container, Undo], None]] = {
    "attach": _attach,
    "resize": _resize,
    "free-disk": _free_disk,
    "unfilter": _unfilter,
    "unthrottle": _unthrottle,
}
