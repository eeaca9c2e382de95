"""The last lines of a session: one for each run, and what is left behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from chaoskit.pytest_plugin import PROPERTY

COLORS = {"passed": "green", "inconclusive": "yellow"}


def write(terminal: pytest.TerminalReporter, rows: Iterable[tuple[str, list[tuple[str, object]]]]) -> None:
    """Write the section."""
    terminal.section("chaos")
    for nodeid, properties in rows:
        for run in runs(properties):
            verdict = str(run[PROPERTY])
            terminal.write(f"{verdict.upper():13}", **{COLORS.get(verdict, "red"): True})
            terminal.write_line(f" {nodeid}: {run['chaos_timeline']} (seed {run['chaos_seed']}, {run['chaos_run']})")
            if "NOT HEALED" in str(run["chaos_timeline"]):
                terminal.write_line(f"  may still be there; look, then: chaoskit heal {run['chaos_run']}", red=True, bold=True)
        for left in (value for name, value in properties if name == "chaos_left"):
            terminal.write_line(f"LEFT BEHIND    {nodeid}: {left}", red=True, bold=True)


def runs(properties: Iterable[tuple[str, object]]) -> Iterator[dict[str, object]]:
    """The properties of a report, one mapping for each run."""
    run: dict[str, object] = {}
    for name, value in properties:
        if name == PROPERTY and run:
            yield run
            run = {}
        if name == PROPERTY or run:
            run[name] = value
    if run:
        yield run
