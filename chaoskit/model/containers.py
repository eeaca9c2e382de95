"""What a system in containers can suffer besides: optional abilities of an environment, its services and its links.

Faults that need them ask by shape (`isinstance` of a protocol), so an environment without containers need not know of this file.
The environment's capabilities say beforehand which of them work here: some need root, and some a kernel that has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from chaoskit.model.protocols import Undo


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketRule:
    """What the kernel does to packets of a link: `drop` loses them, `refuse` answers with a reset as if no process listened.

    `share` is drawn for each packet. `only_new` spares the packets of connections that are there. `port` "" means every port.
    """

    act: str
    direction: str = "both"
    share: float = 1.0
    only_new: bool = False
    port: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketCount:
    """What a rule met so far: packets it applied to, and how many of them it hit."""

    seen: int
    hit: int


class PacketLink(Protocol):
    """A link below its proxy: the packets between two containers, as the kernel at the caller's end (or the only end) sees them.

    Lossless for connections: what is dropped is sent again, and a connection that is open goes on after the undo.
    """

    @property
    def name(self) -> str:
        """`client -> service`."""

    def undo_of(self, rule: PacketRule) -> Undo:
        """How a rule that is not there yet will be undone: draws a name for it. Raises `CannotInject`, `Unsupported`."""

    def filter(self, rule: PacketRule, undo: Undo) -> None:
        """Put the rule there, all at once and under the name that *undo* carries. Raises `CannotInject`."""

    def count(self, undo: Undo) -> PacketCount | None:
        """What the rule met so far; None when it is not there, also because its container was restarted."""

    def look(self, *, port: str, timeout_s: float) -> str:
        """How a hello from inside the caller's container ended, in the words of `Link.look`; "" when none can be sent there."""


@runtime_checkable
class PacketEnvironment(Protocol):
    """What an environment with the capability `packets` can do besides."""

    def packets(self, one: str, other: str) -> tuple[PacketLink, ...]:
        """Every link between two services as packets see it, whichever of them calls; () if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """What the kernel says of a service's limits. `is_set` is whether the limit that was asked for is in force now.

    `felt` counts how often a limit held it back, since its container was started.
    """

    is_set: bool
    felt: int
    text: str


@runtime_checkable
class ContainerService(Protocol):
    """What a service in a container can suffer besides. Each `undo_of_…` is asked before the act and touches nothing.

    All raise `CannotInject`, also for a service that is paused or gone.
    """

    def crash(self) -> None:
        """End its first process from outside, as the kernel would: unlike `kill`, restart policies act."""

    def undo_of_detach(self, network: str) -> tuple[Undo, ...]:
        """How it will be attached again, with its names and address; *network* "" means all of its networks.

        One undo for each, which has the network's `name`.
        """

    def detach(self, network: str) -> None:
        """Take it off a network: its address and its names vanish for everybody."""

    def networks(self) -> tuple[str, ...]:
        """The networks that it is attached to now."""

    def undo_of_squeeze(self, what: str) -> Undo:
        """How its limits of *what* (`cpu` or `memory`) will be what they are now, in numbers.

        Its details have `felt` besides: how often such a limit was felt until now.
        """

    def squeeze_cpu(self, *, cores: float) -> None:
        """Allow it so much of a core's time."""

    def squeeze_memory(self, *, size_bytes: int) -> None:
        """Allow it so much memory and no swap. What it uses beyond that already makes the call fail."""

    def cpu_pressure(self, *, cores: float) -> Pressure:
        """Whether the limit is in force, and how often its processes had to wait for it."""

    def memory_pressure(self, *, size_bytes: int) -> Pressure:
        """Whether the limit is in force, and how often it was met."""

    def undo_of_fill(self, path: str) -> Undo:
        """How what will be written below *path* is deleted."""

    def fill_disk(self, undo: Undo, *, keep_full: bool) -> None:
        """Fill the small volume under a path; with *keep_full* what becomes free is taken again, until the undo."""

    def is_disk_full(self, path: str) -> tuple[bool, str]:
        """Whether a write of one page fails there now for want of room, and the evidence."""


@runtime_checkable
class SharedCpu(Protocol):
    """An environment that can tell how its services get on with the processors that they share."""

    def cpu(self) -> Mapping[str, float]:
        """Since their start: in how many time slices they were `throttled`, all together, of how many `periods` with a limit.

        No fault sets such a limit. `used_s` is the processor time that they used, where that is known. {} when nothing is.
        """


@runtime_checkable
class PacketService(Protocol):
    """What a service with the capability `bandwidth` can suffer besides."""

    def undo_of_bandwidth(self) -> tuple[Undo, ...]:
        """How its interfaces will be unlimited again, one undo for each."""

    def limit_bandwidth(self, undo: tuple[Undo, ...], *, bytes_per_s: int) -> None:
        """Let at most so much leave it, over all of its connections. Raises `CannotInject`."""

    def bandwidth(self, undo: tuple[Undo, ...]) -> PacketCount | None:
        """Packets that left under the limit, and how many had to wait or were dropped; None when the limit is not there."""
