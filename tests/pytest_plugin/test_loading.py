"""What the plugin costs those who do not use it: nothing, and how to do without it."""

import subprocess
import sys

import pytest

PROBE = """
import sys

def pytest_unconfigure():
    ours = [name for name in sys.modules if name.startswith("chaoskit")]
    print("\\nLOADED", *(sorted(ours) or ["nothing"]))
    theirs = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
    print("\\nTHIRD", *sorted(theirs))
"""


def loaded(result, word):
    return next(set(line.split()[1:]) for line in result.outlines if line.startswith(f"{word} "))


def test_a_plain_session_loads_the_plugin_and_nothing_of_anybody_else(pytester):
    pytester.makeconftest(PROBE)
    pytester.makepyfile("def test_it(): pass")
    without = pytester.runpytest_subprocess("-p", "no:chaoskit")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1)
    assert loaded(result, "LOADED") == {"chaoskit", "chaoskit.pytest_plugin"}
    assert loaded(result, "THIRD") - loaded(without, "THIRD") == {"chaoskit"}
    assert loaded(without, "LOADED") == {"nothing"}


def test_it_needs_pytest_and_the_standard_library_only():
    code = "import sys, pytest; before = set(sys.modules); import chaoskit.pytest_plugin; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    new = {name.partition(".")[0] for name in done.stdout.split()}
    assert new - set(sys.stdlib_module_names) == {"chaoskit"}


def test_it_can_be_left_out(suite):
    suite.write("conftest.py", "")
    suite.write("pytest.ini", "[pytest]\nfilterwarnings = error\n")
    suite.write("test_it.py", "def test_it(): pass\n\ndef test_other(chaos): pass\n")
    suite.write("x.chaos.yaml", "nonsense")
    result = suite.run_apart("-p", "no:chaoskit")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*fixture 'chaos' not found"])
    result.stdout.no_fnmatch_line("chaoskit:*")


def test_it_works_by_name_without_the_loading_of_plugins(suite, document, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    suite.write("x.chaos.yaml", document)
    suite.tests("""
        def test_it(chaos):
            by_hand(chaos, PASSES)
    """)
    result = suite.run_apart("-p", "chaoskit.pytest_plugin")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["chaoskit: *, run folders below runs/"])


def test_marks_options_and_ini_lines_say_what_they_take(suite):
    result = suite.run("--help")
    result.stdout.fnmatch_lines(
        [
            "chaos experiments (chaoskit):",
            "  --chaos-runs=DIR*",
            "  --chaos-inconclusive={fail,skip,warn}",
            "  --chaos-require-docker",
            "  chaos_inconclusive (string):*",
            "*CHAOSKIT_INCONCLUSIVE",
            "  chaos_require_docker (bool):*",
        ]
    )
    result = suite.run("--markers")
    result.stdout.fnmatch_lines(
        ["@pytest.mark.chaos([*], seed=None, environment=None): *", "@pytest.mark.chaos_serial: *", "@pytest.mark.chaos_docker: *"]
    )


def test_assertions_of_the_contract_are_explained(pytester):
    pytester.makepyfile("""
        def test_it():
            import chaoskit.testing.contracts
            assert "AssertionRewritingHook" in type(chaoskit.testing.contracts.__loader__).__name__
    """)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.parametrize("words", [("--collect-only", "-q"), ("--fixtures",), ("--setup-plan",)])
def test_looking_only_starts_nothing(suite, document, words):
    suite.write("x.chaos.yaml", document)
    suite.tests("""
        def test_it(chaos):
            by_hand(chaos, PASSES)
    """)
    result = suite.run(*words)
    assert result.ret == 0
    assert suite.log == []
    assert not (suite.path / "runs").exists()


@pytest.mark.whole
def test_hypothesis_draws_what_is_run(suite):
    """A search within a test: every example is a run on the test's report, and what was found fails it by its own name."""
    suite.tests("""
        from hypothesis import HealthCheck, given, settings
        from chaoskit.model.experiment import EnvironmentChoice, Experiment, LoadShape
        from chaoskit.strategies import Search, register_profile, schedules

        LOAD = LoadShape(arrivals_per_s=100, duration_s=1.0, mix={"visit": 1})

        @pytest.mark.parametrize("check", [PASSES, FAILS])
        def test_it(chaos, payments, check):
            def run(schedule):
                return chaos.run(Experiment(
                    title="drawn", environment=EnvironmentChoice(use="fake"), load=LOAD, faults=schedule, expect=(check,)))

            search = Search(run, times=1)

            @settings(register_profile("chaos"), max_examples=2, suppress_health_check=list(HealthCheck))
            @given(schedules(payments, load=LOAD, at_most=1))
            def searched(schedule):
                search.check(schedule)

            searched()
    """)
    result = suite.run_apart()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*Found: *", "FAILED *test_it.py::test_it[[]check1]: *"])
    assert suite.verdicts == ["failed", "failed", "passed", "passed"], "the failing one was tried once and repeated once"
