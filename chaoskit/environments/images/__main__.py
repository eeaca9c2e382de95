"""Builds what is missing and says what each image weighs: `make images`."""

from __future__ import annotations

import sys

from chaoskit.environments.docker_engine import connect
from chaoskit.environments.images.build import provide
from chaoskit.model.errors import ChaoskitError


def main() -> int:
    try:
        engine = connect()
        images = provide(engine, say=_say)
        for image in images.all:
            size_mb = engine.client.images.get(image.id).attrs["Size"] / 1e6
            _say(f"{size_mb:7.1f} MB  {image.reference}")
    except ChaoskitError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
