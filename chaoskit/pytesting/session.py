"""What the plugin does during a session that uses it: keeps what is up, and turns verdicts into the outcomes of tests."""

from __future__ import annotations

import contextlib
import random
import shlex
import weakref
from collections.abc import Generator, Iterator, Mapping

import pytest

from chaoskit.chaos import HarnessFailed
from chaoskit.model.errors import ChaoskitError, MissingEngine
from chaoskit.model.protocols import Environment
from chaoskit.pytest_plugin import SETTINGS_KEY
from chaoskit.pytesting.bound import BoundChaos
from chaoskit.pytesting.environments import running
from chaoskit.pytesting.interrupts import Interrupts
from chaoskit.pytesting.marks import setting_of
from chaoskit.pytesting.outcomes import translate
from chaoskit.pytesting.warning import ChaosWarning

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
        self.cut_off: list[tuple[str, list[tuple[str, object]]]] = []
        """Tests that were interrupted, of which no report tells, in the form of `Reports.rows`."""

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

    def _lock(self, environment: Environment | None) -> str:
        """The name of this worker's copy of an environment. What others may use, too, has none: there runs must take turns."""
        is_own = environment is None or environment in self._ours or environment.run != ""
        return self._worker if is_own else ""

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


def _why_no_engine() -> str:
    from chaoskit.environments import docker_engine

    try:
        docker_engine.connect().client.close()
    except ChaoskitError as error:
        return str(error)
    return ""
