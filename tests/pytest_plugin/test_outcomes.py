"""What a verdict is as the outcome of a test, in every place where somebody looks: terminal, JUnit, HTML, properties."""

import re
from xml.etree import ElementTree as ET

import pytest


def test_each_verdict_is_an_outcome_of_its_own(suite):
    suite.tests("""
        def test_passes(chaos):
            assert by_hand(chaos, PASSES).result is Result.PASSED

        def test_fails(chaos):
            by_hand(chaos, FAILS)

        def test_shows_nothing(chaos):
            by_hand(chaos, SHOWS_NOTHING)

        def test_is_never_judged(chaos):
            with chaos.load(arrivals_per_s=100, mix={"visit": 1}):
                pass

        def test_is_wrong_by_itself(chaos):
            with chaos.load(arrivals_per_s=100, mix={"visit": 1}):
                assert 1 == 2
    """)
    result = suite.run("-rA", "--chaos-seed", "7", "--junitxml", "junit.xml")
    result.assert_outcomes(passed=1, failed=3, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at setup of test_is_never_judged*",
            "the load was never judged: call chaos.verify*",
            "test_it.py:*: Error",
            "*_ test_fails _*",
            "fixed: always failed",
            "*- verdict -*",
            "FAILED: test_it.py::test_fails*",
            "*FAIL  fixed: always failed",
            "Run again:   pytest test_it.py::test_fails --chaos-seed 7",
            "*- timeline -*",
            "*s  injected  kill of back",
            "*s  healed    kill of back",
            "*- where -*",
            "test_it.py:*: Failed",
            "*_ test_shows_nothing _*",
            "test_it.py:*: Inconclusive",
            "*assert 1 == 2*",
            "*- chaoskit: test_it.py::test_is_wrong_by_itself -*",
            "ABORTED: *",
            "*= chaos =*",
            "PASSED *test_it.py::test_passes: kill of back at * s, healed at * s (seed 7, runs/*)",
            "FAILED *test_it.py::test_fails: *",
            "INCONCLUSIVE *test_it.py::test_shows_nothing: *",
            "ERROR *test_it.py::test_is_never_judged: nothing was broken *",
            "ABORTED *test_it.py::test_is_wrong_by_itself: *",
            "FAILED test_it.py::test_fails - Failed: fixed: always failed",
            "FAILED test_it.py::test_shows_nothing - Inconclusive: fixed: always inconclusive",
        ]
    )
    result.stdout.no_fnmatch_line("*chaoskit/chaos.py*")
    result.stdout.no_fnmatch_line("*chaoskit/pytesting/*")
    suite_of_cases = ET.parse(suite.path / "junit.xml").getroot()[0]
    assert {name: suite_of_cases.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5",
        "failures": "3",
        "errors": "1",
        "skipped": "0",
    }
    cases = {case.get("name"): case for case in suite_of_cases.iter("testcase")}
    assert {p.get("name"): p.get("value") for p in cases["test_fails"].iter("property")} == {
        "chaos_verdict": "failed",
        "chaos_seed": "7",
        "chaos_run": "runs/" + next(path.name for path in suite.path.glob("runs/*test-fails*")),
        "chaos_timeline": next(p.get("value") for p in cases["test_fails"].iter("property") if p.get("name") == "chaos_timeline"),
    }
    assert "Run again:" in cases["test_fails"].find("failure").text
    assert cases["test_is_never_judged"].find("error") is not None
    assert cases["test_is_never_judged"].find("failure") is None


@pytest.mark.parametrize("how, outcome", [("skip", "skipped"), ("warn", "passed"), ("fail", "failed")])
def test_inconclusive_is_what_the_setting_says(suite, how, outcome):
    suite.ini(warnings="default")
    suite.tests("""
        def test_it(chaos):
            by_hand(chaos, SHOWS_NOTHING)
    """)
    result = suite.run("-rs", f"--chaos-inconclusive={how}")
    result.assert_outcomes(**{outcome: 1})
    result.stdout.fnmatch_lines(["INCONCLUSIVE *"])
    if how == "skip":
        result.stdout.fnmatch_lines(["SKIPPED * test_it.py:*: INCONCLUSIVE: fixed: always inconclusive"])
    elif how == "warn":
        result.stdout.fnmatch_lines(["*ChaosWarning: test_it.py::test_it: INCONCLUSIVE: fixed: always inconclusive*"])


def test_a_warning_that_is_an_error_fails_the_test_and_not_the_session(suite):
    suite.tests("""
        def test_it(chaos):
            by_hand(chaos, SHOWS_NOTHING)
    """)
    result = suite.run("--chaos-inconclusive=warn")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["FAILED * - Inconclusive: *"])


def test_a_verdict_that_nobody_looks_at_does_not_let_the_test_pass(suite, document):
    suite.write("x.chaos.yaml", document.replace("20%", "99.99%"))
    suite.tests("""
        def test_forgets_it(chaos, payments):
            chaos.run("x.chaos.yaml", payments)

        def test_wants_it(chaos, payments):
            with pytest.raises(chaoskit.NotPassed):
                chaos.check(chaos.run("x.chaos.yaml", payments))
    """)
    result = suite.run("test_it.py")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["The front goes on*: availability: *", "*- note -*", "The test did not look at this verdict.*"])


def test_what_could_not_be_injected_is_an_error_with_its_run(suite):
    suite.tests("""
        def test_it(chaos, payments):
            payments.services["back"].refuses = frozenset({"kill"})
            by_hand(chaos, PASSES)
    """)
    result = suite.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["*ERROR at setup of test_it*", "*kill was refused*", "*- verdict -*", "ERROR: *", "test_it.py:*: CannotInject"]
    )


