"""The plugin's marks: what they take, and what is wrong with those of a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chaoskit.pytest_plugin import MARKERS
from chaoskit.registry import not_one_of

TAKES = {
    "chaos": {"seed": "a whole number from 0 on", "environment": "the name of a fixture"},
    "chaos_serial": {},
    "chaos_docker": {},
}


def mistakes(item: pytest.Item) -> list[str]:
    """Every mistake in the marks of a test, with the place of the test."""
    path, line = item.location[0], (item.location[1] or 0) + 1
    return [f"{path}:{line}: mark {name} of {item.name}: {what}" for name, what in dict.fromkeys(_mistakes(item))]


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
