"""Links to run folders in the report of pytest-html, where that plugin is used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chaoskit.pytesting.bound import BoundChaos


def add_links(config: pytest.Config, report: pytest.TestReport, chaos: BoundChaos) -> None:
    """One link for each run of a test, relative to the page, so that both can be moved together as one artefact of CI."""
    page = config.getoption("htmlpath", default=None)
    if not page:
        return
    from pytest_html import extras

    here = Path(str(page)).absolute().parent
    links = [
        extras.url(os.path.relpath(folder / "verdict.json", here), name=f"{verdict.result.value} (seed {verdict.seed})")
        for verdict, folder in chaos.verdicts
    ]
    report.extras = [*getattr(report, "extras", ()), *links]  # type: ignore[attr-defined]
