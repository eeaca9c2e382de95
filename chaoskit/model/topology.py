"""What a system is made of, described once; an environment decides how a service is started and how it is hurt.

A value: it names services, ports, links, groups and journeys, and starts nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Port:
    """A named TCP port of a service.

    `hello` is what a client sends so that a healthy service answers at least one byte; it is how readiness and the
    effect of a cut are observed (an accepted connection proves nothing: a proxy accepts for a dead service).
    """

    name: str
    hello: bytes


def http_hello(path: str = "/health") -> bytes:
    """A request that every HTTP service of a topology answers."""
    return f"GET {path} HTTP/1.1\r\nHost: chaoskit\r\nConnection: close\r\n\r\n".encode()


POSTGRES_HELLO = bytes.fromhex("0000000804d2162f")
"""PostgreSQL's SSLRequest (message flow in the protocol documentation, section 54.2): any server answers one byte."""


class Place(Protocol):
    """Where one service lives in one environment. Given to `ServiceSpec.command`, which may write files into it."""

    @property
    def service(self) -> str:
        """The name of the service that lives here."""

    @property
    def directory(self) -> Path:
        """A folder of the service's own, kept across a kill and a start, removed when the environment goes down."""

    @property
    def seed(self) -> int:
        """The seed of the run."""

    @property
    def options(self) -> Mapping[str, str]:
        """The environment's options as given by the document and the command line."""

    def own(self, port: str) -> tuple[str, int]:
        """The address the service must listen on."""

    def to(self, service: str, port: str) -> tuple[str, int]:
        """The address at which this service reaches another one: through the link's proxy where there is a link."""

    def reached_by(self, client: str, port: str) -> tuple[str, int]:
        """The address at which *client* reaches this service, for services that announce themselves to their peers."""

    def program(self, name: str) -> str:
        """The path of a program (`postgres`, `patroni`, `etcd`, `python`). Raises `MissingPart`."""

    def write(self, name: str, text: str) -> Path:
        """Write a file into `directory` (mode 0600) and return its path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """How a service is started. `unprivileged` services must not see user id 0 (PostgreSQL refuses to run as root)."""

    argv: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    unprivileged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSpec:
    """One service. `after` names services that must be ready before this one is started."""

    name: str
    ports: tuple[Port, ...]
    command: Callable[[Place], Command]
    after: tuple[str, ...] = ()
    ready_within_s: float = 30.0
    version: str = ""
    """What the report calls it, such as `PostgreSQL 18`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSpec:
    """A connection that can be hurt: `client` calls `service` on `ports`. It always runs through a proxy."""

    client: str
    service: str
    ports: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleState:
    """What one member of a group says of itself at one moment.

    `role` is `primary`, `standby` or `down`. `accepts_writes` is seen by trying one, not by asking; None when it could not be
    tried within the limit. `streaming` is true on a primary whose standby receives and confirms its changes.
    """

    member: str
    role: str
    accepts_writes: bool | None
    streaming: bool = False
    detail: str = ""


