"""Provides the images: by the name of their content, so that what is there already is not built again.

Packages are fetched on the host, with its settings, and copied in: the build needs no network but for Debian's Python.
`CHAOSKIT_IMAGES=registry.example/chaoskit` names images that somebody has published; then nothing is built.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chaoskit import __version__
from chaoskit.environments.docker_engine import LABEL, Engine
from chaoskit.environments.images.content import BUILDS, Build
from chaoskit.environments.images.debian import provide_debian
from chaoskit.model.errors import MissingPart, Stopped

if TYPE_CHECKING:
    from docker.models.images import Image as EngineImage

REPOSITORY = "chaoskit"
VARIABLE = "CHAOSKIT_IMAGES"
SILENT_S = 300.0  # for one step of a build that prints nothing; unpacking Python takes ten seconds on a busy disk
TAIL_LINES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image that is here. `programs` are the programs in it, by the name that topologies use, with their paths."""

    name: str
    reference: str
    id: str
    programs: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """All of ours."""

    all: tuple[Image, ...]

    def named(self, name: str) -> Image:
        return next(image for image in self.all if image.name == name)

    def with_programs(self, programs: frozenset[str]) -> Image:
        """The first image that has all of them. Raises `MissingPart` when none has."""
        for image in self.all:
            if programs <= image.programs.keys():
                return image
        known = "; ".join(f"{image.name}: {', '.join(image.programs)}" for image in self.all)
        raise MissingPart(f"no image has the programs {', '.join(sorted(programs))} together ({known})")


def provide(
    engine: Engine, *, say: Callable[[str], None] = lambda _: None, is_stopping: Callable[[], bool] = lambda: False
) -> Images:
    """Every image; what is not here is built, or pulled where `CHAOSKIT_IMAGES` is set. Does nothing the second time.

    A first build takes a minute or two. Raises `MissingPart` with the last lines of what failed, or `Stopped`.
    """
    prefix = os.environ.get(VARIABLE)
    found = []
    bases: dict[str, str] = {}
    for build in BUILDS:
        if prefix:
            image = None if build.is_base else _pulled(engine, f"{prefix.rstrip('/')}/{build.name}:{__version__}", say)
        else:
            image = _built(engine, build, bases, say, is_stopping)
            bases[build.name] = image.tags[0]
        if image is not None and not build.is_base:
            found.append(Image(name=build.name, reference=image.tags[0], id=image.id, programs=build.programs))
    return Images(all=tuple(found))


def _built(
    engine: Engine, build: Build, bases: Mapping[str, str], say: Callable[[str], None], is_stopping: Callable[[], bool]
) -> EngineImage:
    import docker

    machine = str(engine.client.info()["Architecture"])
    reference = f"{REPOSITORY}/{build.name}:{build.digest(machine, bases)}"
    try:
        return engine.client.images.get(reference)
    except docker.errors.ImageNotFound:
        pass  # the usual first time
    say(f"building the image {reference}")
    if build.is_base:
        provide_debian(engine, say=say, is_stopping=is_stopping)
    with tempfile.TemporaryDirectory(prefix="chaoskit-image-") as folder:
        build.fill(Path(folder), machine)
        arguments = {f"{name.upper()}_IMAGE": tag for name, tag in bases.items()} if build.needs_base else {}
        try:
            lines = engine.client.api.build(
                path=folder,
                tag=reference,
                labels={LABEL: "1"},
                buildargs=arguments,
                rm=True,
                forcerm=True,
                network_mode="host",  # the host's way out may be a proxy on loopback
                decode=True,
                timeout=SILENT_S,
            )
            _follow(reference, lines, is_stopping)
        except (docker.errors.DockerException, OSError) as error:
            raise MissingPart(f"image {reference} could not be built: {error}") from error
    return engine.client.images.get(reference)


def _follow(reference: str, lines: Iterator[Mapping[str, str]], is_stopping: Callable[[], bool]) -> None:
    """Read a build to its end. An error in it is no error of the call, so it must be looked for."""
    log: list[str] = []
    for line in lines:
        if is_stopping():
            raise Stopped(f"asked to stop while the image {reference} was being built")
        log += line.get("stream", "").splitlines()
        if "error" in line:
            tail = "\n".join(f"    {one}" for one in log[-TAIL_LINES:])
            raise MissingPart(f"image {reference} could not be built: {line['error']}; the end of its log:\n{tail}")


def _pulled(engine: Engine, reference: str, say: Callable[[str], None]) -> EngineImage:
    import docker

    try:
        return engine.client.images.get(reference)
    except docker.errors.ImageNotFound:
        pass  # it is pulled now
    say(f"pulling the image {reference}")
    try:
        return engine.client.images.pull(reference)
    except (docker.errors.DockerException, OSError) as error:
        raise MissingPart(
            f"image {reference} could not be pulled: {error}. {VARIABLE} names the registry; unset it to build the image here"
        ) from error
