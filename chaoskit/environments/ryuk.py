"""Testcontainers' own reaper, Ryuk: honoured where somebody wants one, and never pulled for containers that we start.

Testcontainers starts Ryuk from its registry before the first container, unless it is told not to. Our containers have a reaper of
their own, so for the time in which we start one it is told not to, and then it is told again what it was told before: the other
containers of the same suite keep their Ryuk, and so does a user who has configured it in any of the ways that Testcontainers reads.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

_LOCK = threading.RLock()  # the switch is one for the whole process

VARIABLES = ("TESTCONTAINERS_RYUK_DISABLED", "RYUK_CONTAINER_IMAGE")
PROPERTIES = ("ryuk.disabled", "ryuk.container.image")


@contextlib.contextmanager
def without_pulling_ryuk() -> Iterator[None]:
    """Start containers in this block: Ryuk watches them if there is one or one is configured, and is not started otherwise."""
    from testcontainers.core.config import testcontainers_config as config

    with _LOCK:
        if is_configured():
            yield
            return
        before = config._ryuk_disabled  # noqa: SLF001 - the public name cannot be set back to "not said"
        config.ryuk_disabled = True
        try:
            yield
        finally:
            config._ryuk_disabled = before  # noqa: SLF001


def is_configured() -> bool:
    """Whether a Ryuk runs in this process, or somebody has said by variable, property or in code whether there should be one.

    The switch itself says nothing when it is off: Testcontainers writes that into it when it looks.
    """
    from testcontainers.core.config import testcontainers_config as config
    from testcontainers.core.container import Reaper

    return (
        Reaper._instance is not None  # noqa: SLF001 - there is no public way to ask
        or config.ryuk_image != type(config).ryuk_image
        or any(variable in os.environ for variable in VARIABLES)
        or any(name in config.tc_properties for name in PROPERTIES)
    )
