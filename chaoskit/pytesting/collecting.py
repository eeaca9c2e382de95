"""`*.chaos.yaml` as tests: one for each experiment. A document with mistakes is one failing test that lists all of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from chaoskit import documents
from chaoskit.model.errors import InvalidDocument, Problem
from chaoskit.model.experiment import Experiment
from chaoskit.model.protocols import Environment
from chaoskit.pytest_plugin import SETTINGS_KEY, SUFFIX, session_of
from chaoskit.registry import Registry

SATURATES = {"saturate"}
"""Faults that take the whole machine, so that nothing else may be measured beside them."""
WITHOUT_EFFECT = {"parametrize", "usefixtures", "skipif", "filterwarnings"}
"""Marks of pytest that say nothing without arguments, which a document cannot give."""


class ExperimentFile(pytest.File):
    """One document."""

    def collect(self) -> Iterator[pytest.Item]:
        name = self.path.name.removesuffix(SUFFIX)
        try:
            experiment = documents.read(self.path, registry=Registry())
        except InvalidDocument as error:
            yield BrokenDocument.of(self, name, error.problems)
            return
        yield ExperimentItem.of(self, name, experiment)


class ExperimentItem(pytest.Function):
    """One experiment, with the fixtures of where it stands."""

    @classmethod
    def of(cls, file: ExperimentFile, name: str, experiment: Experiment) -> ExperimentItem:
        fixture = file.config.stash[SETTINGS_KEY].environment
        item: ExperimentItem = cls.from_parent(file, name=name, callobj=_call(experiment, fixture))
        item.add_marker("chaos")
        if any(injection.fault.kind in SATURATES for injection in experiment.faults):
            item.add_marker("chaos_serial")
        if not fixture and experiment.environment.on == "docker":
            item.add_marker("chaos_docker")
        return item

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, 0, self.name

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:  # noqa: ARG002
        if isinstance(excinfo.value, pytest.FixtureLookupError) and excinfo.value.argname in self.fixturenames:
            return str(
                Problem(
                    message=f"there is no fixture {excinfo.value.argname!r} for this file; "
                    "expected one that gives an environment which is up (pytest --fixtures lists those that there are)",
                    file=self.location[0],
                    line=(self.location[1] or 0) + 1,
                    where="environment.fixture",
                )
            )
        return super().repr_failure(excinfo)


class BrokenDocument(pytest.Item):
    """A document that cannot be read. It fails by itself, so that the other tests of the session are run."""

    problems: tuple[Problem, ...] = ()

    @classmethod
    def of(cls, file: ExperimentFile, name: str, problems: tuple[Problem, ...]) -> BrokenDocument:
        item: BrokenDocument = cls.from_parent(file, name=name)
        item.problems = problems
        item.add_marker("chaos")
        return item

    def runtest(self) -> None:
        raise InvalidDocument(self.problems)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, InvalidDocument):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, (self.problems[0].line or 1) - 1, self.name


def _call(experiment: Experiment, fixture: str) -> Callable[..., None]:
    """A function that runs *experiment*, and asks for *fixture* by its signature, as a test does."""

    def run(request: pytest.FixtureRequest, chaos_arguments: Mapping[str, object], **given: Environment) -> None:
        environment = given[fixture] if fixture else None
        with session_of(request.config).bound(request.node, environment, chaos_arguments) as chaos:
            chaos.check(chaos.run(experiment, environment))

    names = ["request", "chaos_arguments", *([fixture] if fixture else [])]
    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run
