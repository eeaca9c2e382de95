"""The verdict as JUnit XML, for CI systems: a case for each finding, and one for the run itself that says what the exit code says.

A file in which cases are only skipped looks green. So an inconclusive finding is skipped, and an inconclusive run is an error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from xml.etree import ElementTree as ET

from chaoskit.model.verdict import Finding, Result, Verdict
from chaoskit.reports.text import text_report

RUN = "verdict"
"""The case of the run itself. No checker is called so."""

_OF_FINDINGS = {Result.FAILED: "failure", Result.INCONCLUSIVE: "skipped", Result.ABORTED: "error", Result.ERROR: "error"}
_OF_RUNS = {**_OF_FINDINGS, Result.INCONCLUSIVE: "error"}
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even as a reference (its section 2.2)."""


def junit_xml(verdict: Verdict, *, slug: str, folder: str) -> str:
    """The whole file. Pure. *slug* is the class name of all cases: the experiment's name, the same in every run of it."""
    cases = [_run_case(verdict), *_finding_cases(verdict.findings)]
    for case in cases:
        case.set("classname", slug)
    counts = Counter(element.tag for case in cases for element in case)
    sums = {
        "tests": str(len(cases)),
        "failures": str(counts["failure"]),
        "errors": str(counts["error"]),
        "time": f"{verdict.took_s or 0:.1f}",
    }
    root = ET.Element("testsuites", sums)
    suite = ET.SubElement(root, "testsuite", {"name": _printable(verdict.title or slug), **sums, "skipped": str(counts["skipped"])})
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(verdict).items():
        if value is not None:
            ET.SubElement(properties, "property", {"name": name, "value": _printable(str(value))})
    suite.extend(cases)
    ET.SubElement(suite, "system-out").text = _printable(text_report(verdict, folder=folder))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _run_case(verdict: Verdict) -> ET.Element:
    case = ET.Element("testcase", {"name": RUN, "time": f"{verdict.took_s or 0:.1f}"})
    told = [finding for finding in verdict.findings if finding.outcome is verdict.result]
    why = [*verdict.problems, *(f"{finding.checker}: {finding.summary}" for finding in told)]
    return _with_outcome(
        case, _OF_RUNS, verdict.result, message=why[0] if why else "", text=[*why, f"Run again: {verdict.reproduce}"]
    )


def _finding_cases(findings: tuple[Finding, ...]) -> Iterator[ET.Element]:
    met: Counter[str] = Counter()
    for finding in findings:
        met[finding.checker] += 1
        # Readers of these files take two cases of one name for the same one.
        name = finding.checker if met[finding.checker] == 1 else f"{finding.checker} ({met[finding.checker]})"
        case = ET.Element("testcase", {"name": _printable(name), "time": "0.0"})
        yield _with_outcome(case, _OF_FINDINGS, finding.outcome, message=finding.summary, text=finding.evidence)


def _with_outcome(
    case: ET.Element, kinds: Mapping[Result, str], result: Result, *, message: str, text: list[str] | tuple[str, ...]
) -> ET.Element:
    if result in kinds:
        kind = kinds[result]
        more = {} if kind == "skipped" else {"type": result.value}
        ET.SubElement(case, kind, {"message": _printable(message), **more}).text = _printable("\n".join(text))
    return case


def _properties(verdict: Verdict) -> Mapping[str, object]:
    return {
        "verdict": verdict.result.value,
        "exit_code": verdict.result.exit_code,
        "seed": verdict.seed,
        "reproduce": verdict.reproduce,
        "rto_s": verdict.rto_s,
        "rpo_operations": verdict.rpo_operations,
        "rpo_amount": verdict.rpo_amount,
    }


def _printable(text: str) -> str:
    return _FORBIDDEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
