"""A corner shop: one web server, and faults that misbehave in the ways that tests and the comparison need.

Found by `use: "corner:topology"` when this folder is on the path, as an installed distribution would be.
"""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from chaoskit.faults.pause import Pause
from chaoskit.model.protocols import Aim, Sign, Stage, Undo
from chaoskit.model.topology import Command, LinkSpec, Port, ServiceSpec, Topology, http_hello

HANGS_S = 5.0
"""Far longer than a signal needs to be noticed; a healing waits for an injection that is still under way."""

SHOP = Path(__file__).with_name("shop.py")

MARK = "CORNER_MARK"
"""The variable with a text that every process of one run has in its command line."""


def topology() -> Topology:
    http = (Port("http", http_hello()),)
    return Topology(
        name="corner",
        services=(ServiceSpec(name="shop", ports=http, command=command, ready_within_s=10),),
        links=(LinkSpec(client="customers", service="shop", ports=("http",)),),
        entry=("shop", "http"),
        journeys="corner:journeys",
        journey_names=("look",),
        option_names={"mood": ("open", "closed")},
    )


def command(place) -> Command:
    host, port = place.own("http")
    mood = place.options.get("mood", "open")
    return Command(argv=(place.program("python"), str(SHOP), host, str(port), mood, os.environ.get(MARK, "none")))


def journeys(options: Mapping[str, str], seed: int):
    async def look(visit):
        await visit.operation(key=visit.intent).attempt("GET", "/look", timeout_s=1)

    return {"look": look}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hang:
    """Freeze the shop if asked to, and do not come back from doing so: `how` says in what. The file `tells` says that it has begun."""

    kind: ClassVar[str] = "hang"
    needs: ClassVar[frozenset[str]] = frozenset({"pause"})

    how: Literal["sleep", "socket", "child", "thread", "swallow", "log"] = "sleep"
    tells: str
    freezes: bool = True

    def aim(self, stage: Stage) -> Aim:
        return Pause(service="shop").aim(stage)

    def inject(self, stage: Stage, aim: Aim) -> None:
        if self.freezes:
            Pause(service="shop").inject(stage, aim)
        Path(self.tells).touch()
        WAYS[self.how](time.monotonic() + HANGS_S)

    def observe(self, stage: Stage, aim: Aim) -> Sign:
        return Pause(service="shop").observe(stage, aim)


def _socket(until: float) -> None:
    one, other = socket.socketpair()
    with one, other:
        one.settimeout(until - time.monotonic())
        one.recv(1)


def _child(until: float) -> None:
    subprocess.run(["sleep", str(until - time.monotonic())], check=True)


def _thread(until: float) -> None:
    waiting = threading.Thread(target=lambda: time.sleep(until - time.monotonic()), daemon=True)
    waiting.start()
    waiting.join()


def _swallow(until: float) -> None:
    """A loop that takes every exception for one of its own."""
    while time.monotonic() < until:
        try:
            time.sleep(0.05)  # what is left of the time, in pieces
        except BaseException:
            continue


class _SlowHandler(logging.Handler):
    def emit(self, record):
        time.sleep(HANGS_S)


def _log(_until: float) -> None:
    """Where `logging` keeps what a handler raises to itself."""
    logger = logging.getLogger("slow")
    logger.addHandler(_SlowHandler())
    logger.warning("too slow")


WAYS = {
    "sleep": lambda until: time.sleep(until - time.monotonic()),
    "socket": _socket,
    "child": _child,
    "thread": _thread,
    "swallow": _swallow,
    "log": _log,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Raises:
    """Break with a text, having done nothing."""

    kind: ClassVar[str] = "raises"
    needs: ClassVar[frozenset[str]] = frozenset()

    text: str

    def aim(self, stage: Stage) -> Aim:
        return Aim(targets=("shop",), undo=())

    def inject(self, stage: Stage, aim: Aim) -> None:
        raise RuntimeError(self.text)

    def observe(self, stage: Stage, aim: Aim) -> Sign:
        return Sign(present=False, evidence="nothing was done")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """Freeze the shop in a way whose undo fails."""

    kind: ClassVar[str] = "stuck"
    needs: ClassVar[frozenset[str]] = frozenset({"pause"})

    def aim(self, stage: Stage) -> Aim:
        return Aim(targets=("shop",), undo=(Undo(verb="thaw", target="shop", details={}),))

    def inject(self, stage: Stage, aim: Aim) -> None:
        Pause(service="shop").inject(stage, aim)

    def observe(self, stage: Stage, aim: Aim) -> Sign:
        return Pause(service="shop").observe(stage, aim)
