"""Marks with mistakes, and what a conftest is told of runs."""

import pytest


def test_every_wrong_argument_of_a_mark_is_told_with_its_place_before_anything_is_run(suite):
    suite.tests("""
        @pytest.mark.chaos(sede=3)
        def test_one(chaos):
            pass

        @pytest.mark.chaos_serial(True)
        @pytest.mark.chaos(environment="no name")
        def test_three(chaos):
            pass
    """)
    suite.write("test_other.py", "def test_other(): pass\n")
    suite.write(
        "test_them.py", "import pytest\n\n@pytest.mark.chaos(seed='three')\nclass TestThem:\n    def test_two(self): pass\n"
    )
    result = suite.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        [
            "*ERROR collecting test_it.py *",
            "test_it.py:10: mark chaos of test_one: 'sede' is not an argument of it (environment, seed). Did you mean 'seed'?",
            "test_it.py:14: mark chaos of test_three: environment='no name': expected the name of a fixture",
            "test_it.py:14: mark chaos_serial of test_three: True has no name; expected no arguments",
            "test_them.py:5: mark chaos of test_two: seed='three': expected a whole number from 0 on",
        ]
    )
    suite.run("--continue-on-collection-errors").assert_outcomes(errors=2, passed=1)


def test_a_fixture_that_a_mark_names_in_vain_is_told_with_its_place_before_anything_is_run(suite):
    suite.tests("""
        @pytest.fixture
        def mine(payments):
            return payments

        class TestThem:
            @pytest.fixture
            def inner(self, payments):
                return payments

            @pytest.mark.chaos(environment="inner")
            def test_inner(self, chaos):
                by_hand(chaos, PASSES)

        @pytest.mark.chaos(environment="mine")
        def test_mine(chaos):
            by_hand(chaos, PASSES)

        @pytest.mark.parametrize("one", [None])
        @pytest.mark.chaos(environment="one")
        def test_parameter(chaos, one):
            assert chaos.environment is None

        @pytest.mark.chaos(environment="inner")
        def test_outer(chaos):
            pass
    """)
    result = suite.run()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["test_it.py:32: mark chaos of test_outer: there is no fixture 'inner' for this file; expected *"])
    suite.tests((suite.path / "test_it.py").read_text().partition('@pytest.mark.chaos(environment="inner")\ndef test_outer')[0])
    suite.run().assert_outcomes(passed=3)


LISTENS = """

def pytest_chaos_fault_injected(item, fault, event):
    print("INJECTED", item.name, fault, event["effect_seen"])

def pytest_chaos_fault_healed(item, fault, event):
    print("HEALED", item.name, fault)

def pytest_chaos_report(item, verdict, folder):
    print("REPORT", item.name, verdict.result.value, folder.is_dir())
"""


def test_a_conftest_is_told_of_faults_and_verdicts(suite, document):
    with (suite.path / "conftest.py").open("a") as file:
        file.write(LISTENS)
    suite.write("x.chaos.yaml", document)
    result = suite.run("-s")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*INJECTED x faults[[]0] kill True", "HEALED x faults[[]0] kill", "REPORT x passed True"])


def test_a_hook_that_breaks_makes_the_run_an_error(suite, document):
    with (suite.path / "conftest.py").open("a") as file:
        file.write("\n\ndef pytest_chaos_fault_healed(item, fault, event):\n    raise RuntimeError('the hook is broken')\n")
    suite.write("x.chaos.yaml", document)
    result = suite.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*whoever watched the run broke: RuntimeError: the hook is broken*"])


def test_a_misspelt_hook_is_refused(suite):
    with (suite.path / "conftest.py").open("a") as file:
        file.write("\n\ndef pytest_chaos_fault_heald(item): ...\n")
    suite.write("test_it.py", "def test_it(): pass\n")
    result = suite.run_apart()
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*unknown hook 'pytest_chaos_fault_heald'*"])
