"""What can be done to one container besides kill and pause: a service class takes it by inheriting from `ContainerFaults`.

`capabilities()` and `lacks()` say beforehand what works on this machine; `container_undo.undo_container` undoes all of it.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import signal
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from chaoskit.environments import disk, docker_engine
from chaoskit.environments import namespace as kernel
from chaoskit.environments.container_process import PERIOD_US, cgroup_value, present_pid, running_pid, update
from chaoskit.environments.namespace import CommandFailed, Namespace
from chaoskit.model.containers import PacketCount, Pressure
from chaoskit.model.errors import CannotInject
from chaoskit.model.protocols import Undo

if TYPE_CHECKING:
    from docker.models.containers import Container


LEAST_QUOTA_US = 1_000  # the kernel takes no less
DIES_WITHIN_S = 10.0  # the engine hears of a dead process in some 50 ms
LOOK_EVERY_S = 0.02
SETTINGS = {"cpu": ("NanoCpus", "CpuPeriod", "CpuQuota"), "memory": ("Memory", "MemorySwap")}


def capabilities() -> frozenset[str]:
    """What can be done to containers on this machine. Takes some 50 ms the first time; starts no container."""
    return frozenset({*_EVERYWHERE, *_AS_ROOT, *kernel.probe().capabilities} - set(lacks()))


def lacks() -> Mapping[str, str]:
    """For each capability that is missing here, what it is that is missing, in words."""
    root = {} if os.geteuid() == 0 else dict.fromkeys(_AS_ROOT, "acts on the container's processes and files, which takes root")
    return {**root, **kernel.probe().lacks, **docker_engine.lacks()}


_EVERYWHERE = frozenset({"detach", "squeeze-cpu", "squeeze-memory"})
_AS_ROOT = frozenset({"crash", "fill-disk"})


class ContainerFaults:
    """What a service whose `name` and docker-py `container` are known can suffer besides kill and pause.

    A service class takes these methods by inheriting from this one. It keeps no state.
    """

    container: Container

    @property
    def name(self) -> str:
        """The service's."""
        raise NotImplementedError

    def crash(self) -> None:
        pid = running_pid(self.container)
        try:
            process = os.pidfd_open(pid)
            try:
                if running_pid(self.container) != pid:  # from here on the number cannot come to mean another process
                    raise CannotInject(f"service {self.name}: it was restarted by somebody else at the same moment")
                signal.pidfd_send_signal(process, signal.SIGKILL)
                poll = select.poll()
                poll.register(process, select.POLLIN)
                if not poll.poll(DIES_WITHIN_S * 1000):
                    raise CannotInject(f"service {self.name}: process {pid} is still there {DIES_WITHIN_S:g} s after SIGKILL")
            finally:
                os.close(process)
        except OSError as error:
            raise CannotInject(f"service {self.name}: process {pid} could not be killed: {error}") from error
        # Until the engine has noticed it, it would say of a dead container that it runs.
        deadline = time.monotonic() + DIES_WITHIN_S
        while self._engine_pid() == pid:
            if time.monotonic() > deadline:
                raise CannotInject(f"service {self.name}: the engine has not noticed its end within {DIES_WITHIN_S:g} s")
            time.sleep(LOOK_EVERY_S)

    def networks(self) -> tuple[str, ...]:
        self._reload()
        return tuple(self.container.attrs["NetworkSettings"]["Networks"])

    def undo_of_detach(self, network: str) -> tuple[Undo, ...]:
        running_pid(self.container)
        endpoints = self.container.attrs["NetworkSettings"]["Networks"]
        return tuple(
            Undo(
                verb="attach",
                target=self.name,
                details={
                    "container": self.container.id,
                    "network": endpoints[name]["NetworkID"],
                    "name": name,
                    # The engine adds the container's own short id by itself.
                    "aliases": json.dumps([one for one in endpoints[name].get("Aliases") or () if one != self.container.id[:12]]),
                    "address": endpoints[name]["IPAddress"],
                },
            )
            for name in self._chosen(network, tuple(endpoints))
        )

    def detach(self, network: str) -> None:
        import docker

        running_pid(self.container)
        for name in self._chosen(network, self.networks()):
            try:
                self.container.client.networks.get(name).disconnect(self.container, force=True)
            except (docker.errors.APIError, OSError) as error:
                raise CannotInject(f"service {self.name}: it could not be taken off network {name}: {error}") from error

    def undo_of_squeeze(self, what: str) -> Undo:
        running_pid(self.container)
        before = self.container.attrs["HostConfig"]
        settings = {key: str(before.get(key) or 0) for key in SETTINGS[what]}
        pressure = self.cpu_pressure(cores=0.0) if what == "cpu" else self.memory_pressure(size_bytes=0)
        details = {"container": self.container.id, "felt": str(pressure.felt), **settings}
        return Undo(verb="resize", target=self.name, details=details)

    def squeeze_cpu(self, *, cores: float) -> None:
        running_pid(self.container)
        if self.container.attrs["HostConfig"].get("NanoCpus"):  # which the engine lets nobody mix with a quota
            self._update({"NanoCpus": round(cores * 1e9)})
        else:
            self._update({"CpuPeriod": PERIOD_US, "CpuQuota": max(LEAST_QUOTA_US, round(cores * PERIOD_US))})

    def squeeze_memory(self, *, size_bytes: int) -> None:
        running_pid(self.container)
        self._update({"Memory": size_bytes, "MemorySwap": size_bytes})

    def cpu_pressure(self, *, cores: float) -> Pressure:
        def read(pid: int) -> Pressure:
            # "10000 100000" on version 2, "10000" alone on version 1.
            quota, _, period = cgroup_value(pid, "cpu", v1="cpu.cfs_quota_us", v2="cpu.max").strip().partition(" ")
            if not period:
                period = cgroup_value(pid, "cpu", v1="cpu.cfs_period_us", v2="cpu.max")
            lines = cgroup_value(pid, "cpu", v1="cpu.stat", v2="cpu.stat").splitlines()
            felt = int(dict(line.split() for line in lines)["nr_throttled"])
            allowed = None if quota in {"max", "-1"} else int(quota) / int(period)
            is_set = allowed is not None and abs(allowed - max(cores, LEAST_QUOTA_US / PERIOD_US)) < 0.001
            shown = "no limit" if allowed is None else f"{allowed:g} of a core"
            return Pressure(is_set=is_set, felt=felt, text=f"{self.name} is allowed {shown} and had to wait for it {felt} times")

        return self._read(read)

    def memory_pressure(self, *, size_bytes: int) -> Pressure:
        def read(pid: int) -> Pressure:
            limit = cgroup_value(pid, "memory", v1="memory.limit_in_bytes", v2="memory.max").strip()
            used = int(cgroup_value(pid, "memory", v1="memory.usage_in_bytes", v2="memory.current"))
            events = cgroup_value(pid, "memory", v1="memory.failcnt", v2="memory.events").split()
            felt = int(events[events.index("max") + 1] if "max" in events else events[0])
            is_set = limit != "max" and abs(int(limit) - size_bytes) < disk.PAGE
            return Pressure(
                is_set=is_set, felt=felt, text=f"{self.name} uses {used:,} of at most {limit} bytes and met that limit {felt} times"
            )

        return self._read(read)

    def undo_of_fill(self, path: str) -> Undo:
        running_pid(self.container)
        details = {"container": self.container.id, "path": path, "file": f".chaoskit-fill-{secrets.token_hex(4)}"}
        return Undo(verb="free-disk", target=self.name, details=details)

    def fill_disk(self, undo: Undo, *, keep_full: bool) -> None:
        pid = running_pid(self.container)
        try:
            disk.fill(pid, undo.details["path"], undo.details["file"], keep_full=keep_full)
        except (disk.CannotFill, OSError) as error:
            raise CannotInject(f"service {self.name}: {error}") from error

    def is_disk_full(self, path: str) -> tuple[bool, str]:
        pid = present_pid(self.container)
        return (False, f"{self.name} does not run") if pid is None else disk.is_full(pid, path)

    def undo_of_bandwidth(self) -> tuple[Undo, ...]:
        devices = Namespace(running_pid(self.container)).devices()
        if not devices:
            raise CannotInject(f"service {self.name}: it is attached to no network that could be limited")
        # A number for each device, below the 0x8000 where the kernel's own choices begin.
        numbers = [f"{0x1000 + secrets.randbelow(0x7000):x}" for _ in devices]
        return tuple(
            Undo(
                verb="unthrottle",
                target=self.name,
                details={"container": self.container.id, "device": device, "handle": number},
            )
            for device, number in zip(devices, numbers, strict=True)
        )

    def limit_bandwidth(self, undo: tuple[Undo, ...], *, bytes_per_s: int) -> None:
        namespace = Namespace(running_pid(self.container))
        try:
            for one in undo:
                kernel.limit(namespace, one.details["device"], one.details["handle"], bytes_per_s=bytes_per_s)
        except CommandFailed as error:
            raise CannotInject(f"service {self.name}: {error}") from error

    def bandwidth(self, undo: tuple[Undo, ...]) -> PacketCount | None:
        pid = present_pid(self.container)
        counts = [kernel.limited(Namespace(pid), one.details["device"], one.details["handle"]) for one in undo] if pid else []
        there = [one for one in counts if one is not None]
        return PacketCount(seen=sum(one.seen for one in there), hit=sum(one.hit for one in there)) if there else None

    def _chosen(self, network: str, present: tuple[str, ...]) -> tuple[str, ...]:
        if network and network not in present:
            raise CannotInject(f"service {self.name}: it is not attached to network {network!r}, only to {', '.join(present)}")
        if not present:
            raise CannotInject(f"service {self.name}: it is attached to no network")
        return (network,) if network else present

    def _update(self, settings: Mapping[str, int]) -> None:
        import docker

        try:
            update(self.container, settings)
        except (docker.errors.APIError, OSError) as error:
            raise CannotInject(f"service {self.name}: the engine did not take {dict(settings)}: {error}") from error

    def _read(self, read: Callable[[int], Pressure]) -> Pressure:
        pid = present_pid(self.container)
        if pid is None:
            killed = self._was_out_of_memory()
            return Pressure(is_set=killed, felt=int(killed), text=f"{self.name} {'was killed for memory' if killed else 'is down'}")
        return read(pid)

    def _was_out_of_memory(self) -> bool:
        state = self.container.attrs.get("State", {})
        return bool(state.get("OOMKilled")) and not state.get("Running")

    def _engine_pid(self) -> int:
        self._reload()
        return int(self.container.attrs["State"]["Pid"])

    def _reload(self) -> None:
        import docker

        try:
            self.container.reload()
        except docker.errors.NotFound as error:
            raise CannotInject(f"service {self.name}: its container is gone: {error}") from error
