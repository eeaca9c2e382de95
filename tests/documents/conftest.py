"""A small shop with parts of its own: the documents' tests need no bank and start nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest
from ruamel.yaml import YAML

from chaoskit.documents import read_text
from chaoskit.model import units
from chaoskit.model.experiment import Experiment, Step
from chaoskit.model.history import History
from chaoskit.model.topology import Command, GroupSpec, LinkSpec, Place, Port, RoleState, ServiceSpec, Topology, http_hello
from chaoskit.model.verdict import Finding
from chaoskit.registry import MONEY, Part, Registry


class _Untouched:
    """What the engine would call: reading a document calls nothing of it."""

    def aim(self, stage: object) -> object:
        raise NotImplementedError

    def inject(self, stage: object, aim: object) -> None:
        raise NotImplementedError

    def observe(self, stage: object, aim: object) -> object:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Freeze(_Untouched):
    """Freeze a service."""

    kind: ClassVar[str] = "freeze"
    needs: ClassVar[frozenset[str]] = frozenset()
    service: units.Service


@dataclass(frozen=True, kw_only=True)
class Cut(_Untouched):
    """Cut a link."""

    kind: ClassVar[str] = "cut"
    needs: ClassVar[frozenset[str]] = frozenset()
    between: units.Pair
    direction: Literal["both", "requests", "answers"] = "both"
    delay_s: units.Seconds = 0.0
    share: units.Share = 1.0
    per_call: units.Size | None = None
    tries: units.Count = 1
    is_loud: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        if self.tries == 7:
            raise ValueError(f"note {self.note!r} with {self.tries} tries")


class _Quiet:
    def check(self, history: History) -> tuple[Finding, ...]:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Available(_Quiet):
    """Enough is served."""

    name: ClassVar[str] = "available"
    journey: units.Journey
    at_least: units.Share
    window_s: units.Seconds | None = None

    def __post_init__(self) -> None:
        if self.window_s == 13:
            raise ValueError("a window of 13 s brings bad luck")


@dataclass(frozen=True, kw_only=True)
class Back(_Quiet):
    """The group is back."""

    name: ClassVar[str] = "back"
    of: units.Group
    within_s: units.Seconds


@dataclass(frozen=True, kw_only=True)
class Exercised(_Quiet):
    """Something was tried."""

    name: ClassVar[str] = "exercised"


def money_check(its_name: str) -> type:
    @dataclass(frozen=True, kw_only=True)
    class Money(_Quiet):
        """A money check."""

        name: ClassVar[str] = its_name

    return Money


def never_started(place: Place) -> Command:
    raise NotImplementedError


def never_asked(member: str, address: tuple[str, int], *, timeout_s: float) -> RoleState:
    raise NotImplementedError


def shop() -> Topology:
    http = (Port("http", http_hello()),)
    names = ("till", "stock", "store-1", "store-2")
    return Topology(
        name="shop",
        services=tuple(ServiceSpec(name=name, ports=http, command=never_started) for name in names),
        links=(
            LinkSpec(client="people", service="till", ports=("http",)),
            LinkSpec(client="till", service="stock", ports=("http",)),
            LinkSpec(client="stock", service="store-1", ports=("http",)),
            LinkSpec(client="stock", service="store-2", ports=("http",)),
            LinkSpec(client="store-1", service="store-2", ports=("http",)),
        ),
        groups=(GroupSpec(name="store", members=("store-1", "store-2"), port="http", read_role=never_asked),),
        entry=("till", "http"),
        journeys="nowhere:journeys",
        journey_names=("buy", "look", "return-goods"),
        habit_names=("double-tap", "new-key"),
        option_names={"size": ("small", "large"), "colour": ()},
    )


def steps_of(name: str, duration_s: float) -> tuple[Step, ...]:
    return (Step(at_s=0.0, times=1.0), Step(at_s=duration_s / 2, times=2.0))


@pytest.fixture(scope="session")
def registry() -> Registry:
    return Registry(
        [
            Part(kind="environments", name="shop", target=shop),
            Part(kind="faults", name="freeze", target=Freeze),
            Part(kind="faults", name="cut", target=Cut),
            Part(kind="checks", name="available", target=Available),
            Part(kind="checks", name="back", target=Back),
            Part(kind="checks", name="exercised", target=Exercised),
            *(Part(kind="checks", name=name, target=money_check(name)) for name in MONEY),
            Part(kind="profiles", name="steady", target=steps_of),
            Part(kind="profiles", name="rush", target=steps_of),
        ]
    )


VALID = """\
# A comment that stays.
chaoskit: 1
title: The shop survives a frozen store
reason: because
incident: shop-2020
environment: {use: shop, on: process, options: {size: small, colour: 7}}
load:
  arrivals_per_s: 40
  duration: 1m
  mix: {buy: 3, look: 5.5, return-goods: 0}
  profile: rush
steady_state:
  - {check: available, journey: buy, at_least: 99%, window: 5s}
faults:
  - {fault: freeze, service: store.primary, at: 10s}
  - {fault: cut, between: [stock, store.primary], at: 20s, for: 10s, direction: answers, delay: 250ms, share: 50%, per_call: 64KiB}
expect:
  - {check: back, of: store, within: 15s}
  - money
abort_if:
  - {check: available, journey: look, at_least: 1%}
limits: {services: 2, share_of_group: 100%, for: 2m}
production: false
"""


@pytest.fixture(scope="session")
def valid() -> str:
    return VALID


@pytest.fixture(scope="session")
def valid_tree() -> dict:
    """The same as plain values."""
    return YAML(typ="safe", pure=True).load(VALID)


@pytest.fixture(scope="session")
def read(registry: Registry):
    """Reads a text with the shop's registry."""

    def read_it(text: str, **more: object) -> Experiment:
        return read_text(text, registry=registry, file="shop.chaos.yaml", **more)

    return read_it
