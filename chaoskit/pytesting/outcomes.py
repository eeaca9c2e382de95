"""A verdict as the outcome of a test: what kind of outcome it is, and what its report shows.

FAILED and ABORTED are failures, INCONCLUSIVE is what the setting says, and what chaoskit itself could not do is an error. To pytest
an error is what happened in set-up: so that is the phase which such a report names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from chaoskit.chaos import HarnessFailed, NotPassed
from chaoskit.model.errors import ChaoskitError, InvalidDocument, MissingEngine
from chaoskit.model.verdict import Result, Verdict
from chaoskit.pytest_plugin import Settings
from chaoskit.pytesting.bound import BoundChaos, digest
from chaoskit.pytesting.logs import tails
from chaoskit.pytesting.warning import ChaosWarning
from chaoskit.reports.text import text_report

if TYPE_CHECKING:
    from types import TracebackType

OURS = str(Path(__file__).parents[1])


def translate(
    item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, chaos: BoundChaos | None, settings: Settings
) -> None:
    """Put what happened in the words of a verdict, in place."""
    error = call.excinfo.value if call.excinfo else None
    if hasattr(report, "wasxfail") or error is None:
        return
    if isinstance(error, MissingEngine) and call.when != "teardown" and not settings.require_docker:
        _skip(item, report, str(error))
    elif isinstance(error, NotPassed) and call.when == "call":
        _not_passed(item, call, report, error, settings)
    elif isinstance(error, ChaoskitError):
        if call.when == "teardown":
            report.user_properties = [*report.user_properties, ("chaos_left", f"{type(error).__name__}: {error}")]
        elif not isinstance(error, InvalidDocument):  # that says something of the test, not of chaoskit
            report.when = "setup"
        if isinstance(error, HarnessFailed):
            _show(item, call, report, error, kind="Error", run=(error.verdict, error.folder))
        else:
            _show(
                item, call, report, error, kind=type(error).__name__, run=chaos.verdicts[-1] if chaos and chaos.verdicts else None
            )
    elif chaos is not None and call.when == "call":
        # The test has failed by a word of its own; what its runs have seen stands below it.
        for verdict, folder in chaos.verdicts:
            report.sections.append((f"chaoskit: {verdict.title}", text_report(verdict, folder=str(folder))))


def _not_passed(
    item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, error: NotPassed, settings: Settings
) -> None:
    result = error.verdict.result
    says = f"{result.value.upper()}: {_reason(error.verdict)}"
    if result is Result.INCONCLUSIVE and settings.inconclusive == "skip":
        _skip(item, report, says)
        return
    if result is Result.INCONCLUSIVE and settings.inconclusive == "warn":
        try:
            item.warn(ChaosWarning(f"{item.nodeid}: {says}"))
        except ChaosWarning:
            pass  # warnings are errors here: it stays the failure that it is
        else:
            report.outcome, report.longrepr = "passed", None
            return
    _show(item, call, report, error, kind=result.value.capitalize(), run=(error.verdict, error.folder))


def _skip(item: pytest.Item, report: pytest.TestReport, reason: str) -> None:
    report.outcome = "skipped"
    report.longrepr = (str(item.path), (item.location[1] or 0) + 1, f"Skipped: {reason}")


def _show(
    item: pytest.Item,
    call: pytest.CallInfo[None],
    report: pytest.TestReport,
    error: ChaoskitError | NotPassed,
    *,
    kind: str,
    run: tuple[Verdict, Path] | None,
) -> None:
    """A report that tells the verdict instead of where in our code it was raised, unless that was asked for by --full-trace."""
    assert call.excinfo is not None
    if item.config.getoption("fulltrace", default=False):
        return
    trace, where = _users(call.excinfo.tb, item)
    text = str(error)
    if isinstance(error, InvalidDocument):
        own = {str(item.path): item.location[0]}
        text = "\n".join(str(replace(problem, file=own.get(problem.file, problem.file))) for problem in error.problems)
    if isinstance(error, (NotPassed, HarnessFailed)):
        # What a test does by hand is called as the test is, which is above it already.
        title = "" if error.verdict.title == item.nodeid else f"{error.verdict.title}: "
        text = f"{title}{_reason(error.verdict)}"
    shown = type(kind, (AssertionError,), {"__module__": "builtins"})(text)
    info = pytest.ExceptionInfo.from_exception(shown.with_traceback(trace))
    longrepr = info.getrepr(style="value")
    for note in getattr(error, "__notes__", ()):
        longrepr.addsection("note", note)
    for name, content in _sections(*run) if run else ():
        longrepr.addsection(name, content)
    longrepr.addsection("where", f"{where}: {kind}")
    report.longrepr = longrepr


def _sections(verdict: Verdict, folder: Path) -> Iterator[tuple[str, str]]:
    yield "verdict", text_report(verdict, folder=str(folder)).rstrip()
    yield "timeline", "\n".join(timeline(verdict)) or "nothing was broken"
    for name, text in tails(folder / "logs"):
        yield f"the end of logs/{name}", text


def timeline(verdict: Verdict) -> list[str]:
    """What was injected and healed, in order of time."""
    rows = []
    for fault in verdict.faults:
        named = digest(fault).partition(" at ")[0]
        for word, key in (("injected", "injected_at_s"), ("healed", "healed_at_s")):
            at_s = fault[key]
            if isinstance(at_s, (int, float)):
                rows.append((at_s, f"{at_s:9.3f} s  {word:8}  {named}"))
            else:
                rows.append((float("inf"), f"{'never':>11}  {word:8}  {named}"))
    return [row for _, row in sorted(rows, key=lambda row: row[0])]


def _reason(verdict: Verdict) -> str:
    """Why, in one line: the first problem of the run, or the first finding that made the verdict."""
    found = [f"{f.checker}: {f.summary}" for f in verdict.findings if f.outcome is verdict.result]
    return next(iter([*verdict.problems, *found]), verdict.result.value)


def _users(trace: TracebackType, item: pytest.Item) -> tuple[TracebackType, str]:
    """The last entry of a traceback that is the user's, and its place; for a document, which has none, the document."""
    entries = [entry for entry in _entries(trace) if not entry.tb_frame.f_code.co_filename.startswith(OURS)]
    mine = [entry for entry in entries if entry.tb_frame.f_code.co_filename == str(item.path)]
    if not mine:
        return trace, f"{item.location[0]}:{(item.location[1] or 0) + 1}"
    return mine[-1], f"{item.location[0]}:{mine[-1].tb_lineno}"


def _entries(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next
