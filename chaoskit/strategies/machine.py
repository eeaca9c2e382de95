"""A base for state machines on a live system: what is open is closed whatever happens, and a live answer ends the search.

Hypothesis calls `teardown` after a failing `@initialize`, but not after a failing `__init__`: so nothing is opened there.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TypeVar

import hypothesis
from hypothesis.errors import HypothesisException
from hypothesis.stateful import RuleBasedStateMachine, initialize, run_state_machine_as_test

from chaoskit.model.verdict import Result, Verdict
from chaoskit.strategies.searching import Confirmation, Found

T = TypeVar("T")


class LiveMachine(RuleBasedStateMachine):
    """Subclass it with `acquire`, `judge` and rules, and give the class to `explore`.

    Open everything in `acquire`, by `enter`; have no `__init__` and no `@initialize` of your own, which would run before it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._resources = contextlib.ExitStack()
        self._is_ready = False

    def acquire(self) -> None:
        """Open what the rules need. What was opened by `enter` is closed also when this raises."""

    def judge(self) -> Verdict | None:
        """After the last rule, while everything is open still: the verdict. None judges nothing; it may raise AssertionError."""
        return None

    def enter(self, resource: contextlib.AbstractContextManager[T]) -> T:
        """Open *resource* for as long as this machine runs; the last one is closed first."""
        return self._resources.enter_context(resource)

    @initialize()
    def _acquire(self) -> None:
        self.acquire()
        self._is_ready = True

    def teardown(self) -> None:
        """Judge, and close. Whatever went wrong leaves Hypothesis at once: it would try it again on a live system."""
        error = sys.exception()
        try:
            with self._resources:
                if error is None and self._is_ready:
                    verdict = self.judge()
                    if verdict is not None and verdict.result is not Result.PASSED:
                        raise Found(type(self).__name__, verdict, Confirmation(()))
        except Exception as own:
            raise _Ended(own) from error
        if isinstance(error, Exception) and not isinstance(error, HypothesisException):
            raise _Ended(error)


class _Ended(BaseException):
    """Carries an error out of Hypothesis, which runs only an Exception again."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def explore(machine: type[LiveMachine], *, settings: hypothesis.settings | None = None) -> None:
    """Run *machine* with *settings*; None takes those of the loaded profile.

    Raises the first thing that went wrong, without another run; `Found` is a verdict that did not pass.
    """
    try:
        run_state_machine_as_test(machine, settings=settings or hypothesis.settings())
    except _Ended as ended:
        raise ended.error from ended.__cause__
