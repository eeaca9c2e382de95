"""Toxiproxy's toxics as values whose ranges are checked before anything is sent.

The server takes nearly everything: it answers 200 to a misspelt attribute or a toxicity of 7, and some values end its process (a
slicer without an average size, a negative rate, a huge jitter). So nothing reaches it that was not checked here.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from chaoskit.model.errors import UsageError

DAY_MS = 86_400_000  # no experiment is longer; far below the values that overflow inside the server
RESET_PEER_MS_MAX = 20_000  # removing it waits for its timeout, and the server gives up on any call after 25 s


class Stream(enum.StrEnum):
    """Which way the data goes: UPSTREAM is from the client to the service, DOWNSTREAM its answers."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Toxic:
    """What all toxics have: a *toxicity* that is drawn once per connection and direction, not per request, and a *name*.

    `name` "" means `<type>_<stream>`.
    """

    type: ClassVar[str]
    attribute_names: ClassVar[Mapping[str, str]]
    """Our field -> the server's attribute."""

    stream: Stream = Stream.DOWNSTREAM
    toxicity: float = 1.0
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "stream", Stream(self.stream))
        if not self.name:
            object.__setattr__(self, "name", f"{self.type}_{self.stream}")
        if not 0.0 <= self.toxicity <= 1.0:
            raise UsageError(f"toxic {self.name}: toxicity {self.toxicity!r} was given; expected a share from 0 to 1")

    @property
    def attributes(self) -> dict[str, int]:
        """As the server calls them."""
        return {theirs: getattr(self, ours) for ours, theirs in self.attribute_names.items()}

    def is_stored_as(self, stored: Mapping[str, object]) -> bool:
        """Whether the server's *stored* toxic is this one in every value."""
        toxicity = stored.get("toxicity")
        return (
            stored.get("name") == self.name
            and stored.get("type") == self.type
            and stored.get("stream") == self.stream.value
            and stored.get("attributes") == self.attributes
            and isinstance(toxicity, int | float)
            and math.isclose(toxicity, self.toxicity, abs_tol=1e-6)  # the server keeps 32 bits
        )

    def _require(self, field: str, *, lowest: int, highest: int = DAY_MS) -> None:
        value = getattr(self, field)
        if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
            raise UsageError(f"toxic {self.name}: {field} {value!r} was given; expected a whole number from {lowest} to {highest}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency(Toxic):
    """Delay everything by `latency_ms`, give or take `jitter_ms`. A sender's death does not stop what is already held."""

    type: ClassVar[str] = "latency"
    attribute_names: ClassVar[Mapping[str, str]] = {"latency_ms": "latency", "jitter_ms": "jitter"}
    latency_ms: int
    jitter_ms: int = 0

    def __post_init__(self) -> None:
        Toxic.__post_init__(self)
        self._require("latency_ms", lowest=0)
        self._require("jitter_ms", lowest=0, highest=self.latency_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeout(Toxic):
    """Swallow everything; with `timeout_ms` above 0, close the connection after that. Removing it closes connections, too."""

    type: ClassVar[str] = "timeout"
    attribute_names: ClassVar[Mapping[str, str]] = {"timeout_ms": "timeout"}
    timeout_ms: int = 0

    def __post_init__(self) -> None:
        Toxic.__post_init__(self)
        self._require("timeout_ms", lowest=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth(Toxic):
    """Let at most `rate_kb_per_s` through, for each connection by itself."""

    type: ClassVar[str] = "bandwidth"
    attribute_names: ClassVar[Mapping[str, str]] = {"rate_kb_per_s": "rate"}
    rate_kb_per_s: int

    def __post_init__(self) -> None:
        Toxic.__post_init__(self)
        self._require("rate_kb_per_s", lowest=1)  # 0 is `Stall`


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall(Toxic):
    """Hold everything back. Unlike `Timeout` nothing is lost: removed from a live proxy, it lets go of what it held."""

    type: ClassVar[str] = "bandwidth"  # the server has no word of its own for it
    attribute_names: ClassVar[Mapping[str, str]] = {"rate_kb_per_s": "rate"}
    rate_kb_per_s: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or f"stall_{Stream(self.stream)}")
        Toxic.__post_init__(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowClose(Toxic):
    """Hold back the end of a connection for `delay_ms`."""

    type: ClassVar[str] = "slow_close"
    attribute_names: ClassVar[Mapping[str, str]] = {"delay_ms": "delay"}
    delay_ms: int

    def __post_init__(self) -> None:
        Toxic.__post_init__(self)
        self._require("delay_ms", lowest=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetPeer(Toxic):
    """Reset new connections `timeout_ms` after their first byte. Older connections see an ordinary end, idle ones nothing."""

    type: ClassVar[str] = "reset_peer"
    attribute_names: ClassVar[Mapping[str, str]] = {"timeout_ms": "timeout"}
    timeout_ms: int = 0

    def __post_init__(self) -> None:
        Toxic.__post_init__(self)
        if self.toxicity != 1.0:  # the server resets every connection, whatever the share is
            raise UsageError(f"toxic {self.name}: toxicity {self.toxicity!r} was given; reset_peer hurts all, so expected 1")
        self._require("timeout_ms", lowest=0, highest=RESET_PEER_MS_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slicer(Toxic):
    """Cut the data into pieces of `average_bytes`, give or take `variation_bytes`, with `delay_us` between them."""

    type: ClassVar[str] = "slicer"
    attribute_names: ClassVar[Mapping[str, str]] = {
        "average_bytes": "average_size",
        "variation_bytes": "size_variation",
        "delay_us": "delay",
    }
    average_bytes: int
    variation_bytes: int = 0
    delay_us: int = 0

    def __post_init__(self) -> None:
        Toxic.__post_init__(self)
        self._require("average_bytes", lowest=1)
        self._require("variation_bytes", lowest=0, highest=self.average_bytes - 1)
        self._require("delay_us", lowest=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitData(Toxic):
    """Close the connection after so many bytes."""

    type: ClassVar[str] = "limit_data"
    attribute_names: ClassVar[Mapping[str, str]] = {"size_bytes": "bytes"}
    size_bytes: int

    def __post_init__(self) -> None:
        Toxic.__post_init__(self)
        self._require("size_bytes", lowest=0)


KINDS: Mapping[str, type[Toxic]] = {
    kind.type: kind for kind in (Latency, Timeout, Bandwidth, SlowClose, ResetPeer, Slicer, LimitData)
}


def toxic(
    type: str,  # noqa: A002 – the server's word
    *,
    stream: str = "downstream",
    toxicity: float = 1.0,
    name: str = "",
    attributes: Mapping[str, int] | None = None,
) -> Toxic:
    """A toxic from the server's own words. Raises `UsageError` for an unknown type, stream or attribute, naming the nearest."""
    kind = KINDS.get(type)
    if kind is None:
        raise UsageError(_unknown("toxic type", type, KINDS))
    if stream not in list(Stream):
        raise UsageError(_unknown(f"toxic {type}: stream", stream, list(Stream)))
    ours = {theirs: field for field, theirs in kind.attribute_names.items()}
    values = dict(attributes or {})
    for attribute in values:
        if attribute not in ours:
            raise UsageError(_unknown(f"toxic {type}: attribute", attribute, ours))
    needed = {field.name for field in dataclasses.fields(kind) if field.default is dataclasses.MISSING}
    missing = [theirs for theirs, field in ours.items() if field in needed and theirs not in values]
    if missing:
        raise UsageError(f"toxic {type}: attribute {missing[0]!r} is needed and was not given")
    fields: Mapping[str, object] = {ours[attribute]: value for attribute, value in values.items()}
    return dataclasses.replace(_blank(kind), **fields, stream=Stream(stream), toxicity=toxicity, name=name)


def _blank(kind: type[Toxic]) -> Toxic:
    """A valid toxic of this kind, to be replaced field by field: what it is built with is never sent."""
    needed: Mapping[str, int] = {field.name: 1 for field in dataclasses.fields(kind) if field.default is dataclasses.MISSING}
    return kind(**needed)  # type: ignore[arg-type]  # the fields without a default are all whole numbers


def _unknown(what: str, given: str, valid: Mapping[str, object] | list[Stream]) -> str:
    names = [str(name) for name in valid]
    near = difflib.get_close_matches(given, names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"{what} {given!r} is not known ({', '.join(names)}).{hint}"
