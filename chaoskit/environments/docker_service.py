"""One service in a container: how it is hurt, started again, and known to answer.

The state is read from the engine each time: Testcontainers' own copy of it is made once and then wrong for ever.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from chaoskit.environments import container_process
from chaoskit.environments.container_faults import ContainerFaults
from chaoskit.environments.hello import Address, answer_s
from chaoskit.environments.starting import HELLO_S, LOOK_EVERY_S, wait_ready
from chaoskit.model.errors import CannotHeal, CannotInject, ChaoskitError, NotReady
from chaoskit.model.topology import ServiceSpec

if TYPE_CHECKING:
    from docker.models.containers import Container

TAIL_LINES = 12
LOG_LINES = 1_000  # an engine counts lines, not bytes; more than anybody keeps of a run
ENDS_WITHIN_S = 10.0  # the engine takes 0.2 s to notice the end of a container, and ten times that on a starved machine


class DockerService(ContainerFaults):
    """A service in a container. *address* gives where its ports are reached from here, for its hellos.

    *remake* makes its container anew, with the same address and without its data, should somebody have removed it; None where that
    is not ours to do.
    """

    def __init__(
        self,
        spec: ServiceSpec,
        container: Container,
        *,
        address: Callable[[str, str], Address],
        log: Path | None,
        remake: Callable[[], Container] | None = None,
    ) -> None:
        self.spec = spec
        self.container = container
        """docker-py's object; its `status` is only as fresh as its last `reload`."""
        self._address = address
        self._log = log
        self._silent = ""
        self._remake = remake
        self._times_remade = 0

    def __repr__(self) -> str:
        return f"DockerService({self.name}, container {self.container.name})"

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def handle(self) -> Mapping[str, str]:
        return {"container": str(self.container.id)}

    def status(self) -> str:
        """What the engine says now: `running`, `paused`, `exited`, `created`; `gone` when it does not know the container."""
        import docker

        try:
            self.container.reload()
        except docker.errors.NotFound:
            return "gone"
        except (docker.errors.DockerException, OSError) as error:
            raise ChaoskitError(f"service {self.name}: the engine does not tell its container's state: {error}") from error
        return str(self.container.status)

    def pid(self) -> int:
        """Its first process as this machine sees it, asked anew. Raises `CannotInject` when there is none."""
        return container_process.running_pid(self.container)

    def kill(self) -> None:
        self._must_be("kill", "running", "paused")  # the engine lets a paused one die at once
        self._call(lambda: self.container.kill("SIGKILL"), "kill", CannotInject)
        deadline = time.monotonic() + ENDS_WITHIN_S
        while (status := self.status()) in {"running", "paused"}:
            if time.monotonic() > deadline:
                raise CannotInject(f"service {self.name}: its container is {status} {ENDS_WITHIN_S:g} s after it was killed")
            time.sleep(LOOK_EVERY_S)

    def start(self) -> None:
        try:
            status = self.status()
            if status == "gone" and self._remake is not None:
                self.container = self._remake()
                self._times_remade += 1
            if status not in {"running", "paused"}:
                self.launch()
            wait_ready(self)
        except ChaoskitError as error:
            raise CannotHeal(f"service {self.name} did not start again: {error}") from error

    def pause(self) -> None:
        if self.status() == "paused":
            return
        self._must_be("pause", "running")
        self._call(self.container.pause, "pause", CannotInject)

    def resume(self) -> None:
        if self.status() == "paused":
            self._call(self.container.unpause, "resume", CannotHeal)

    def is_running(self) -> bool:
        return self.status() == "running"

    def launch(self) -> None:
        """Start its container without waiting for an answer."""
        self._call(self.container.start, "start", NotReady)

    def is_ready(self) -> bool:
        """Whether all ports answer a hello now. Raises `NotReady` when it has ended."""
        status = self.status()
        if status not in {"running", "paused"}:
            code = self.container.attrs["State"]["ExitCode"] if status != "gone" else "unknown"
            raise NotReady(f"service {self.name} ended by itself before it answered (exit code {code}); {self.trouble()}")
        addresses = {port: self._address(self.name, port.name) for port in self.spec.ports}
        silent = (port for port, address in addresses.items() if answer_s(address, port.hello, timeout_s=HELLO_S) is None)
        self._silent = next((port.name for port in silent), "")
        return not self._silent

    def trouble(self) -> str:
        """Which port did not answer when it was last asked, and how its log ends, for messages."""
        lines = self.output(tail=TAIL_LINES).splitlines()
        silent = f"nothing answered at port {self._silent}; " if self._silent else ""
        if not lines:
            return f"{silent}its log is empty"
        where = f" ({self._log} when it is taken down)" if self._log else ""
        return f"{silent}the end of its log{where}:\n" + "\n".join(f"    {line}" for line in lines)

    def output(self, *, tail: int | None = None) -> str:
        """What it has printed, or the reason why that cannot be had: it is wanted when something is wrong already."""
        import docker

        try:
            text = self.container.logs(tail="all" if tail is None else tail)
        except (docker.errors.DockerException, OSError) as error:
            return f"(its log cannot be had: {error})"
        return str(text.decode(errors="replace"))

    def log_tail(self, *, most_bytes: int) -> str:
        """The end of what it has printed up to now; "" for nothing."""
        return self.output(tail=LOG_LINES).encode()[-most_bytes:].decode(errors="replace")

    def save_log(self) -> None:
        """Keep what it printed, where a place for it was given."""
        if self._log is None:
            return
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._log.write_text(self.output())

    def memory(self) -> str:
        """What its processes have to themselves, in words; files that the kernel keeps for them are not counted."""
        try:
            text = container_process.cgroup_value(self.pid(), "memory", v1="memory.stat", v2="memory.stat")
        except ChaoskitError as error:
            return f"unknown ({error})"
        values = {name: int(number) for name, number in (line.split() for line in text.splitlines())}
        return f"{values.get('total_rss', values.get('anon', 0)) / 1e6:.0f} MB"  # the name differs between the versions

    def end(self) -> Mapping[str, object]:
        """How its container stands: a service that ended by itself in the middle of a run is seen by this alone."""
        status = self.status()
        if status == "gone":
            return {"status": status}
        state = self.container.attrs["State"]
        return {
            "status": status,
            "exit_code": state["ExitCode"],
            "out_of_memory": state["OOMKilled"],
            "started": state["StartedAt"],
            "made_anew": self._times_remade,
        }

    def _must_be(self, verb: str, *expected: str) -> None:
        status = self.status()
        if status not in expected:
            raise CannotInject(
                f"service {self.name}: {verb} was asked for and its container is {status}; expected {' or '.join(expected)}. "
                f"{self.trouble()}"
            )

    def _call(self, act: Callable[[], object], verb: str, failure: type[ChaoskitError]) -> None:
        import docker

        try:
            act()
        except (docker.errors.DockerException, OSError) as error:
            raise failure(f"service {self.name}: {verb} of its container failed: {error}; {self.trouble()}") from error
