"""A container's first process as this machine sees it: its number, checked to be that container's, and its control groups.

The number that an engine tells may belong to another machine (an engine in a virtual machine) or, a moment later, to somebody else.
So nobody acts on it before the kernel, too, has said whose it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from chaoskit.model.errors import CannotInject, ChaoskitError

if TYPE_CHECKING:
    from docker.models.containers import Container

    from chaoskit.environments.docker_engine import Engine


PERIOD_US = 100_000  # of the CPU quota; the kernel's own default


def running_pid(container: Container) -> int:
    """The process of a container that runs and is not paused, so that it can be hurt. Raises `CannotInject`."""
    status, pid = _state(container)
    if status != "running":
        raise CannotInject(
            f"container {container.name} was to be hurt and is {status}; faults act on containers that run. "
            "Let the fault before it end first, or look into its log"
        )
    if not _is_of(pid, container.id):
        raise CannotInject(
            f"container {container.name}: its process {pid} is not one of this machine's; faults inside a container need an engine "
            "whose containers run on this machine's own kernel"
        )
    return pid


def present_pid(container: Container) -> int | None:
    """The process of a container that runs or is paused; None when it has none, so that all that hung on it is gone, too."""
    status, pid = _state(container)
    return pid if status in {"running", "paused"} and _is_of(pid, container.id) else None


def find(engine: Engine, container_id: str) -> Container | None:
    """The container, None when there is none any more."""
    import docker

    try:
        return engine.client.containers.get(container_id)
    except docker.errors.NotFound:
        return None


def cgroup_value(pid: int, controller: str, *, v1: str, v2: str) -> str:
    """What the file of a process's control group says; the name differs between the versions. Raises `ChaoskitError`."""
    groups = Path(f"/proc/{pid}/cgroup")
    try:
        lines = [line.split(":", 2) for line in groups.read_text().splitlines()]
        path = next((path for _, names, path in lines if controller in names.split(",")), None)
        if path is not None:
            return (Path("/sys/fs/cgroup") / controller / path.lstrip("/") / v1).read_text()
        path = next(path for number, _, path in lines if number == "0")
        return (Path("/sys/fs/cgroup") / path.lstrip("/") / v2).read_text()
    except (OSError, StopIteration) as error:
        raise ChaoskitError(f"the control group {controller} of process {pid} cannot be read here: {error}") from error


def held_back(pid: int) -> tuple[int, int]:
    """For how many time slices the groups above the container's own wanted to run under a CPU limit, and had to wait in.

    () -> (0, 0) without any limit. A fault limits a container's own group, never these. Raises `ChaoskitError`.
    """
    periods = throttled = 0
    for group in _groups_above(pid, "cpu"):
        try:
            values = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
        except FileNotFoundError:  # version 2 has none at the root
            continue
        except OSError as error:
            raise ChaoskitError(f"{group / 'cpu.stat'} cannot be read: {error}") from error
        periods += int(values.get("nr_periods", 0))
        throttled += int(values.get("nr_throttled", 0))
    return periods, throttled


def _groups_above(pid: int, controller: str) -> list[Path]:
    try:
        lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    except OSError as error:
        raise ChaoskitError(f"the control groups of process {pid} cannot be read here: {error}") from error
    root = Path("/sys/fs/cgroup")
    path = next((path for _, names, path in lines if controller in names.split(",")), None)
    if path is None:
        path = next((path for number, _, path in lines if number == "0"), "/")
    else:
        root /= controller
    own = root / path.lstrip("/")
    return [group for group in own.parents if group.is_relative_to(root)]


def update(container: Container, settings: Mapping[str, int]) -> None:
    """Change a container's limits. docker-py's own call has no `NanoCpus`. Raises the engine's `APIError`."""
    api = container.client.api
    answer = api._post_json(api._url("/containers/{0}/update", container.id), data=dict(settings))  # noqa: SLF001 - see above
    api._raise_for_status(answer)  # noqa: SLF001


def _state(container: Container) -> tuple[str, int]:
    """What the engine says now; `gone` for a container that it does not know any more."""
    import docker

    try:
        container.reload()
    except docker.errors.NotFound:
        return "gone", 0
    state = container.attrs["State"]
    return str(state["Status"]), int(state["Pid"])


def _is_of(pid: int, container_id: str) -> bool:
    """Whether the kernel, too, counts this process to that container: every driver names control groups by the container's id."""
    try:
        return pid > 0 and container_id in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:  # it has ended
        return False
