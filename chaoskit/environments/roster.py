"""Who is there: the services and links of an environment, found by name or role, and healed from plain data.

An environment has one. It knows nothing of how services are started, so it is the same for processes and for containers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, Protocol, TypeVar

from chaoskit.environments import roles
from chaoskit.environments.hello import Address
from chaoskit.environments.proxy_link import ProxyLink, link_name
from chaoskit.model.errors import CannotHeal, Unsupported
from chaoskit.model.protocols import Undo
from chaoskit.model.topology import LinkSpec, Topology


class Member(Protocol):
    """What undoes the faults of a service."""

    def start(self) -> None: ...
    def resume(self) -> None: ...


S = TypeVar("S", bound=Member)


class Roster(Generic[S]):
    """The services and links of one environment, which fills `services` and `links` while it goes up.

    Questions and undos may come from any thread. *address* says where a port of a service is reached, to ask who has a role.
    """

    def __init__(self, topology: Callable[[], Topology], address: Callable[[str, str], Address]) -> None:
        self.services: dict[str, S] = {}
        self.links: tuple[ProxyLink, ...] = ()
        self._topology = topology
        self._address = address

    def service(self, name: str) -> S:
        resolved = self.resolve(name)
        if resolved not in self.services:
            raise Unsupported(f"service {resolved}: the environment is not up")
        return self.services[resolved]

    def resolve(self, name: str) -> str:
        return roles.resolve(self._topology(), name, self._address)

    def between(self, one: str, other: str) -> tuple[LinkSpec, ...]:
        """The links that are declared between two, whichever of them calls. Raises `Unsupported` for an unknown name."""
        pair = {self._end(one), self._end(other)}
        return tuple(spec for spec in self._topology().links if {spec.client, spec.service} == pair)

    def links_between(self, one: str, other: str) -> tuple[ProxyLink, ...]:
        """Those of them that are there: () while the environment is not up."""
        names = {link_name(spec) for spec in self.between(one, other)}
        return tuple(link for link in self.links if link.name in names)

    def undo(self, undo: Undo) -> bool:
        """Undo a fault of a service or link. False for a verb that is for neither. Raises `CannotHeal`."""
        match undo.verb:
            case "start":
                self._target(undo).start()
            case "resume":
                self._target(undo).resume()
            case "restore":
                link = next((link for link in self.links if link.name == undo.target), None)
                if link is None:
                    raise CannotHeal(f"undo {undo.verb} {undo.target!r}: no such link ({_listed(one.name for one in self.links)})")
                link.restore()
            case _:
                return False
        return True

    def _end(self, name: str) -> str:
        """One end of a link; clients from outside are no services."""
        topology = self._topology()
        outside = {link.client for link in topology.links} - set(topology.service_names)
        return name if name in outside else self.resolve(name)

    def _target(self, undo: Undo) -> S:
        if undo.target not in self.services:
            raise CannotHeal(f"undo {undo.verb} {undo.target!r}: no such service ({_listed(self.services)})")
        return self.services[undo.target]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none, since it is not up"
