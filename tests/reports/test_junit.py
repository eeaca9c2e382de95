"""junit.xml as CI systems read it: never green unless the run passed, and never broken by what a service has said."""

import re
from xml.etree import ElementTree as ET

import pytest

from chaoskit.model.verdict import Finding, Result, Verdict
from chaoskit.reports.junit import RUN, junit_xml

PASSED = Finding(checker="takeover", outcome=Result.PASSED, summary="took over after 6.2 s")
FAILED = Finding(checker="ack-durable", outcome=Result.FAILED, summary="2 are gone", evidence=("first", "second"))
UNSURE = Finding(checker="latency", outcome=Result.INCONCLUSIVE, summary="too few")

# What the schema of Jenkins' xunit plugin (junit-10.xsd) allows: the children of each element, its attributes, and which it needs.
SCHEMA = {
    "testsuites": ({"testsuite"}, {"name", "time", "tests", "failures", "errors"}, set()),
    "testsuite": (
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
        {"name", "tests", "failures", "errors", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url", "group"},
        {"name", "tests", "failures", "errors"},
    ),
    "properties": ({"property"}, set(), set()),
    "property": (set(), {"name", "value"}, {"name", "value"}),
    "testcase": ({"skipped", "error", "failure", "system-out", "system-err"}, {"name", "time", "classname", "group"}, {"name"}),
    **dict.fromkeys(("failure", "error", "skipped"), (set(), {"type", "message"}, set())),
    **dict.fromkeys(("system-out", "system-err"), (set(), set(), set())),
}  # fmt: skip


def assert_valid(element):
    children, allowed, needed = SCHEMA[element.tag]
    assert set(element.keys()) <= allowed, f"{element.tag} has {element.keys()}"
    assert needed <= set(element.keys())
    assert re.fullmatch(r"[0-9]*(\.[0-9]*)?", element.get("time", "0"))
    for child in element:
        assert child.tag in children, f"{child.tag} in {element.tag}"
        assert_valid(child)


def junit(result=Result.PASSED, findings=(PASSED,), **more):
    values = {"title": "the standby takes over", "reproduce": "chaoskit run x --seed 7", "seed": 7, "took_s": 61.5, **more}
    root = ET.fromstring(junit_xml(Verdict(result=result, findings=findings, **values), slug="failover", folder="runs/x"))
    assert_valid(root)
    return root


def outcomes(root):
    """Each case with what it is: passed, or the element that says otherwise."""
    return {case.get("name"): next((element.tag for element in case), "passed") for case in root.iter("testcase")}


def test_there_is_a_case_for_the_run_and_one_for_each_finding():
    root = junit(Result.FAILED, (PASSED, FAILED, UNSURE))
    assert outcomes(root) == {RUN: "failure", "takeover": "passed", "ack-durable": "failure", "latency": "skipped"}
    assert {case.get("classname") for case in root.iter("testcase")} == {"failover"}


@pytest.mark.parametrize(
    "result,findings,case",
    [
        (Result.PASSED, (PASSED,), "passed"),
        (Result.FAILED, (FAILED,), "failure"),
        (Result.INCONCLUSIVE, (UNSURE,), "error"),
        (Result.ABORTED, (), "error"),
        (Result.ERROR, (), "error"),
    ],
)
def test_the_run_s_own_case_says_what_the_exit_code_says(result, findings, case):
    root = junit(result, findings)
    assert outcomes(root)[RUN] == case
    is_green = root.get("failures") == root.get("errors") == "0"
    assert is_green == (result.exit_code == 0)
    element = next(iter(root.iter("testcase"))).find(case)
    assert (element is None) if case == "passed" else element.get("type") == result.value


def test_an_inconclusive_run_is_not_green_though_its_findings_are_only_skipped():
    root = junit(Result.INCONCLUSIVE, (PASSED, UNSURE), problems=("faults[0] kill was never injected",))
    assert outcomes(root) == {RUN: "error", "takeover": "passed", "latency": "skipped"}
    assert next(iter(root.iter("error"))).get("message") == "faults[0] kill was never injected"


def test_counts_are_those_of_the_cases():
    (suite,) = junit(Result.ERROR, (PASSED, FAILED, UNSURE, FAILED))
    counts = {name: int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": 5, "failures": 2, "errors": 1, "skipped": 1}


def test_the_numbers_and_the_way_to_run_it_again_are_properties():
    root = junit(rto_s=6.25, rpo_operations=0, rpo_amount=None)
    assert {one.get("name"): one.get("value") for one in root.iter("property")} == {
        "verdict": "passed",
        "exit_code": "0",
        "seed": "7",
        "reproduce": "chaoskit run x --seed 7",
        "rto_s": "6.25",
        "rpo_operations": "0",
    }


def test_the_report_is_the_output_of_the_suite():
    text = junit().find("testsuite/system-out").text
    assert text.startswith("PASSED: the standby takes over")
    assert "Run again:   chaoskit run x --seed 7" in text


def test_what_failed_tells_its_evidence():
    failure = next(one for one in junit(Result.FAILED, (FAILED,)).iter("failure") if one.get("message") == "2 are gone")
    assert failure.text == "first\nsecond"


def test_two_findings_of_one_checker_are_two_cases():
    assert list(outcomes(junit(findings=(PASSED, PASSED, PASSED)))) == [RUN, "takeover", "takeover (2)", "takeover (3)"]


@pytest.mark.parametrize("said", ["\x00", "\x1b[31mred", "\x0b", "\ud800", "\ufffe", "]]>", "<b>&amp;", "a\r\nb", "größer → 😀"])
def test_what_a_service_has_said_does_not_break_the_file(said):
    finding = Finding(checker=f"c{said}", outcome=Result.FAILED, summary=f"it said {said!s}", evidence=(said,))
    root = junit(Result.FAILED, (finding,), title=said, problems=(said,), reproduce=said)
    assert len(list(root.iter("failure"))) == 2


def test_a_character_that_xml_forbids_is_shown_by_its_name():
    finding = Finding(checker="c", outcome=Result.FAILED, summary="it said \x1b[0m")
    messages = [one.get("message") for one in junit(Result.FAILED, (finding,)).iter("failure")]
    assert "it said \\x1b[0m" in messages
