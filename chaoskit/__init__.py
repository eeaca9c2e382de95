"""Chaos engineering and resilience tests of banking services: does the backup take over, and is the money right?

Importing this package loads nothing outside the standard library; names are loaded when they are first used.
"""

TYPE_CHECKING = False  # as in `typing`, whose import would take longer than all of this
if TYPE_CHECKING:
    from chaoskit.chaos import Chaos, HarnessFailed, NotPassed

__version__ = "0.1.0"
__all__ = ["Chaos", "HarnessFailed", "NotPassed", "__version__"]


def __getattr__(name: str) -> object:
    if name in {"Chaos", "HarnessFailed", "NotPassed"}:
        from chaoskit import chaos

        return getattr(chaos, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
