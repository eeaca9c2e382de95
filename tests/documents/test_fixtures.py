"""An environment that a pytest fixture gives: its names are checked when it is there, and nothing is started before."""

from __future__ import annotations

import pytest

from chaoskit.cli import main
from chaoskit.documents import bind, read
from chaoskit.model.errors import InvalidDocument, UsageError
from chaoskit.model.experiment import EnvironmentChoice
from chaoskit.registry import Registry
from chaoskit.testing import fake_topology
from chaoskit.wiring import hold_back_unbound, schedule_text

TEXT = """\
chaoskit: 1
title: The front survives a dead back
marks: [slow, nightly_2]
environment: {fixture: shop}
load: {arrivals_per_s: 100, duration: 1s, mix: {visit: 1}}
faults:
  - {fault: kill, service: back, at: 100ms, for: 200ms}
expect:
  - {check: availability, journey: visit, at_least: 99%}
limits: {services: 1}
"""


@pytest.fixture
def document(tmp_path):
    """Writes a document and gives its path; the pairs say what is different in it."""

    def write(*changes: tuple[str, str]):
        text = TEXT
        for old, new in changes:
            assert text.count(old) == 1
            text = text.replace(old, new)
        path = tmp_path / "front.chaos.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def mistakes(call, *arguments: object, **more: object) -> list[str]:
    with pytest.raises(InvalidDocument) as caught:
        call(*arguments, registry=Registry(), **more)
    return [str(problem).split("front.chaos.yaml:")[1] for problem in caught.value.problems]


def test_the_fixture_and_marks_are_on_the_experiment(document):
    experiment = read(document(), registry=Registry())
    assert experiment.environment == EnvironmentChoice(use="", fixture="shop")
    assert experiment.marks == ("slow", "nightly_2")


def test_names_are_checked_when_the_environment_is_there(document):
    path = document(("service: back", "service: bakc"), ("mix: {visit: 1}", "mix: {vist: 1}"))
    experiment = read(path, registry=Registry())
    assert mistakes(bind, experiment, fake_topology()) == [
        "5:49: load.mix.vist: 'vist' is not a journey of environment 'fake' (visit). Did you mean 'visit'?",
        "7:28: faults[0].service: 'bakc' is not a service or role of environment 'fake' (back, front). Did you mean 'back'?",
        "9:36: expect[0].journey: 'visit' has no weight in load.mix, so nobody does it; expected one of vist, or a weight",
    ]


def test_limits_are_held_when_the_environment_is_there(document):
    path = document(("limits: {services: 1}", "limits: {services: 0}"))
    (only,) = mistakes(bind, read(path, registry=Registry()), fake_topology())
    assert only.startswith("10:20: limits.services: at 0.1 s faults[0] kill may hurt 1 services (back)")


def test_a_bound_experiment_is_the_same_but_for_what_it_runs_on(document):
    experiment = read(document(), registry=Registry())
    bound = bind(experiment, fake_topology(), registry=Registry())
    assert bound.environment == EnvironmentChoice(use="fake", fixture="shop")
    assert (bound.faults, bound.expect, bound.marks, bound.document) == (
        experiment.faults,
        experiment.expect,
        experiment.marks,
        experiment.document,
    )
    hold_back_unbound(bound)


def test_an_entry_of_a_matrix_is_bound_by_itself(document):
    path = document(("limits: {services: 1}", "matrix: {faults.0.service: [back, front, bakc]}"))
    experiment = read(path, registry=Registry(), entry="service=front")
    (only,) = mistakes(bind, experiment, fake_topology())
    assert only.startswith("10:42: faults[0].service: 'bakc' is not a service or role of environment 'fake' (back, front)")
    assert only.endswith("(in the entry service=bakc)")


def test_a_document_that_names_its_environment_is_checked_against_the_one_at_hand(document):
    path = document(("{fixture: shop}", "bank"), ("service: back", "service: gateway"))
    assert mistakes(read, path, topology=fake_topology()) == [
        "7:28: faults[0].service: 'gateway' is not a service or role of environment 'fake' (back, front)"
    ]


@pytest.mark.parametrize(
    "environment, more, expected",
    [
        (
            "{fixture: 5}",
            {},
            ["4:24: environment.fixture: 5; expected the name of a pytest fixture that gives an environment which is up"],
        ),
        (
            "{fixture: a-b}",
            {},
            [
                "4:24: environment.fixture: 'a-b' is not the name of a fixture; "  # noqa: ISC004
                "expected the name of a pytest fixture that gives an environment which is up"
            ],
        ),
        (
            "{fixture: shop, use: bank, on: docker}",
            {},
            [
                "4:35: environment.use: 'use' is for an environment that chaoskit starts; leave it or 'fixture' out",
                "4:45: environment.on: 'on' is for an environment that chaoskit starts; leave it or 'fixture' out",
            ],
        ),
        (
            "{fixtur: shop}",
            {},
            ["4:15: environment: 'fixtur' is not a key here (fixture, on, options, use). Did you mean 'fixture'?"],
        ),
        (
            "{fixture: shop}",
            {"on": "docker", "options": {"defect": "none"}},
            [
                "4:14: --on: the environment is up already, by a fixture; leave it out",
                "4:14: --option: the environment is up already, by a fixture; leave it out",
            ],
        ),
    ],
)
def test_nothing_else_can_be_chosen(document, environment, more, expected):
    assert mistakes(read, document(("{fixture: shop}", environment)), **more) == expected


@pytest.mark.parametrize(
    "marks, expected",
    [
        ("slow", ["3:8: marks: 'slow'; expected a list of marks for pytest, such as [slow]"]),
        ("[5]", ["3:9: marks[0]: 5; expected the name of a mark, such as slow"]),
        ("['a b']", ["3:9: marks[0]: 'a b' is not the name of a mark; expected letters, digits and _, such as slow"]),
    ],
)
def test_a_mark_is_a_name(document, marks, expected):
    assert mistakes(read, document(("[slow, nightly_2]", marks))) == expected


def test_the_command_line_sends_it_to_pytest_and_starts_nothing(document, tmp_path, capsys):
    path = document()
    assert main(["run", str(path), "--runs", str(tmp_path / "runs")]) == 2
    assert capsys.readouterr().err.strip() == (
        f"{path}: environment.fixture: 'shop' is a fixture of pytest, which alone can give this environment; "
        f"run it by pytest: pytest {path}"
    )
    assert not (tmp_path / "runs").exists()
    with pytest.raises(UsageError, match="run it by pytest"):
        schedule_text(read(path, registry=Registry()), Registry(), seed=1)


def test_validate_says_that_names_are_not_checked_yet(document, capsys):
    path = document(("service: back", "service: bakc"))
    assert main(["validate", str(path)]) == 0
    assert "its names are checked when pytest's fixture 'shop' has given the environment" in capsys.readouterr().out
