"""What may keep a run from starting: limits of what it may hurt, what must be allowed in so many words, times without runs.

Policies are never merged: every one holds, so that none can loosen another and each refusal names the file that it comes from.
"""

from __future__ import annotations

import enum
import ipaddress
from dataclasses import dataclass
from datetime import datetime


class Permission(enum.StrEnum):
    """What a run may do only when it was allowed by name: `--allow production`."""

    REMOTE_ENGINE = "remote-engine"
    """Use a container engine on another machine."""
    REMOTE_TARGET = "remote-target"
    """Send customers to an address that is not on loopback."""
    PRODUCTION = "production"
    """Run an experiment, or on a machine, that is marked `production: true`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may be hurt. None means without a limit; `source` is where they stand, for messages.

    `services` is how many different services at the same time, `share_of_group` which share of a group's members at the same time,
    `for_s` how long any one fault.
    """

    services: int | None = None
    share_of_group: float | None = None
    for_s: float | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeWindow:
    """A time in which nothing may run. Both ends have an offset; `why` is told to whoever is refused."""

    begins: datetime
    ends: datetime
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One policy file. It can only forbid: nothing in it allows what another file, or a document, does not."""

    source: str
    limits: Limits = Limits()
    production: bool = False
    """Whether this machine is part of production."""
    never_allow: frozenset[Permission] = frozenset()
    change_windows: tuple[ChangeWindow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms a run was let go: what was allowed by name, and the limits that hold besides its document's own."""

    allowed: tuple[Permission, ...] = ()
    limits: tuple[Limits, ...] = ()


def moment(text: str) -> datetime:
    """A point in time such as `2026-11-25T08:00:00Z`. Raises `ValueError` for any other text, also for one without an offset."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("it has no offset from UTC")
    return found


def is_loopback(host: str) -> bool:
    """Whether *host* is this machine and cannot be another one. A name other than `localhost` may mean anything tomorrow."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
