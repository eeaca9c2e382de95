"""`*.chaos.yaml` as tests: one for each experiment. A document with mistakes is one failing test that lists all of them."""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from chaoskit import documents
from chaoskit.model.errors import InvalidDocument, Problem
from chaoskit.model.experiment import Experiment
from chaoskit.model.protocols import Environment
from chaoskit.pytest_plugin import SETTINGS_KEY, SUFFIX, session_of
from chaoskit.pytesting.lookup import missing
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
            experiments = documents.expand(self.path, registry=Registry())
            items = [ExperimentItem.of(self, name, experiment) for experiment in experiments]
        except InvalidDocument as error:
            yield BrokenDocument.of(self, name, error.problems)
        else:
            yield from items

    def line_of(self, key: str) -> int:
        """The line of a key of the document, counted from 1; 1 for one that is not there."""
        lines = self.path.read_text(encoding="utf-8-sig").splitlines()
        return next((number for number, line in enumerate(lines, start=1) if re.match(rf"{key}\s*:", line)), 1)


class ExperimentItem(pytest.Function):
    """One experiment, with the fixtures of where it stands."""

    line: int

    @classmethod
    def of(cls, file: ExperimentFile, name: str, experiment: Experiment) -> ExperimentItem:
        """Raises `InvalidDocument` for what its fixture rules out, and for a mark that has to be registered and is not."""
        settings = file.config.stash[SETTINGS_KEY]
        choice = experiment.environment
        fixture = choice.fixture or settings.environment
        full = f"{name}[{experiment.entry}]" if experiment.entry else name
        item: ExperimentItem = cls.from_parent(file, name=full, callobj=_call(experiment, fixture))
        item.line = file.line_of("title")
        wrong = {}
        if fixture and (says := missing(item, fixture)):
            wrong["environment.fixture" if choice.fixture else settings.environment_by] = says
        if fixture and not choice.fixture:
            up = f"is chosen, and the environment is up already, by the fixture {fixture!r} ({settings.environment_by})"
            for key, value in ("on", choice.on), ("options", ", ".join(choice.options)):
                if value:
                    wrong[f"environment.{key}"] = f"{value!r} {up}; leave one of them out"
        if wrong:
            line = file.line_of("environment")
            raise InvalidDocument(
                tuple(Problem(message=says, file=str(file.path), line=line, where=where) for where, says in wrong.items())
            )
        for mark in experiment.marks:
            item.add_marker(_mark(mark, file))
        item.add_marker("chaos")
        if any(injection.fault.kind in SATURATES for injection in experiment.faults):
            item.add_marker("chaos_serial")
        if not fixture and choice.on == "docker":
            item.add_marker("chaos_docker")
        return item

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, self.line - 1, self.name


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

    def reportinfo(self) -> tuple[Path, int, str]:
        return self.path, (self.problems[0].line or 1) - 1 if self.problems else 0, self.name


def _mark(name: str, file: ExperimentFile) -> pytest.MarkDecorator:
    """A mark of a document. One that nobody has registered is told with its place, as an error or as a warning as pytest has it."""
    line = file.line_of("marks")
    try:
        if name in WITHOUT_EFFECT:
            raise pytest.fail.Exception(f"{name!r} says nothing without arguments, and a document gives none; leave it out")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            mark: pytest.MarkDecorator = getattr(pytest.mark, name)
        for one in caught:
            warnings.warn_explicit(str(one.message), one.category, filename=str(file.path), lineno=line)
    except (pytest.fail.Exception, Warning) as error:
        raise InvalidDocument((Problem(message=str(error), file=str(file.path), line=line, where="marks"),)) from error
    return mark


def _call(experiment: Experiment, fixture: str) -> Callable[..., None]:
    """A function that runs *experiment*, and asks for *fixture* by its signature, as a test does."""

    def run(request: pytest.FixtureRequest, chaos_arguments: Mapping[str, object], **given: Environment) -> None:
        environment = given[fixture] if fixture else None
        with session_of(request.config).bound(request, environment, chaos_arguments) as chaos:
            chaos.check(chaos.run(experiment, environment))

    names = ["request", "chaos_arguments", *([fixture] if fixture else [])]
    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run
