"""The plugin's marks: what they take, and what is wrong with those of a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chaoskit.pytest_plugin import MARKERS, Settings
from chaoskit.pytesting.lookup import is_of_the_suite, missing
from chaoskit.registry import not_one_of

TAKES = {
    "chaos": {"seed": "a whole number from 0 on", "environment": "the name of a fixture"},
    "chaos_serial": {},
    "chaos_docker": {},
}


def mistakes(item: pytest.Item, settings: Settings) -> dict[str, str]:
    """Every mistake in the marks of a test, with the place of the test; by what is told once, however many tests make it."""
    place = f"{item.location[0]}:{(item.location[1] or 0) + 1}"
    wrong = {line: line for name, what in _mistakes(item) for line in [f"{place}: mark {name} of {item.name}: {what}"]}
    name = "" if wrong else fixture_of(item, settings)
    if name and name not in item.fixturenames and (says := missing(item, name)):  # type: ignore[attr-defined]
        by_mark = setting_of(item, "environment") is not None
        line = f"{place}: mark chaos of {item.name}: {says}" if by_mark else f"{place}: {settings.environment_by}: {says}"
        wrong[line if by_mark else name] = line
    return wrong


def fixture_of(item: pytest.Item, settings: Settings) -> str:
    """The fixture that gives a test its environment; "" for a test of which that cannot be known, and for a document."""
    if "chaos_environment" not in getattr(item, "fixturenames", ()):
        return ""
    if is_of_the_suite(item, "chaos_environment"):
        return "chaos_environment"
    return str(setting_of(item, "environment") or settings.environment)


def _mistakes(item: pytest.Item) -> Iterator[tuple[str, str]]:
    for mark in item.iter_markers():
        if mark.name not in MARKERS:
            continue
        takes = TAKES[mark.name]
        if mark.args:
            named = ", ".join(f"{key}=…" for key in takes)
            yield mark.name, f"{mark.args[0]!r} has no name; expected {named or 'no arguments'}"
        for key, value in mark.kwargs.items():
            if key not in takes:
                yield mark.name, not_one_of(key, takes, what="an argument of it")
            elif not _is_right(key, value):
                yield mark.name, f"{key}={value!r}: expected {takes[key]}"


def _is_right(key: str, value: object) -> bool:
    if key == "seed":
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return isinstance(value, str) and value.isidentifier()


def setting_of(item: pytest.Item, key: str) -> object:
    """What the closest mark `chaos` that says it says of *key*; None when none does."""
    return next((mark.kwargs[key] for mark in item.iter_markers("chaos") if key in mark.kwargs), None)