def test_a_missing_engine_skips_with_the_reason_and_is_an_error_where_it_is_required(suite, document, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    suite.write("pytest.ini", "[pytest]\naddopts = --strict-markers -p no:cacheprovider\nfilterwarnings = error\n")
    suite.write("x.chaos.yaml", document.replace('_topology"}', '_topology", on: docker}'))
    suite.tests("""
        @pytest.mark.chaos_docker
        def test_marked():
            pytest.fail("was run")

        def test_runs_it(chaos):
            chaos.check(chaos.run("x.chaos.yaml"))
    """)
    result = suite.run("-rs")
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(["SKIPPED *x.chaos.yaml:*: no container engine: /nowhere/docker.sock does not exist*"])
    result = suite.run("--chaos-require-docker")
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(["no container engine: /nowhere/docker.sock does not exist*"])


def test_the_ends_of_the_logs_are_shown_and_no_more(suite):
    suite.tests("""
        def test_it(chaos):
            try:
                by_hand(chaos, FAILS)
            finally:
                ((_, folder),) = chaos.verdicts
                (folder / "logs" / "core.log").write_text("".join(f"line {n}\\n" for n in range(100_000)) + "\\x1b[31mred\\n" + "x" * 2000)
                (folder / "logs" / "empty.log").write_text("")
    """)
    result = suite.run("--junitxml", "junit.xml")
    result.stdout.fnmatch_lines(["*- the end of logs/core.log -*", "line 99999", "\\x1b[[]31mred"])
    result.stdout.no_fnmatch_line("line 99980")
    result.stdout.no_fnmatch_line("x" * 300 + "*")
    result.stdout.no_fnmatch_line("*empty.log*")
    assert (suite.path / "junit.xml").stat().st_size < 20_000
    ET.parse(suite.path / "junit.xml")


def test_logs_of_an_environment_that_stays_up_are_kept_and_shown(suite, document, monkeypatch):
    """They are where the environment has them, and that outlives the run: so the run takes the end of each. No secret is in it."""
    monkeypatch.setenv("CORE_TOKEN", "the-token-of-the-core")
    suite.write("x.chaos.yaml", document.replace("20%", "100%") + "secrets: [CORE_TOKEN]\n")
    with (suite.path / "conftest.py").open("a") as file:
        file.write("""

@environment_fixture()
def chatty():
    environment = Logged()
    lines = "".join(f"line {n} of the-token-of-the-core at postgres://bank:hunter22@db\\n" for n in range(5000))
    environment.printed["back"] = lines + "the last line\\n"
    return environment
""")
    suite.ini()
    suite.tests("""
        @pytest.mark.chaos(environment="chatty")
        def test_it(chaos):
            by_hand(chaos, FAILS)
    """)
    result = suite.run("--chaos-environment=chatty")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["*- the end of logs/back.log -*", "line 4999 of [*][*][*] at postgres://bank:[*][*][*]@db", "the last line"]
    )
    result.stdout.no_fnmatch_line("*hunter22*")
    logs = sorted(suite.path.glob("runs/*/logs/back.log"))
    assert len(logs) == 2
    assert all(1_000 < log.stat().st_size <= 64 << 10 for log in logs)
    assert all(log.read_text().startswith("line ") for log in logs), "the first line was cut and is left out"
    kept = [path.read_text() for path in suite.path.glob("runs/*-x-*/**/*") if path.is_file()]
    assert not any("the-token-of-the-core" in text for text in kept)


def test_a_log_that_cannot_be_had_says_why_and_changes_no_verdict(suite):
    suite.tests("""
        class Silent(Logged):
            def log_tail(self, service, *, most_bytes):
                raise OSError("the engine is busy")

        @environment_fixture
        def silent():
            return Silent()

        @pytest.mark.chaos(environment="silent")
        def test_it(chaos):
            by_hand(chaos, FAILS)
    """)
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*- the end of logs/back.log -*", "its log cannot be had: OSError: the engine is busy"])


def test_all_of_the_trace_is_shown_to_who_asks_for_it(suite):
    suite.tests("""
        def test_it(chaos):
            by_hand(chaos, FAILS)
    """)
    result = suite.run("--full-trace")
    result.stdout.fnmatch_lines(["*chaoskit/chaos.py:*: NotPassed*"])


def test_an_expected_failure_stays_one(suite):
    suite.tests("""
        @pytest.mark.xfail(raises=chaoskit.NotPassed, strict=True)
        def test_it(chaos):
            by_hand(chaos, FAILS)
    """)
    suite.run().assert_outcomes(xfailed=1)


def test_the_html_report_links_the_run(suite):
    pytest.importorskip("pytest_html")
    suite.tests("""
        def test_it(chaos):
            by_hand(chaos, FAILS)
    """)
    suite.ini(warnings="default")
    suite.run_apart("--html", "report.html", "--self-contained-html").assert_outcomes(failed=1)
    page = (suite.path / "report.html").read_text()
    folder = next(suite.path.glob("runs/*"))
    assert f"{folder}/verdict.json" in page or re.search(rf"runs/{folder.name}/verdict\.json", page)


def test_what_is_left_behind_is_an_error_in_the_last_lines(suite):
    suite.tests("""
        from chaoskit.model.errors import CannotHeal

        def test_it(chaos, payments):
            payments.down_error = CannotHeal("a container is still there")
    """)
    result = suite.run()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["*ERROR at teardown*", "*= chaos =*", "LEFT BEHIND * test_it.py::test_it: CannotHeal: a container is still there"]
    )
