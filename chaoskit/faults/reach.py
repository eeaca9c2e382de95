"""How a fault reaches what not every environment has: services in containers, packets, links that can do more than be cut.

What is not there is `Unsupported` before anything is touched; the environment's capabilities say it earlier still.
"""

from __future__ import annotations

from collections.abc import Callable

from chaoskit.model.containers import ContainerService, PacketEnvironment, PacketLink, PacketService
from chaoskit.model.errors import Unsupported
from chaoskit.model.protocols import Aim, Link, Stage, Undo


def container(stage: Stage, name: str) -> ContainerService:
    """A service in a container, by name or role. Raises `Unsupported` for any other."""
    service = stage.environment.service(name)
    if not isinstance(service, ContainerService):
        raise Unsupported(
            f"service {service.name} of {stage.environment.name!r} lives in no container; choose another place with --on"
        )
    return service


def interface(stage: Stage, name: str) -> PacketService:
    """A service whose network interface can be limited. Raises `Unsupported` for any other."""
    service = stage.environment.service(name)
    if not isinstance(service, PacketService):
        raise Unsupported(f"service {service.name} of {stage.environment.name!r} has no network interface of its own")
    return service


def aim_at_links(stage: Stage, between: tuple[str, str], kind: str) -> Aim:
    """Every link between two services, undone by `restore`. Raises `Unsupported` when there is none."""
    found = stage.environment.links(*between)
    if not found:
        raise _no_link(kind, between)
    return Aim(targets=tuple(link.name for link in found), undo=tuple(map(restore_of, found)))


def restore_of(link: Link) -> Undo:
    """How whatever a link suffers is undone, by another process, too, where the link outlives this one."""
    return Undo(verb="restore", target=link.name, details=getattr(link, "handle", {}))


def aim_at_packets(stage: Stage, between: tuple[str, str], kind: str, undo_of: Callable[[PacketLink], Undo]) -> Aim:
    """Every link between two services as packets see it; its undos stand in the order of the targets."""
    if not isinstance(stage.environment, PacketEnvironment):
        raise Unsupported(f"{kind}: environment {stage.environment.name!r} cannot filter packets; choose another place with --on")
    links = stage.environment.packets(*between)
    if not links:
        raise _no_link(kind, between)
    return Aim(targets=tuple(link.name for link in links), undo=tuple(undo_of(link) for link in links))


def links(stage: Stage, aim: Aim) -> tuple[Link, ...]:
    """The links that *aim* names."""
    one, other = aim.targets[0].split(" -> ")
    return tuple(link for link in stage.environment.links(one, other) if link.name in aim.targets)


def packets(stage: Stage, aim: Aim) -> tuple[tuple[PacketLink, Undo], ...]:
    """The same for packets, each with its undo, which carries the name of its rule."""
    assert isinstance(stage.environment, PacketEnvironment), "the aim was made there"
    one, other = aim.targets[0].split(" -> ")
    undos = dict(zip(aim.targets, aim.undo, strict=True))
    return tuple((link, undos[link.name]) for link in stage.environment.packets(one, other) if link.name in undos)


def leads_to_running(stage: Stage, link: Link) -> bool:
    """Whether the called end of a link runs. Silence of a service that is down proves nothing."""
    return stage.environment.service(link.name.split(" -> ")[1]).is_running()


def _no_link(kind: str, between: tuple[str, str]) -> Unsupported:
    one, other = between
    return Unsupported(
        f"{kind} between {one!r} and {other!r}: there is no link between them; name two services of which one calls the other"
    )
