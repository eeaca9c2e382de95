"""What the plugin does during a session that uses it: keeps what is up, and turns verdicts into the outcomes of tests."""

from __future__ import annotations

import contextlib
import random
import shlex
import warnings
import weakref
from collections.abc import Generator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chaoskit.chaos import HarnessFailed
from chaoskit.model.errors import ChaoskitError, MissingEngine
from chaoskit.model.protocols import Environment
from chaoskit.pytest_plugin import SETTINGS_KEY
from chaoskit.pytesting.bound import BoundChaos
from chaoskit.pytesting.environments import running
from chaoskit.pytesting.interrupts import Interrupts
from chaoskit.pytesting.lookup import may_be_shared
from chaoskit.pytesting.marks import fixture_of, mistakes, setting_of
from chaoskit.pytesting.outcomes import translate
from chaoskit.pytesting.warning import ChaosWarning

if TYPE_CHECKING:
    from chaoskit.pytesting.once import Shared

TURN_WITHIN_S = 3600.0  # sixty workers with a run of a minute each
BOUND_KEY = pytest.StashKey[BoundChaos]()


class ChaosSession:
    """Registered as a plugin when the first test of ours is met, so that other suites never load it."""

    def __init__(self, config: pytest.Config) -> None:
        self._settings = config.stash[SETTINGS_KEY]
        worker: Mapping[str, object] = getattr(config, "workerinput", {})
        self._worker = str(worker.get("workerid", ""))
        """This process among those of pytest-xdist, "" when it is the only one."""
        self._workers = int(str(worker.get("workercount", 1)))
        self._why_no_engine: str | None = None
        """Why no container engine can be used here, "" when one answers; None as long as no test has needed to know."""
        self._interrupts = Interrupts()
        self._ours: weakref.WeakSet[Environment] = weakref.WeakSet()
        """Environments that fixtures of ours have brought up: nobody else has them."""
        self._together: weakref.WeakKeyDictionary[Environment, Shared] = weakref.WeakKeyDictionary()
        """Those that all workers use together."""
        self._users: dict[str, int] = {}
        """How many tests use a fixture of which nobody knows whether it is this worker's own."""
        self.cut_off: list[tuple[str, list[tuple[str, object]]]] = []
        """Tests that were interrupted, of which no report tells, in the form of `Reports.rows`."""

    def mistakes(self, items: Iterable[pytest.Item]) -> list[str]:
        """What is wrong with tests that were just collected, each with its place."""
        wrong: dict[str, str] = {}
        for item in items:
            wrong = {**mistakes(item, self._settings), **wrong}  # what is wrong with a setting is told once
            if self._workers > 1 and (said := self._shared(item)):
                wrong[said] = said
        return sorted(wrong.values(), key=_by_place)

    def _shared(self, item: pytest.Item) -> str:
        """Warn of a fixture that may give one environment to several workers; what to say where warnings are errors, else ""."""
        name = fixture_of(item, self._settings)
        found = may_be_shared(item, name) if name else None
        is_held = item.get_closest_marker("xdist_group") and item.config.getoption("loadgroup", default=False)
        if found is None or is_held:
            return ""
        (where, scope), self._users[name] = found, self._users.get(name, 0) + 1
        if self._users[name] != 2:  # a single test is on one worker; and once is enough
            return ""
        file, _, line = where.rpartition(":")
        path = Path(file).relative_to(item.config.rootpath) if Path(file).is_relative_to(item.config.rootpath) else file
        says = (
            f"fixture {name!r} has the scope {scope!r} and is none of environment_fixture, so it may give the same environment to "
            f"{self._workers} workers; make it one of environment_fixture, which brings up one for each, or put its tests onto one "
            f"worker: @pytest.mark.xdist_group({name!r}) and --dist loadgroup"
        )
        try:
            warnings.warn_explicit(says, ChaosWarning, str(path), int(line))
        except ChaosWarning:
            return f"{path}:{line}: {says}"
        return ""

    @contextlib.contextmanager
    def up(self, environment: Environment) -> Iterator[None]:
        """The environment of a fixture is up inside."""
        self._interrupts.hold()
        try:
            with running(environment, is_stopping=self._interrupts.is_seen):
                self._ours.add(environment)
                yield
        finally:
            self._interrupts.release()

    @contextlib.contextmanager
    def up_once(self, environment: Environment, request: pytest.FixtureRequest, *, place: str) -> Iterator[None]:
        """The same for all workers of the session together. *place* is the fixture's."""
        if self._workers == 1:
            with self.up(environment):
                yield
            return
        from chaoskit.pytesting.once import worker_of

        self._interrupts.hold()
        try:
            with worker_of(request.config).shared(
                environment,
                name=str(request.fixturename),
                place=place,
                key=f"{place} {getattr(request, 'param_index', 0)}",
                is_stopping=self._interrupts.is_seen,
            ) as shared:
                self._together[environment] = shared
                yield
        finally:
            self._interrupts.release()

    @contextlib.contextmanager
    def bound(
        self, request: pytest.FixtureRequest, environment: Environment | None, arguments: Mapping[str, object]
    ) -> Iterator[BoundChaos]:
        """A `Chaos` for one test."""
        item: pytest.Item = request.node
        seed = self._seed(item)
        given = {
            "runs": self._settings.runs,
            "title": item.nodeid,
            "seed": seed,
            "reproduce": f"pytest {shlex.quote(item.nodeid)} --chaos-seed {seed}",
            "allow": self._settings.allow,
        }
        self._interrupts.hold()
        try:
            chaos = BoundChaos(request, environment, interrupts=self._interrupts, lock_of=self._lock, **{**given, **arguments})
            item.stash[BOUND_KEY] = chaos
            try:
                yield chaos
            finally:
                chaos.close()
        finally:
            self._interrupts.release()

    def _seed(self, item: pytest.Item) -> int:
        asked = self._settings.seed if self._settings.seed is not None else setting_of(item, "seed")
        return asked if isinstance(asked, int) else random.randrange(1, 1_000_000)

    def _lock(self, environment: Environment | None) -> tuple[str, float]:
        """The name of a copy of an environment, and how long another run on it is waited for.

        It is this worker's own, or one that all share. What others may use without our knowing has no name, and one run at a time.
        """
        shared = None if environment is None else self._together.get(environment)
        if shared is not None:
            shared.check()
            return shared.lock, TURN_WITHIN_S
        is_own = environment is None or environment in self._ours or environment.run != ""
        return (self._worker if is_own else ""), 0.0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if item.get_closest_marker("chaos_docker"):
            if self._why_no_engine is None:
                self._why_no_engine = _why_no_engine()
            if self._why_no_engine:
                raise MissingEngine(self._why_no_engine)
        if self._workers > 1 and item.get_closest_marker("chaos_serial"):
            item.warn(
                ChaosWarning(
                    f"{item.nodeid} takes the whole machine and runs beside {self._workers - 1} other workers, which disturb "
                    "what it measures; run such tests by themselves: pytest -m chaos_serial -n 0"
                )
            )

    @pytest.hookimpl(wrapper=True, trylast=True)  # the innermost one: what is printed at the end is still captured
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        try:
            result = yield
        except BaseException as error:
            if (chaos := item.stash.get(BOUND_KEY, None)) is not None:
                with contextlib.suppress(HarnessFailed):  # a test that has failed by itself need not have come to its verdict
                    chaos.close()
                if isinstance(error, KeyboardInterrupt):
                    self.cut_off.append((item.nodeid, item.user_properties))
            raise
        if (chaos := item.stash.get(BOUND_KEY, None)) is not None:
            chaos.settle()
            self._interrupts.check()
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        chaos = item.stash.get(BOUND_KEY, None)
        translate(item, call, report, chaos, self._settings)
        if chaos is not None and call.when == "call" and item.config.pluginmanager.has_plugin("html"):
            from chaoskit.pytesting.html import add_links

            add_links(item.config, report, chaos)
        return report


def _by_place(line: str) -> tuple[str, int]:
    file, _, rest = line.partition(":")
    number = rest.partition(":")[0]
    return file, int(number) if number.isdecimal() else 0


def _why_no_engine() -> str:
    from chaoskit.environments import docker_engine

    try:
        docker_engine.connect().client.close()
    except ChaoskitError as error:
        return str(error)
    return ""
