"""A suite of somebody else, on a system in memory: strict, with warnings as errors, and with the plugin that is tested here."""

import importlib
import json
import textwrap
from pathlib import Path

import pytest

from chaoskit.registry import Registry

# A session within this process takes what is imported by then, and forgets at its end what it has imported itself: a class would
# be there twice, and every session would wait for it anew. So all that it may need is imported here.
LOADED = [importlib.import_module(f"chaoskit.pytesting.{name}") for name in ("collecting", "html", "session", "summary")]
LOADED += [importlib.import_module(name) for name in ("chaoskit.testing", "hypothesis")]
LOADED += [part.load() for kind in ("faults", "checks", "places") for part in Registry().parts(kind)]

CONFTEST = '''
from pathlib import Path

import pytest

from chaoskit.faults.kill import Kill
from chaoskit.machine import Machine
from chaoskit.model.history import Outcome
from chaoskit.pytesting import environment_fixture
from chaoskit.testing import FakeEnvironment, FakeLoad, fake_topology

HERE = Path(__file__).parent
MADE = []


class Logged(FakeEnvironment):
    """Writes down that it went up and down, or was joined and left."""

    ends = "down"

    def up(self, **more):
        super().up(**more)
        MADE.append(self)
        self.log("up")

    def join(self, description):
        super().join(description)
        self.ends = "left"
        self.log("joined")

    def down(self):
        self.log(self.ends)
        super().down()

    def log(self, word):
        with (HERE / "log.txt").open("a") as file:
            file.write(f"{word}\\n")


@environment_fixture()
def payments():
    return Logged()


@pytest.fixture(scope="session")
def chaos_arguments():
    def load():
        back = (MADE or [FakeEnvironment()])[-1].services["back"]
        return FakeLoad(answer=lambda: Outcome.OK if back.is_running() else Outcome.INFO)

    locks = HERE / "locks"
    locks.mkdir(exist_ok=True)
    locks.chmod(0o1777)
    return {"new_load": load, "machine": Machine(policies=(), freezes=(HERE / "all", HERE / "mine"), locks=(locks,))}


def by_hand(chaos, *checks, visits=5):
    def wait(count):
        while len(chaos.history().operations) < count:
            pass

    with chaos.load(arrivals_per_s=100, mix={"visit": 1}):
        wait(visits)
        with chaos.fault(Kill(service="back")):
            wait(2 * visits)
        wait(3 * visits)
    return chaos.verify(*checks)
'''

INI = """
[pytest]
addopts = --strict-markers --strict-config -p no:cacheprovider
chaos_environment = payments
"""

DOCUMENT = """
chaoskit: 1
title: The front goes on without the back
environment: {use: "chaoskit.testing:fake_topology"}
load: {arrivals_per_s: 100, duration: 300ms, mix: {visit: 1}}
faults:
  - {fault: kill, service: back, at: 100ms, for: 100ms}
expect:
  - {check: availability, journey: visit, at_least: 20%}
"""


class Suite:
    """The suite, and how it is run."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.write("conftest.py", CONFTEST)
        self.ini()

    def write(self, name: str, text: str) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip())
        return path

    def tests(self, body: str, name: str = "test_it.py") -> None:
        """A file of tests, which may use `by_hand` and the checks PASSES, FAILS and SHOWS_NOTHING."""
        head = """
            import pytest
            from conftest import MADE, Logged, by_hand
            import chaoskit
            from chaoskit.model.verdict import Result
            from chaoskit.pytesting import environment_fixture
            from chaoskit.testing import FixedChecker, NoFault
            PASSES, FAILS = FixedChecker(), FixedChecker(outcome=Result.FAILED)
            SHOWS_NOTHING = FixedChecker(outcome=Result.INCONCLUSIVE)
        """
        self.write(name, textwrap.dedent(head).lstrip() + textwrap.dedent(body))

    def ini(self, *lines: str, warnings: str = "error") -> None:
        self.write("pytest.ini", INI + "\n".join((f"filterwarnings = {warnings}", *lines)) + "\n")

    def run(self, *words: str) -> pytest.RunResult:
        """In this process."""
        return self.pytester.runpytest_inprocess(*words)

    def run_apart(self, *words: str) -> pytest.RunResult:
        """In a process of its own."""
        return self.pytester.runpytest_subprocess(*words, timeout=120)

    @property
    def log(self) -> list[str]:
        path = self.path / "log.txt"
        return path.read_text().split() if path.exists() else []

    @property
    def verdicts(self) -> list[str]:
        """The verdicts in the run folders, sorted."""
        return sorted(json.loads(path.read_text())["verdict"] for path in self.path.glob("runs/*/verdict.json"))


@pytest.fixture
def suite(pytester, monkeypatch):
    for name in ("CHAOSKIT_RUNS", "CHAOSKIT_SEED", "CHAOSKIT_INCONCLUSIVE", "CHAOSKIT_COLLECT", "CHAOSKIT_NO_ENGINE"):
        monkeypatch.delenv(name, raising=False)
    return Suite(pytester)


@pytest.fixture
def document():
    return DOCUMENT
