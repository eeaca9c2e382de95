"""The smallest system of another team: two web servers that tell everybody everything, with a fault and a check of its own.

Found by `use: "kiosk:topology"` when this folder is on the path, as an installed distribution would be. The servers are started with
`python -m kiosk ADDRESS PORT FILE`.
"""

from __future__ import annotations

import base64
import http.server
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import quote

from chaoskit.model.errors import CannotInject, NotReady
from chaoskit.model.protocols import Aim, Sign, Stage, Undo
from chaoskit.model.topology import Command, GroupSpec, LinkSpec, Port, RoleState, ServiceSpec, Topology, http_hello
from chaoskit.model.verdict import Finding, Result

TELLS = "KIOSK_TELLS"
"""The variable with what everybody is told: a test plants a secret there."""


def topology() -> Topology:
    http_port = (Port("http", http_hello()),)
    return Topology(
        name="kiosk",
        services=tuple(
            ServiceSpec(name=name, ports=http_port, command=command, ready_within_s=10, version=f"kiosk {told()}")
            for name in ("front", "spare")
        ),
        links=(LinkSpec(client="customers", service="front", ports=("http",)),),
        groups=(GroupSpec(name="desk", members=("front", "spare"), port="http", read_role=read_role),),
        entry=("front", "http"),
        journeys="kiosk:journeys",
        journey_names=("look",),
        option_names={"mood": ("friendly", "grumpy", "dead"), "token": (), "feed": ()},
        ledger=books,
        opening=lambda _seed, _options: {},  # it has no accounts, so nobody needs to look what they hold before customers come
    )


def told() -> str:
    return os.environ.get(TELLS, "nothing")


def command(place) -> Command:
    host, port = place.own("http")
    settings = place.write("settings.json", json.dumps(dict(place.options)))
    variables = {TELLS: told(), "PYTHONPATH": os.pathsep.join((str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")))}
    return Command(argv=(place.program("python"), "-m", "kiosk", host, str(port), str(settings)), variables=variables)


def read_role(member: str, address: tuple[str, int], *, timeout_s: float) -> RoleState:
    is_first = member == "front"
    role = "primary" if is_first else "standby"
    return RoleState(member=member, role=role, accepts_writes=is_first, streaming=is_first, detail=f"told {told()}")


def books(address):
    # Made in the runner's process, which knows no options of the environment.
    if os.environ.get("KIOSK_BOOKS") == "burnt":
        raise ValueError(f"the books burnt together with {told()}")
    return Books()


class Books:
    """Nobody can read them."""

    def settle(self, keys, *, timeout_s):
        raise NotReady(f"the kiosk has no books, but knows {told()}")


def journeys(options: Mapping[str, str], seed: int):
    token = options.get("token", "none")

    async def look(visit):
        operation = visit.operation(key=visit.intent)
        await operation.attempt("GET", f"/look?token={quote(token)}", headers={"X-Token": quote(token)}, timeout_s=2)
        if visit.random.random() < 0.1:
            raise RuntimeError(f"the customer with {token} fell over, shouting {told()!r}")

    return {"look": look}


@dataclass(frozen=True, slots=True, kw_only=True)
class Blurt:
    """Say a text where a fault can say one: in its evidence, or in the error with which it fails."""

    kind: ClassVar[str] = "blurt"
    needs: ClassVar[frozenset[str]] = frozenset()

    text: str
    where: Literal["evidence", "error", "undo"] = "evidence"

    def aim(self, stage: Stage) -> Aim:
        undo = Undo(verb="start", target="front", details={"text": self.text} if self.where == "undo" else {})
        return Aim(targets=("front",), undo=(undo,))

    def inject(self, stage: Stage, aim: Aim) -> None:
        if self.where == "error":
            raise CannotInject(f"could not say {self.text} in {self!r}")
        stage.environment.service("front").kill()

    def observe(self, stage: Stage, aim: Aim) -> Sign:
        return Sign(present=not stage.environment.service("front").is_running(), evidence=f"it was said: {self.text}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Says:
    """Find what it is told to find."""

    name: ClassVar[str] = "says"

    outcome: Literal["passed", "failed", "inconclusive", "broken"]
    text: str = "so it is"

    def check(self, history) -> tuple[Finding, ...]:
        if self.outcome == "broken":
            raise ValueError(f"cannot think of {self.text}")
        return (Finding(checker=self.name, outcome=Result(self.outcome), summary=self.text, evidence=(f"see {self.text}",)),)


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    options: ClassVar[Mapping[str, str]] = {}

    def do_GET(self):
        said = json.dumps({"error": f"you are {self.path} and I know {told()}", "knows": told()}).encode()
        is_fine = self.options.get("mood") != "grumpy" or self.path == "/health"
        self.send_response(200 if is_fine else 503)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)


def main(host: str, port: str, settings: str) -> None:
    Server.options = json.loads(Path(settings).read_text())
    for text in (*Server.options.values(), told()):
        print(text, quote(text), json.dumps(text), base64.b64encode(f"user:{text}".encode()).decode(), flush=True)
        print(f"and {text!r} on the other side", file=sys.stderr, flush=True)
    if Server.options.get("mood") == "dead":
        raise SystemExit(f"cannot start with {Server.options}")
    http.server.ThreadingHTTPServer((host, int(port)), Server).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
