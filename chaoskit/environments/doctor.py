"""Says what this machine can do, without starting or changing anything."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from dataclasses import dataclass

from chaoskit.environments import docker_engine, programs
from chaoskit.model.errors import ChaoskitError

PACKAGES = {"aiohttp": "bank", "psycopg": "bank", "psycopg-pool": "bank", "toxiproxy-python": "process", "uvloop": "fast"}
"""Packages beside the core's, with the extra that brings them. Only uvloop can be done without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that was looked for. `says` is its version and origin, or what to do."""

    what: str
    is_there: bool
    is_needed: bool
    says: str


def examine() -> tuple[Line, ...]:
    """Everything that environments need, in the order in which it is used. Blocks some seconds at most."""
    return (
        Line(
            what="Python",
            is_there=sys.version_info >= (3, 11),
            is_needed=True,
            says=f"{sys.version.split()[0]} at {sys.executable}",
        ),
        Line(what="Linux", is_there=sys.platform == "linux", is_needed=True, says=" ".join(os.uname()[:3:2])),
        *(_package(name, extra) for name, extra in PACKAGES.items()),
        *(_program(name) for name in programs.NAMES if name != "python"),
        _unprivileged(),
        _room(),
        _engine(),
    )


def _package(name: str, extra: str) -> Line:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Line(what=name, is_there=False, is_needed=extra != "fast", says=f"do: pip install 'chaoskit[{extra}]'")
    return Line(what=name, is_there=True, is_needed=extra != "fast", says=version)


def _program(name: str) -> Line:
    found = programs.find(name)
    if isinstance(found, programs.Found):
        return Line(what=name, is_there=True, is_needed=True, says=f"{found.version()} ({found.origin}: {found.path})")
    if name == "toxiproxy-server" and programs.find_go() is not None:
        return Line(
            what=name, is_there=True, is_needed=True, says=f"not built yet: the first run builds it with {programs.find_go()}"
        )
    return Line(what=name, is_there=False, is_needed=True, says=str(found))


def _unprivileged() -> Line:
    """PostgreSQL refuses to run as user 0, so root needs a way to be somebody else."""
    if os.geteuid() != 0:
        return Line(what="unprivileged user", is_there=True, is_needed=True, says=f"running as user {os.geteuid()}")
    done = subprocess.run(
        ["unshare", "-U", "--map-user=1000", "--map-group=1000", "true"], capture_output=True, text=True, timeout=10, check=False
    )
    if done.returncode == 0:
        return Line(what="unprivileged user", is_there=True, is_needed=True, says="root: PostgreSQL runs in a user namespace")
    return Line(
        what="unprivileged user", is_there=True, is_needed=True,
        says=f"root, and user namespaces are forbidden ({done.stderr.strip()}): PostgreSQL runs as nobody, by setpriv",
    )  # fmt: skip


def _engine() -> Line:
    """Only containers need one. Nothing is started on it."""
    try:
        engine = docker_engine.connect()
    except ChaoskitError as error:
        return Line(what="container engine", is_there=False, is_needed=False, says=f"needed for --on docker only: {error}")
    engine.client.close()
    return Line(what="container engine", is_there=True, is_needed=False, says=engine.facts()["engine"])


def _room() -> Line:
    """The bank's two databases and their logs take about 200 MB below the folder for temporary files."""
    import tempfile

    room = os.statvfs(tempfile.gettempdir())
    free_mb = room.f_bavail * room.f_frsize // 1_000_000
    return Line(what="free disk", is_there=free_mb >= 500, is_needed=True, says=f"{free_mb:,} MB in {tempfile.gettempdir()}")
