"""The pytest plugin: options, marks, fixtures and the way in to `*.chaos.yaml`. What a test really uses is in `chaoskit.pytesting`.

Every suite of everybody who has chaoskit installed loads this file, so it imports the standard library and pytest only.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from chaoskit.model.protocols import Environment
    from chaoskit.model.verdict import Verdict
    from chaoskit.pytesting.bound import BoundChaos
    from chaoskit.pytesting.session import ChaosSession

SUFFIX = ".chaos.yaml"
INCONCLUSIVE = ("fail", "skip", "warn")
PROPERTY = "chaos_verdict"
"""The first property of each run on a test's report; those that follow, up to the next one of this name, belong to it."""

pytest.register_assert_rewrite("chaoskit.testing.contracts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting, with one name for option, ini file and environment. `kind` is text, number, flag or words."""

    name: str
    says: str
    kind: str = "text"
    metavar: str = "NAME"
    choices: tuple[str, ...] = ()
    is_option_only: bool = False

    @property
    def option(self) -> str:
        return f"--chaos-{self.name.replace('_', '-')}"

    @property
    def ini(self) -> str:
        return f"chaos_{self.name}"

    @property
    def variable(self) -> str:
        return f"CHAOSKIT_{self.name.upper()}"


SETTINGS = (
    Setting(name="collect", kind="flag", choices=("yes", "no"), says="collect *.chaos.yaml files as tests (default: yes)"),
    Setting(name="runs", metavar="DIR", says="where run folders go (default: runs/ in the root folder of the suite)"),
    Setting(name="seed", kind="number", metavar="N", says="the seed of every random choice (default: drawn and shown)"),
    Setting(name="environment", metavar="FIXTURE", says="the fixture that gives tests and documents their environment"),
    Setting(name="inconclusive", choices=INCONCLUSIVE, says="what a test is whose verdict is INCONCLUSIVE (default: fail)"),
    Setting(name="require_docker", kind="flag", says="fail, instead of skip, where there is no container engine"),
    Setting(
        name="allow", kind="words", is_option_only=True,
        says="allow something by name, such as production; may be given again. An option only: a file must not allow it by itself",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What holds for this session."""

    collect: bool
    runs: Path
    seed: int | None
    environment: str
    environment_by: str
    """Where that stands: an option, an ini line or a variable."""
    inconclusive: str
    require_docker: bool
    allow: tuple[str, ...]


SETTINGS_KEY = pytest.StashKey[Settings]()
SESSION_KEY = pytest.StashKey["ChaosSession"]()
MARKERS = {
    "chaos": "(*, seed=None, environment=None): breaks things on purpose; every test with the fixture `chaos` has it, and every "
    "*.chaos.yaml. `seed` is a number, `environment` the name of the fixture that `chaos` is bound to",
    "chaos_serial": ": takes the whole machine, such as an experiment that saturates; warns when other tests run beside it",
    "chaos_docker": ": needs a container engine; skipped with the reason where there is none, an error with --chaos-require-docker",
}


class Hooks:
    """What a conftest can listen to. *event* is the record of the run, as it stands in its `history.jsonl`."""

    def pytest_chaos_fault_injected(self, item: pytest.Item, fault: str, event: Mapping[str, object]) -> None:
        """A fault was injected: `faults[0] kill`. Called from the thread that did it; an exception makes the run an ERROR."""

    def pytest_chaos_fault_healed(self, item: pytest.Item, fault: str, event: Mapping[str, object]) -> None:
        """A fault was undone, and seen to be gone. Called from the thread that did it; an exception makes the run an ERROR."""

    def pytest_chaos_report(self, item: pytest.Item, verdict: Verdict, folder: Path) -> None:
        """A run came to its verdict, which is in *folder*. Called from the test's thread, before the test goes on."""


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    pluginmanager.add_hookspecs(Hooks)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("chaos", "chaos experiments (chaoskit)")
    for setting in SETTINGS:
        more: dict[str, object] = {"metavar": setting.metavar}
        if setting.choices:
            more = {"choices": setting.choices}
        elif setting.kind == "flag":
            more = {"action": "store_const", "const": "yes"}
        elif setting.kind == "words":
            more |= {"action": "append"}
        group.addoption(setting.option, dest=setting.ini, default=None, help=setting.says, **more)
        if not setting.is_option_only:
            says = f"{setting.says}. Goes before ${setting.variable}"
            kind: Literal["bool", "string"] = "bool" if setting.kind == "flag" else "string"
            parser.addini(setting.ini, says, type=kind, default=None)


def pytest_configure(config: pytest.Config) -> None:
    for name, says in MARKERS.items():
        config.addinivalue_line("markers", f"{name}{says}")
    config.stash[SETTINGS_KEY] = _settings(config)
    config.pluginmanager.register(Reports(), "chaoskit-reports")


def _settings(config: pytest.Config) -> Settings:
    """The settings: option before ini file before environment. Raises one `UsageError` with everything that is wrong."""
    wrong: list[str] = []
    given = {setting.name: _given(config, setting, wrong) for setting in SETTINGS}
    values = {name: value for name, (value, _) in given.items()}
    seed = values["seed"]
    if seed is not None and not seed.isdecimal():
        wrong.append(f"{given['seed'][1]}: {seed!r} is not a seed; expected a whole number from 0 on")
    allow = tuple(config.getoption("chaos_allow") or ())
    if allow:
        from chaoskit.machine import permissions
        from chaoskit.model.errors import UsageError

        try:
            permissions(allow)
        except UsageError as error:
            wrong += str(error).replace("--allow", "--chaos-allow").splitlines()
    collect = values["collect"] != "no"
    if not collect:
        files = [word for word in config.args if SUFFIX in word]
        wrong += [
            f"{word} was given, and {given['collect'][1]} says that no *{SUFFIX} is collected; leave one out" for word in files
        ]
    runs = Path(values["runs"] or "runs")
    if given["runs"][1] == SETTINGS[1].option:
        runs = config.invocation_params.dir / runs
    # Absolute: a test may change its folder.
    runs = (config.inipath.parent if config.inipath and given["runs"][1] == "chaos_runs" else config.rootpath) / runs
    if runs.exists() and not runs.is_dir():
        wrong.append(f"{given['runs'][1]}: {runs} is not a folder; expected where run folders may go")
    if wrong:
        raise pytest.UsageError("chaoskit: " + "\nchaoskit: ".join(wrong))
    return Settings(
        collect=collect,
        runs=runs,
        seed=None if seed is None else int(seed),
        environment=values["environment"] or "",
        environment_by=given["environment"][1],
        inconclusive=values["inconclusive"] or "fail",
        require_docker=values["require_docker"] == "yes",
        allow=allow,
    )


def _given(config: pytest.Config, setting: Setting, wrong: list[str]) -> tuple[str | None, str]:
    """A setting's text and where it stands; None where it stands nowhere."""
    value, where = config.getoption(setting.ini), setting.option
    if value is None and not setting.is_option_only:
        value, where = config.getini(setting.ini), setting.ini
        if isinstance(value, bool):
            value = "yes" if value else "no"
        if value is None and (found := os.environ.get(setting.variable)):
            value, where = found, f"${setting.variable}"
            if setting.kind == "flag":
                value = {"1": "yes", "true": "yes", "0": "no", "false": "no"}.get(found.lower(), found.lower())
    choices = ("yes", "no") if setting.kind == "flag" else setting.choices
    if isinstance(value, str) and choices and value not in choices:
        wrong.append(f"{where}: {value!r} is not one of {', '.join(choices)}")
    return (value if isinstance(value, str) else None), where


def session_of(config: pytest.Config) -> ChaosSession:
    """What does the work, made when the first test or document of ours is met."""
    if SESSION_KEY not in config.stash:
        from chaoskit.pytesting.session import ChaosSession

        config.stash[SESSION_KEY] = session = ChaosSession(config)
        config.pluginmanager.register(session, "chaoskit-session")
    return config.stash[SESSION_KEY]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if not file_path.name.endswith(SUFFIX) or not parent.config.stash[SETTINGS_KEY].collect:
        return None
    from chaoskit.pytesting.collecting import ExperimentFile

    session_of(parent.config)
    file: pytest.Collector = ExperimentFile.from_parent(parent, path=file_path)
    return file


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    ours = [node for node in report.result or () if isinstance(node, pytest.Item) and _is_ours(node)]
    if ours:
        wrong = session_of(ours[0].config).mistakes(ours)
        if wrong:
            report.outcome, report.longrepr, report.result = "failed", "\n".join(wrong), []
    return report


def pytest_collection_finish(session: pytest.Session) -> None:
    """Every worker is counted before the first test begins, so that none takes down what another will still ask for."""
    once = sys.modules.get("chaoskit.pytesting.once")
    if once is not None and hasattr(session.config, "workerinput"):
        once.worker_of(session.config)


def _is_ours(item: pytest.Item) -> bool:
    """Whether a test has a mark of ours; one with the fixture `chaos` gets it."""
    if "chaos" in getattr(item, "fixturenames", ()) and item.get_closest_marker("chaos") is None:
        item.add_marker("chaos")
    return any(mark.name in MARKERS for mark in item.iter_markers())


@pytest.fixture
def chaos_environment(request: pytest.FixtureRequest) -> Environment | None:
    """The environment that `chaos` is bound to: what the mark `chaos(environment=…)` or the setting names, else None.

    Override it with a fixture of your own, or let it alone and give an environment to `chaos.run`.
    """
    from chaoskit.pytesting.marks import setting_of

    name = setting_of(request.node, "environment") or request.config.stash[SETTINGS_KEY].environment
    found: Environment | None = request.getfixturevalue(str(name)) if name else None
    return found


@pytest.fixture(scope="session")
def chaos_arguments() -> Mapping[str, object]:
    """More arguments for `chaoskit.Chaos`, such as a `registry` with parts of your own. Override it; by default there are none."""
    return {}


@pytest.fixture
def chaos(
    request: pytest.FixtureRequest, chaos_environment: Environment | None, chaos_arguments: Mapping[str, object]
) -> Iterator[BoundChaos]:
    """Runs experiments and breaks things: a `chaoskit.Chaos` that is bound to this test and to `chaos_environment`.

    A verdict that is not PASSED and that was not given to `chaos.check` fails the test, and so does a load without `chaos.verify`.
    """
    with session_of(request.config).bound(request, chaos_environment, chaos_arguments) as bound:
        yield bound


def pytest_report_header(config: pytest.Config) -> str:
    from chaoskit import __version__

    settings = config.stash[SETTINGS_KEY]
    runs = settings.runs.relative_to(config.rootpath) if settings.runs.is_relative_to(config.rootpath) else settings.runs
    return f"chaoskit: {__version__}, run folders below {runs}{os.sep}" + (
        "" if settings.seed is None else f", seed {settings.seed}"
    )


class Reports:
    """What reports say of runs, for the last lines of the session. The controller of several workers sees nothing else."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, list[tuple[str, object]]]] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown" and any(name.startswith("chaos_") for name, _ in report.user_properties):
            self.rows.append((report.nodeid, report.user_properties))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        rows = [*self.rows, *(config.stash[SESSION_KEY].cut_off if SESSION_KEY in config.stash else ())]
        if rows:
            from chaoskit.pytesting.summary import write

            write(terminalreporter, rows)
