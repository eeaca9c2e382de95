"""Debian's small image: pulled where that is possible, else made here of Debian's packages under the same name."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from chaoskit.environments import owner
from chaoskit.environments.docker_engine import LABEL, Engine
from chaoskit.model.errors import MissingPart, Stopped

REPOSITORY, TAG = "debian", "bookworm-slim"
MAKE_WITHIN_S = 300.0  # 25 s with a near archive
MERGED_USR = Path("/usr/share/mmdebstrap/hooks/maybe-merged-usr")
NOT_NEEDED = ("doc", "man", "info", "locale", "groff", "lintian")


def provide_debian(engine: Engine, *, say: Callable[[str], None], is_stopping: Callable[[], bool], run: str) -> None:
    """Make sure that `debian:bookworm-slim` is here. Raises `MissingPart`, or `Stopped`."""
    import docker

    reference = f"{REPOSITORY}:{TAG}"
    try:
        engine.client.images.get(reference)
    except docker.errors.ImageNotFound:
        pass
    else:
        return
    try:
        engine.client.images.pull(REPOSITORY, tag=TAG)
    except (docker.errors.DockerException, OSError) as error:
        say(f"{reference} cannot be pulled; making it of Debian's packages")
        _make(engine, f"{reference} could not be pulled ({error})", is_stopping, run)


def _make(engine: Engine, why: str, is_stopping: Callable[[], bool], run: str) -> None:
    program = shutil.which("mmdebstrap")
    if program is None or os.geteuid() != 0:
        missing = "mmdebstrap is not installed" if program is None else f"this is user {os.geteuid()}, not root"
        raise MissingPart(
            f"{why} and not be made here, since {missing}. On Debian do `apt install mmdebstrap` and run as root once, "
            "or set CHAOSKIT_IMAGES to a registry that has the images"
        )
    with owner.working_place("debian", run) as folder:
        archive, log = folder / "debian.tar", folder / "log"
        argv = [program, "--variant=apt", "--quiet"]
        # A merged /usr from the start, or the package that merges it later brings all of Perl: 45 MB.
        argv += [f"--hook-dir={MERGED_USR}", "--include=usr-is-merged"] if MERGED_USR.exists() else []
        argv += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in NOT_NEEDED]
        argv += ["--dpkgopt=path-include=/usr/share/doc/*/copyright", TAG.partition("-")[0], str(archive)]
        with log.open("w") as output:
            child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + MAKE_WITHIN_S
        try:
            while child.poll() is None:
                if is_stopping():
                    raise Stopped("asked to stop while Debian's image was being made")
                if time.monotonic() > deadline:
                    raise MissingPart(f"{why}, and mmdebstrap did not end within {MAKE_WITHIN_S:g} s")
                time.sleep(0.1)
        finally:
            if child.poll() is None:
                child.terminate()  # it removes its folder then
                child.wait()
        if child.returncode != 0:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
            raise MissingPart(f"{why}, and mmdebstrap ended with {child.returncode}:\n{tail}")
        engine.client.api.import_image_from_file(
            str(archive), repository=REPOSITORY, tag=TAG, changes=['CMD ["bash"]', f"LABEL {LABEL}=1"]
        )
