"""A short way to PASSED for long histories, with numpy. It accuses nobody: what it cannot prove is left to the checks themselves.

So the checks stay the specification, and a violation is told in their words only. Nothing outside imports this without numpy.
"""

from chaoskit.checkers.money.fast.certified import certified
from chaoskit.checkers.money.fast.passing import passing

__all__ = ["certified", "passing"]
