"""Which event loop drives the load: uvloop where the extra `fast` is installed, else the standard library's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from importlib.util import find_spec

from chaoskit.model.errors import MissingPart, UsageError

LOOPS = ("auto", "asyncio", "uvloop")


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """The maker of the loop called *name*; `auto` takes uvloop if it is there. Raises `UsageError` or `MissingPart`."""
    if name not in LOOPS:
        raise UsageError(f"load: loop {name!r} was given; expected one of {', '.join(LOOPS)}")
    if name == "asyncio" or (name == "auto" and find_spec("uvloop") is None):
        return asyncio.new_event_loop
    if find_spec("uvloop") is None:
        raise MissingPart(
            "load: loop 'uvloop' was given and uvloop is not installed; pip install 'chaoskit[fast]', or leave it out"
        )
    import uvloop

    made: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return made
