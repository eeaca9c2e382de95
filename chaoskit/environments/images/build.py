"""Provides the images: by the name of their content, so that what is there already is not built again.

Packages are fetched on the host, with its settings, and copied in: the build needs no network but for Debian's Python.
`CHAOSKIT_IMAGES=registry.example/chaoskit` names images that somebody has published; then nothing is built.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chaoskit import __version__
from chaoskit.environments import owner
from chaoskit.environments.docker_engine import LABEL, Engine
from chaoskit.environments.images.content import BUILDS, Build
from chaoskit.environments.images.debian import provide_debian
from chaoskit.model.errors import MissingPart, Stopped

if TYPE_CHECKING:
    from docker.models.images import Image as EngineImage

REPOSITORY = "chaoskit"
VARIABLE = "CHAOSKIT_IMAGES"
SILENT_S = 300.0  # for one step of a build that prints nothing; unpacking Python takes ten seconds on a busy disk
NAMES = ("bank", "ledger-db", "toxiproxy")
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
    engine: Engine,
    *,
    names: tuple[str, ...] = NAMES,
    say: Callable[[str], None] = lambda _: None,
    is_stopping: Callable[[], bool] = lambda: False,
    run: str | None = None,
) -> Images:
    """The images of these names: built when they are not here, or pulled where `CHAOSKIT_IMAGES` is set.

    *run* is the id of the run that they are for, by which the folders of a build that was killed are found.
    A first build takes a minute or two, a second one nothing. Raises `MissingPart` with the end of the log, or `Stopped`.
    """
    prefix = os.environ.get(VARIABLE)
    found = []
    for build in (one for one in BUILDS if one.name in names):
        if prefix:
            reference = f"{prefix.rstrip('/')}/{build.name}:{__version__}"
            image = _pulled(engine, reference, say)
        else:
            builder = _Builder(engine, say, is_stopping, run or owner.new_run())
            reference = builder.reference(build)
            image = builder.provide(build)
        found.append(Image(name=build.name, reference=reference, id=str(image.id), programs=build.programs))
    return Images(all=tuple(found))


class _Builder:
    """Builds images and those that they begin with."""

    def __init__(self, engine: Engine, say: Callable[[str], None], is_stopping: Callable[[], bool], run: str) -> None:
        self._engine = engine
        self._run = run
        self._say = say
        self._is_stopping = is_stopping
        self._machine = str(engine.client.info()["Architecture"])

    def reference(self, build: Build) -> str:
        """The name that an image of this content has."""
        base = self.reference(_named(build.base)) if build.base else ""
        return f"{REPOSITORY}/{build.name}:{build.digest(self._machine, base)}"

    def provide(self, build: Build) -> EngineImage:
        import docker

        reference = self.reference(build)
        try:
            return self._engine.client.images.get(reference)
        except docker.errors.ImageNotFound:
            pass  # the usual first time
        self._say(f"building the image {reference}")
        arguments = {}
        if build.base:
            self.provide(_named(build.base))
            arguments["BASE"] = self.reference(_named(build.base))
        elif build.needs_debian:
            provide_debian(self._engine, say=self._say, is_stopping=self._is_stopping, run=self._run)
        with owner.working_place("image", self._run) as folder:
            build.fill(folder, self._machine)
            self._build(str(folder), reference, arguments)
        return self._engine.client.images.get(reference)

    def _build(self, folder: str, reference: str, arguments: Mapping[str, str]) -> None:
        """Build and follow it to its end. An error in it is no error of the call, so it must be looked for."""
        import docker

        log: list[str] = []
        try:
            lines = self._engine.client.api.build(
                path=folder,
                tag=reference,
                labels={LABEL: "1"},
                buildargs=dict(arguments),
                rm=True,
                forcerm=True,
                network_mode="host",  # the host's way out may be a proxy on loopback
                decode=True,
                timeout=SILENT_S,
            )
            for line in lines:
                if self._is_stopping():
                    raise Stopped(f"asked to stop while the image {reference} was being built")
                log += line.get("stream", "").splitlines()
                if "error" in line:
                    tail = "\n".join(f"    {one}" for one in log[-TAIL_LINES:])
                    raise MissingPart(f"image {reference} could not be built: {line['error']}; the end of its log:\n{tail}")
        except (docker.errors.DockerException, OSError) as error:
            raise MissingPart(f"image {reference} could not be built: {error}") from error


def _named(name: str) -> Build:
    return next(build for build in BUILDS if build.name == name)


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
