"""One service of the process environment: how it is started, hurt, and known to answer."""

from __future__ import annotations

import functools
import os
import pwd
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chaoskit.environments.hello import Address, answer_s
from chaoskit.environments.programs import provide
from chaoskit.environments.starting import HELLO_S, wait_ready
from chaoskit.environments.supervision import Supervisor, SupervisorError
from chaoskit.environments.supervisor import FROZEN
from chaoskit.model.errors import CannotHeal, CannotInject, ChaoskitError, MissingPart, NotReady
from chaoskit.model.topology import Command, ServiceSpec

NOBODY = 65534  # the kernel's own number for "no user"; nothing of worth belongs to it
INHERITED = (
    "PATH",
    "PYTHONPATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
)  # the rest of the runner's variables is not the services' business
TAIL_LINES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessPlace:
    """Where a service lives: its folder and its addresses. This is the `Place` that topologies see."""

    service: str
    directory: Path
    seed: int
    options: Mapping[str, str]
    addresses: Mapping[tuple[str, str], Address]
    """(service, port) -> where it listens."""
    proxied: Mapping[tuple[str, str, str], Address]
    """(client, service, port) -> where the client calls it, for ports with a link."""

    def own(self, port: str) -> Address:
        return self._direct(self.service, port)

    def to(self, service: str, port: str) -> Address:
        return self.proxied.get((self.service, service, port)) or self._direct(service, port)

    def reached_by(self, client: str, port: str) -> Address:
        return self.proxied.get((client, self.service, port)) or self.own(port)

    def program(self, name: str) -> str:
        return str(provide(name).path)

    def write(self, name: str, text: str) -> Path:
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(text)
        return path

    def _direct(self, service: str, port: str) -> Address:
        if (service, port) not in self.addresses:
            known = ", ".join(f"{one}:{other}" for one, other in self.addresses)
            raise MissingPart(f"service {self.service}: asked for {service}:{port}, which this topology does not have ({known})")
        return self.addresses[service, port]


class ProcessService:
    """A service under the supervisor."""

    def __init__(self, spec: ServiceSpec, place: ProcessPlace, supervisor: Supervisor) -> None:
        self.spec = spec
        self._place = place
        self._supervisor = supervisor

    def __repr__(self) -> str:
        return f"ProcessService({self.name})"

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def handle(self) -> Mapping[str, str]:
        return {}

    def kill(self) -> None:
        try:
            if not self._supervisor.processes(self.name):
                raise CannotInject(f"service {self.name}: no process of it was there to kill; {self.trouble()}")
            self._supervisor.kill(self.name)
        except SupervisorError as error:
            raise CannotInject(f"service {self.name}: {error}") from error

    def start(self) -> None:
        try:
            if not self._supervisor.processes(self.name):
                self.launch()
            wait_ready(self)
        except ChaoskitError as error:
            raise CannotHeal(f"service {self.name} did not start again: {error}") from error

    def pause(self) -> None:
        try:
            self._supervisor.pause(self.name)
        except SupervisorError as error:
            raise CannotInject(f"service {self.name}: {error}") from error

    def resume(self) -> None:
        try:
            self._supervisor.resume(self.name)
        except SupervisorError as error:
            raise CannotHeal(f"service {self.name}: {error}") from error

    def is_running(self) -> bool:
        return any(one.state not in FROZEN for one in self._supervisor.processes(self.name))

    def launch(self) -> None:
        """Start its process without waiting for an answer. Its log goes on where it was."""
        command = self.spec.command(self._place)
        folder = self._place.directory
        variables = {name: os.environ[name] for name in INHERITED if name in os.environ}
        variables |= {"HOME": str(folder), "PYTHONUNBUFFERED": "1", **command.variables}
        self._supervisor.start(self.name, argv_of(command, folder), variables=variables, folder=folder)

    def is_ready(self) -> bool:
        """Whether all ports answer a hello now. Raises `NotReady` when it has ended."""
        if not self._supervisor.processes(self.name):
            raise NotReady(f"service {self.name} ended by itself before it answered; {self.trouble()}")
        return all(answer_s(self._place.own(port.name), port.hello, timeout_s=HELLO_S) is not None for port in self.spec.ports)

    def log_tail(self, *, most_bytes: int) -> str:
        """The end of what it has printed up to now; "" for nothing."""
        log = self._supervisor.log(self.name)
        if not log.exists():
            return ""
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - most_bytes))
            return file.read(most_bytes).decode(errors="replace")

    def trouble(self) -> str:
        """Where its log is and how it ends, for messages."""
        log = self._supervisor.log(self.name)
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        if not lines:
            return f"its log {log} is empty"
        return f"the end of its log {log}:\n" + "\n".join(f"    {line}" for line in lines[-TAIL_LINES:])


def argv_of(command: Command, folder: Path) -> tuple[str, ...]:
    """The command as it is run: seen as another user, where it must not be root and we are, or where our number has no name.

    A user namespace of its own needs no files of that user and no permissions changed. Where that is forbidden, the folder is given
    to nobody, who must be able to read the programs.
    """
    if not command.unprivileged or (os.geteuid() != 0 and os.geteuid() in _named_users()):
        return _absolute(command.argv)
    if can_map_users():
        return _absolute(("unshare", *_mapping(), "--", *command.argv))
    if os.geteuid() != 0:
        return _absolute(command.argv)
    folder.parent.chmod(0o711)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    return _absolute(("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--", *command.argv))


@functools.cache
def can_map_users() -> bool:
    """Whether user namespaces may be made here, seen by making one."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return False
    return subprocess.run([unshare, *_mapping(), "true"], capture_output=True, timeout=10, check=False).returncode == 0


def _mapping() -> tuple[str, ...]:
    """Into a user that has a name, since initdb looks its name up. A machine without any but root has nobody."""
    user = min(_named_users() - {0, NOBODY}, default=NOBODY)
    return ("-U", f"--map-user={user}", f"--map-group={user}")


def _named_users() -> set[int]:
    return {entry.pw_uid for entry in pwd.getpwall()}


def _absolute(argv: tuple[str, ...]) -> tuple[str, ...]:
    """With the program's full path, since the supervisor looks nothing up."""
    found = shutil.which(argv[0])
    if found is None:
        raise MissingPart(f"program {argv[0]!r} was to be started and is not on PATH; install it")
    return (found, *argv[1:])
