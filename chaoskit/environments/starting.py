"""The order in which services are started, and when a group counts as complete: the same for processes and for containers."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from chaoskit.environments import roles
from chaoskit.environments.hello import Address
from chaoskit.model.errors import ChaoskitError, NotReady, Stopped
from chaoskit.model.topology import GroupSpec, ServiceSpec

HELLO_S = 0.25  # for one look: loopback answers in a millisecond, and several services take turns while they start
LOOK_EVERY_S = 0.05  # short beside any start; PostgreSQL starts a process for every look, also while it is not ready
GROUP_LOOK_S = 0.2  # a look connects to every member and asks several questions


class Startable(Protocol):
    """A service that can be started and waited for."""

    @property
    def spec(self) -> ServiceSpec: ...
    def launch(self) -> None:
        """Start it without waiting for an answer."""

    def is_ready(self) -> bool:
        """Whether all ports answer a hello now. Raises `NotReady` when it has ended."""

    def trouble(self) -> str:
        """Where its log is and how it ends, for messages."""


@contextlib.contextmanager
def or_taken_down(down: Callable[[], None]) -> Iterator[None]:
    """Whatever fails in the block, *down* is called before it is raised."""
    try:
        yield
    except BaseException as error:
        try:
            down()
        except ChaoskitError as second:
            error.add_note(f"and not everything could be ended: {second}")
        raise


def start_all(services: Mapping[str, Startable], *, is_stopping: Callable[[], bool], say: Callable[[str], None]) -> None:
    """Start each service as soon as those it comes after answer, so as many as possible at once."""
    waiting = dict(services)
    starting: dict[str, float] = {}
    ready: set[str] = set()
    while len(ready) < len(services):
        check(is_stopping)
        for name in [name for name, service in waiting.items() if ready.issuperset(service.spec.after)]:
            starting[name] = time.monotonic()
            waiting.pop(name).launch()
        if not starting:
            raise NotReady(f"services {', '.join(waiting)} wait for each other or for unknown ones; mend their `after`")
        for name, since in list(starting.items()):
            service = services[name]
            if service.is_ready():
                ready.add(name)
                say(f"{name} answers ({time.monotonic() - since:.1f} s)")
                del starting[name]
            elif time.monotonic() - since > service.spec.ready_within_s:
                raise late(service)
        time.sleep(LOOK_EVERY_S)


def wait_ready(service: Startable, *, is_stopping: Callable[[], bool] = lambda: False) -> None:
    deadline = time.monotonic() + service.spec.ready_within_s
    while not service.is_ready():
        check(is_stopping)
        if time.monotonic() > deadline:
            raise late(service)
        time.sleep(LOOK_EVERY_S)


def wait_complete(
    group: GroupSpec,
    services: Mapping[str, Startable],
    address: Callable[[str, str], Address],
    *,
    is_stopping: Callable[[], bool],
    say: Callable[[str], None],
) -> None:
    """Wait until the group can lose its primary; to break it before would test a bank that nobody runs."""
    start = time.monotonic()
    while not roles.is_complete(states := roles.read_roles(group, address)):
        check(is_stopping)
        if time.monotonic() - start > group.complete_within_s:
            logs = "\n".join(services[member].trouble() for member in group.members)
            raise NotReady(
                f"group {group.name} had no primary with a streaming standby within {group.complete_within_s:g} s "
                f"({roles.describe(states)}); {logs}"
            )
        time.sleep(GROUP_LOOK_S)
    members = ", ".join(f"{state.member} is {state.role}" for state in states)
    say(f"{group.name} is complete: {members} ({time.monotonic() - start:.1f} s more)")


def late(service: Startable) -> NotReady:
    spec = service.spec
    return NotReady(f"service {spec.name} did not answer within {spec.ready_within_s:g} s; {service.trouble()}")


def check(is_stopping: Callable[[], bool]) -> None:
    if is_stopping():
        raise Stopped("asked to stop while the environment was starting; what had been started is ended")
