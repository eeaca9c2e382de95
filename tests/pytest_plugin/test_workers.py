"""Several workers of pytest-xdist: each has its own environment and its own lock, and their reports come together."""

from xml.etree import ElementTree as ET

import pytest

pytestmark = pytest.mark.whole  # each starts three processes, some of them several times


def test_workers_have_environments_and_locks_of_their_own(suite, document):
    """Both are inside a run at the same moment: each waits for the other one, which a shared lock would forbid."""
    suite.write("x.chaos.yaml", document)
    suite.write("bad.chaos.yaml", "chaoskit: 1\n")
    suite.tests("""
        import os, time
        from pathlib import Path

        @environment_fixture(scope="session")
        def shared():
            return Logged()

        @pytest.mark.parametrize("n", ["a", "b"])
        @pytest.mark.chaos(environment="shared")
        def test_it(chaos, n):
            with chaos.load(arrivals_per_s=100, mix={"visit": 1}):
                Path(f"inside-{n}").touch()
                deadline = time.monotonic() + 40
                while not (Path("inside-a").exists() and Path("inside-b").exists()):
                    assert time.monotonic() < deadline, "the other worker was kept out"
                    time.sleep(0.02)
                while len(chaos.history().operations) < 3:
                    time.sleep(0.01)
            chaos.verify(FAILS if n == "b" else PASSES)
    """)
    # The first two go to one worker and the other two to the other one.
    tests = ("test_it.py::test_it[a]", "x.chaos.yaml", "test_it.py::test_it[b]", "bad.chaos.yaml")
    result = suite.run_apart("-n", "2", "--junitxml", "junit.xml", "--html", "report.html", "-W", "default", *tests)
    result.assert_outcomes(passed=2, failed=2)
    assert sorted(suite.log) == ["down"] * 3 + ["up"] * 3
    result.stdout.fnmatch_lines(
        [
            "*_ test_it[[]b] _*",
            "fixed: always failed",
            "*- timeline -*",
            "*= chaos =*",
            "FAILED test_it.py::test_it[[]b] - Failed: fixed: always failed",
        ]
    )
    summary = [line.split()[:2] for line in result.outlines if line.startswith(("PASSED  ", "FAILED  "))]
    assert sorted(summary) == [
        ["FAILED", "test_it.py::test_it[b]:"],
        ["PASSED", "test_it.py::test_it[a]:"],
        ["PASSED", "x.chaos.yaml::x:"],
    ]
    cases = ET.parse(suite.path / "junit.xml").getroot().iter("testcase")
    properties = {case.get("name"): {p.get("name"): p.get("value") for p in case.iter("property")} for case in cases}
    assert properties["test_it[b]"]["chaos_verdict"] == "failed"
    assert properties["x"]["chaos_verdict"] == "passed"


@pytest.mark.parametrize("how", ["bound", "given"])
def test_an_environment_that_others_may_use_is_not_run_on_twice_at_once(suite, document, how):
    """It has no id of its own and no fixture of ours has made it, so it may be one and the same thing for both workers."""
    suite.write("x.yaml", document)
    suite.write("pytest.ini", (suite.path / "pytest.ini").read_text().replace("chaos_environment = payments", ""))
    suite.tests(f"""
        import time
        from pathlib import Path
        from chaoskit.testing import FakeEnvironment

        @pytest.fixture(scope="session")
        def theirs():
            return FakeEnvironment()

        @pytest.fixture
        def chaos_environment(theirs):
            return theirs if {how == "bound"} else None

        class Waits(NoFault):
            def inject(self, stage, aim):
                Path("inside").touch()
                deadline = time.monotonic() + 40
                while not Path("refused").exists() and time.monotonic() < deadline:
                    time.sleep(0.02)

        @pytest.mark.parametrize("n", ["a", "b"])
        def test_it(chaos, theirs, n):
            from chaoskit.model.experiment import EnvironmentChoice, Experiment, Injection, LoadShape
            experiment = Experiment(
                title="shared", environment=EnvironmentChoice(use="fake"), expect=(PASSES,),
                load=LoadShape(arrivals_per_s=100, duration_s=0.3, mix={{"visit": 1}}), faults=(Injection(fault=Waits(), at_s=0.0),),
            )
            try:
                verdict = chaos.run(experiment, None if {how == "bound"} else theirs)
            except chaoskit.model.errors.UsageError:
                Path("refused").touch()
                raise
            with pytest.raises(chaoskit.NotPassed):
                chaos.check(verdict)  # the fault has no effect
    """)
    result = suite.run_apart("-n", "2")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["refused: environment 'fake on fake' is in use by *"])


@pytest.mark.parametrize("strict", [True, False])
def test_what_takes_the_whole_machine_warns_when_others_run_beside_it(suite, strict):
    suite.ini(warnings="error" if strict else "default")
    suite.write("test_it.py", "import pytest\n\n@pytest.mark.chaos_serial\ndef test_it(): pass\n")
    result = suite.run_apart("-n", "2")
    result.assert_outcomes(**({"errors": 1} if strict else {"passed": 1}))
    result.stdout.fnmatch_lines(["*ChaosWarning: test_it.py::test_it takes the whole machine and runs beside 1 other workers*"])
    if not strict:
        assert "ChaosWarning" not in suite.run_apart().stdout.str()


def test_wrong_settings_are_told_once_for_all_workers(suite):
    suite.write("test_it.py", "def test_it(): pass\n")
    result = suite.run_apart("-n", "2", "--chaos-seed=x")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: chaoskit: --chaos-seed: 'x' is not a seed*"])


SHARED = """
    from chaoskit.testing import FakeEnvironment

    @pytest.fixture(scope="module")
    def theirs():
        return FakeEnvironment()

    @pytest.mark.chaos(environment="theirs")
    def test_one(chaos):
        pass

    @pytest.mark.chaos(environment="theirs")
    def test_two(chaos):
        pass
"""


@pytest.mark.parametrize("strict", [True, False])
def test_a_scope_that_may_share_an_environment_is_told_at_collection(suite, strict):
    """Only a fixture of ours is known to bring up one for each worker."""
    suite.ini(warnings="error" if strict else "default")
    suite.tests(SHARED)
    result = suite.run_apart("-n", "2")
    result.assert_outcomes(**({"errors": 1} if strict else {"passed": 2}))
    says = (
        "test_it.py:*: fixture 'theirs' has the scope 'module' and is none of environment_fixture, so it may give the same "
        "environment to 2 workers; *"
    )
    result.stdout.fnmatch_lines([f"*{says}"])
    if not strict:
        return
    grouped = SHARED.replace("@pytest.mark.chaos(", '@pytest.mark.xdist_group("theirs")\n    @pytest.mark.chaos(')
    own = SHARED.replace('pytest.fixture(scope="module")', 'environment_fixture(scope="module")')
    function = SHARED.replace('(scope="module")', "")
    for body, words in ((grouped, ("-n", "2", "--dist", "loadgroup")), (own, ("-n", "2")), (function, ("-n", "2")), (SHARED, ())):
        suite.tests(body)
        result = suite.run_apart(*words)
        result.assert_outcomes(passed=2)
        result.stdout.no_fnmatch_line("*fixture 'theirs' has*")
