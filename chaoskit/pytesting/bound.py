"""`Chaos` bound to one test: what the test runs is on its report, told to hooks, and not forgotten."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chaoskit.chaos import Chaos, NotPassed
from chaoskit.model.errors import MissingEngine, UsageError
from chaoskit.model.experiment import Experiment
from chaoskit.model.history import Event, History
from chaoskit.model.protocols import Checker, Environment
from chaoskit.model.verdict import Result, Verdict
from chaoskit.pytest_plugin import PROPERTY

if TYPE_CHECKING:
    from chaoskit.pytesting.interrupts import Interrupts

LOG = logging.getLogger("chaoskit")


class BoundChaos(Chaos):
    """A `Chaos` that knows its test. Made by the fixture `chaos`; the test leaves closing it to the fixture."""

    def __init__(
        self,
        request: pytest.FixtureRequest,
        environment: Environment | None,
        *,
        interrupts: Interrupts,
        lock_of: Callable[[Environment | None], tuple[str, float]],
        **arguments: object,
    ) -> None:
        super().__init__(environment, observe=self._observed, progress=_Logged(), **arguments)  # type: ignore[arg-type]
        self._request = request
        self._item: pytest.Item = request.node
        self._interrupts = interrupts
        self._lock_by = lock_of
        self._told = 0
        self._checked: list[Verdict] = []

    def run(
        self,
        experiment: Experiment | str | os.PathLike[str],
        environment: Environment | None = None,
        *,
        on: str | None = None,
        options: Mapping[str, str] | None = None,
        variables: Mapping[str, str] | None = None,
        seed: int | None = None,
        entry: str = "",
    ) -> Verdict:
        """As `Chaos.run`. Raises `MissingEngine` besides, and KeyboardInterrupt when the session was asked to end meanwhile."""
        try:
            verdict = super().run(experiment, environment, on=on, options=options, variables=variables, seed=seed, entry=entry)
        except KeyboardInterrupt:
            self._tell()
            self._interrupts.check()  # raised again with the signal's name, where a signal it was
            raise
        if missing := _missing_engine(verdict):
            self._told += 1  # nothing was started, so there is nothing to tell
            raise MissingEngine(missing)
        self._tell()
        self._interrupts.check()
        return verdict

    def check(self, verdict: Verdict) -> Verdict:
        self._checked.append(verdict)
        return super().check(verdict)

    def verify(self, *checks: Checker) -> Verdict:
        try:
            return super().verify(*checks)
        finally:
            self._tell()

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._tell()

    def settle(self) -> None:
        """After the test: raises what it has left open, and the first verdict that is not PASSED and that it never checked."""
        self.close()
        for verdict, _ in self.verdicts:
            if verdict.result is not Result.PASSED and not any(verdict is one for one in self._checked):
                try:
                    self.check(verdict)
                except NotPassed as error:
                    error.add_note(
                        "The test did not look at this verdict. Give it to chaos.check(verdict), in a block of "
                        "pytest.raises(chaoskit.NotPassed) where it is the one that is wanted."
                    )
                    raise

    def _environment_of(self, read: Experiment) -> Environment | None:
        name = read.environment.fixture
        if not name:
            return None
        try:
            found: Environment = self._request.getfixturevalue(name)
        except pytest.FixtureLookupError as error:
            if error.argname != name:
                raise  # it is there, and asks in vain for another one
            raise UsageError(
                f"{read.source}: environment.fixture: there is no fixture {name!r} for {self._item.nodeid}; "
                "expected one that gives an environment which is up (pytest --fixtures lists those that there are)"
            ) from error
        return found

    def _lock_of(self, environment: Environment | None) -> tuple[str, float]:
        name, turn_within_s = self._lock_by(environment)
        return self._lock or name, turn_within_s

    def _tell(self) -> None:
        """Put verdicts that are new on the test's report, and tell them to who listens."""
        new, self._told = self.verdicts[self._told :], len(self.verdicts)
        for verdict, folder in new:
            self._item.user_properties += properties(verdict, folder, below=self._item.config.rootpath)
            self._item.ihook.pytest_chaos_report(item=self._item, verdict=verdict, folder=folder)

    def _observed(self, event: Event) -> None:
        told = {
            "injected": self._item.ihook.pytest_chaos_fault_injected,
            "healed": self._item.ihook.pytest_chaos_fault_healed,
        }.get(str(event["event"]))
        if told is not None:
            told(item=self._item, fault=str(event["fault"]), event=event)


def properties(verdict: Verdict, folder: Path, *, below: Path) -> list[tuple[str, object]]:
    """What a report says of a run: plain values only, since anything else ends a session with several workers."""
    return [
        (PROPERTY, verdict.result.value),
        ("chaos_seed", verdict.seed),
        ("chaos_run", str(folder.relative_to(below) if folder.is_relative_to(below) else folder)),
        ("chaos_timeline", "; ".join(digest(fault) for fault in verdict.faults) or "nothing was broken"),
    ]


def digest(fault: Mapping[str, object]) -> str:
    """One fault in a few words: `kill of back at 0.2 s, healed at 0.4 s`."""
    targets = fault["targets"]
    named = ", ".join(map(str, targets)) if isinstance(targets, (list, tuple)) else str(targets)
    if fault["injected_at_s"] is None:
        return f"{fault['kind']} was never injected"
    healed = f"healed at {fault['healed_at_s']} s" if fault["healed_at_s"] is not None else "NOT HEALED"
    return f"{fault['kind']} of {named} at {fault['injected_at_s']} s{'' if fault['effect_seen'] else ' without effect'}, {healed}"


def _missing_engine(verdict: Verdict) -> str:
    """A run finds out that there is no engine when it starts its environment, and says so in its verdict. "" otherwise."""
    begins = f"{MissingEngine.__name__}: "
    first = verdict.problems[0] if verdict.result is Result.ERROR and verdict.problems else ""
    return first.removeprefix(begins) if first.startswith(begins) else ""


class _Logged:
    """Progress as log records, which pytest shows when the test fails, or live with its own options."""

    def say(self, line: str) -> None:
        LOG.info("%s", line)

    def tick(self, history: History) -> None: ...