class RoleReader(Protocol):
    def __call__(self, member: str, address: tuple[str, int], *, timeout_s: float) -> RoleState:
        """Ask one member for its role. Never raises for a dead member: that is the role `down`. Blocks up to *timeout_s*."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSpec:
    """Services that back each other up (`ledger-db`): members, the port that tells the role, and how to ask it."""

    name: str
    members: tuple[str, ...]
    port: str
    read_role: RoleReader
    roles: tuple[str, ...] = ("primary", "standby")
    complete_within_s: float = 40.0
    """How long it may take, after its members answer, until one takes writes and another confirms them."""


class Evidence(enum.StrEnum):
    """What a ledger may show. A check that needs what a ledger lacks proves nothing, and names it in these words."""

    KEYS = "what became of each key"
    """By the keys of its postings, or by what it says of a key that it is asked about."""
    BALANCES = "balances of accounts"
    POSTINGS = "postings"
    POSTING_KEYS = "keys of postings"
    VERSIONS = "versions of postings"
    ACCOUNT_VERSIONS = "versions of accounts"
    BALANCES_AFTER = "balances after postings"
    CLOSED_KEYS = "closed keys"
    """Whether a key without an effect can be closed, so that nothing comes under it any more."""
    FENCE = "whether transactions are open"


class Ledger(Protocol):
    """Reads the final state of the money. What a ledger cannot show it names in what it reads; none of it is ever guessed.

    All calls block. They raise `NotReady` when the ledger cannot be read in time, `UnreadableLedger` when what it gives makes no
    sense. Each may be called again. `chaoskit.testing.LedgerContract` holds a ledger to this.
    """

    def settle(self, keys: tuple[str, ...], *, timeout_s: float) -> Mapping[str, str]:
        """Make every key definite: a key that has no effect yet gets a tombstone, so that a late arrival is refused.

        Returns for each key `applied`, `refused` or `tombstone`. A key that may still have an effect later is left out.
        """

    def open_transactions(self, *, timeout_s: float) -> int | None:
        """Transactions of the services that are still open on the primary: 0 is the fence. None when nobody can tell."""

    def read(self, keys: tuple[str, ...] = (), *, timeout_s: float) -> LedgerState:
        """Accounts and postings in one snapshot, from the current primary.

        *keys* are all that customers sent, for a ledger that can only be asked about one key after the other.
        """

    def digests(self, *, timeout_s: float) -> Mapping[str, str]:
        """A digest of the same state on each member that answers, for the comparison with the other node; {} without copies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountState:
    """One account as the ledger shows it, in minor units. `lowest` is the lowest balance allowed, None for no limit.

    `balance` and `version` are 0 where the ledger lacks them.
    """

    account: str
    kind: str
    """`customer`, `vault` (cash that left through machines) or `clearing` (money under way to other banks)."""
    balance: int
    version: int
    lowest: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """One leg of one transaction: `amount` is signed, `version` is the account's version after it, from 1 without gaps.

    `key` is "" and `version` and `balance_after` are 0 where the ledger lacks them.
    """

    transaction: str
    key: str
    account: str
    version: int
    amount: int
    balance_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLimit:
    """Accounts that together may not go below `lowest`, such as all of one customer, however low a single one is."""

    group: str
    accounts: tuple[str, ...]
    lowest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """A payment that came from this bank, as another bank's book has it. A book that has it twice has two of these."""

    key: str
    account: str
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerState:
    """A snapshot of the whole ledger. `lacks` is what it cannot show; the fields for that are empty and mean nothing."""

    read_from: str
    accounts: tuple[AccountState, ...]
    postings: tuple[Posting, ...]
    keys: Mapping[str, str] = field(default_factory=dict)
    """What it says of each key that it was asked about (`applied`, `refused`, `tombstone`, `absent`), where postings have none."""
    lacks: frozenset[Evidence] = frozenset()
    limits: tuple[GroupLimit, ...] = ()
    credits: tuple[Credit, ...] | None = None
    """What other banks have booked of payments through a `clearing` account; None when nobody asked them."""
    unsent: tuple[str, ...] = ()
    """Keys of payments to other banks that still wait to be sent, by this bank's own word."""

    @property
    def applied_keys(self) -> set[str]:
        """The keys that have an effect."""
        if Evidence.POSTING_KEYS in self.lacks:
            return {key for key, state in self.keys.items() if state == "applied"}
        return {posting.key for posting in self.postings}


@dataclass(frozen=True, slots=True, kw_only=True)
class Currency:
    """How whole minor units are shown: `Rp 370,000` with no minor digits, `£ 3,700.00` with two."""

    code: str = ""
    minor_digits: int = 0

    def shown(self, minor_units: int) -> str:
        sign, places = "-" if minor_units < 0 else "", self.minor_digits
        whole, rest = divmod(abs(minor_units), 10**places)
        return f"{sign}{self.code}{' ' if self.code else ''}{whole:,}" + (f".{rest:0{places}d}" if places else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """A system: its parts, its doors, its customers. The bank is the first one; other teams write their own.

    `journeys` is the reference `module:function` of a function `(options, seed) -> Mapping[str, Journey]`, loaded in the
    load's own process. `entry` is the service and port that journeys call. `ledger` builds the reader of the money from an
    `address(service, port)` function; None when the system keeps no money. `opening` gives the opening balances, in minor
    units, from the seed and options: the truth that the ledger is compared with. Without it they are read from the ledger before
    anybody is let in, which takes its word for them.
    """

    name: str
    services: tuple[ServiceSpec, ...]
    links: tuple[LinkSpec, ...]
    groups: tuple[GroupSpec, ...] = ()
    entry: tuple[str, str]
    journeys: str
    journey_names: tuple[str, ...]
    habit_names: tuple[str, ...] = ()
    """What its customers can be asked to do besides (`chaoskit.model.journey.Habit`): those that any of the journeys heeds."""
    option_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Each option with its allowed values; an empty tuple allows any text."""
    ledger: Callable[[Callable[[str, str], tuple[str, int]]], Ledger] | None = None
    opening: Callable[[int, Mapping[str, str]], Mapping[str, int]] | None = None
    currency: Currency | None = None
    """How its amounts are shown; None shows plain minor units."""

    @property
    def service_names(self) -> tuple[str, ...]:
        return tuple(service.name for service in self.services)

    @property
    def role_names(self) -> tuple[str, ...]:
        return tuple(f"{group.name}.{role}" for group in self.groups for role in group.roles)

    def group_of(self, name: str) -> GroupSpec | None:
        """The group called *name*, or None."""
        return next((group for group in self.groups if group.name == name), None)
