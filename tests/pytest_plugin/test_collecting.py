"""Documents as tests: their ids, their marks, their fixtures, and what is wrong with them."""

import pytest

MATRIX = """
matrix: {faults.0.for: [50ms, 100ms], "expect.0.at_least": [20%, 100%]}
"""


def ids(result):
    return [line for line in result.outlines if "::" in line]


def test_each_entry_of_a_matrix_is_a_test(suite, document):
    suite.write("experiments/x.chaos.yaml", document + MATRIX)
    listed = ids(suite.run("--collect-only", "-q", "experiments"))
    assert listed == [
        f"experiments/x.chaos.yaml::x[for={for_},at_least={share}]" for for_ in ("50ms", "100ms") for share in ("20%", "100%")
    ]
    result = suite.run("-v", *listed[:2])
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*x[[]for=50ms,at_least=100%] FAILED*",
            "The front goes on*: availability: *",
            "Run again:   pytest 'experiments/x.chaos.yaml::x[[]for=50ms,at_least=100%]' --chaos-seed *",
            "experiments/x.chaos.yaml:2: Failed",
            "PASSED *experiments/x.chaos.yaml::x[[]for=50ms,at_least=20%]: kill of back *",
        ]
    )
    assert suite.log == ["up", "down"] * 2


def test_only_documents_that_were_asked_for_are_collected(suite, document):
    suite.write("experiments/x.chaos.yaml", document)
    suite.write("experiments/other.yaml", "nonsense: [")
    suite.write("tests/test_it.py", "def test_it(): pass\n")
    suite.ini("testpaths = tests")
    assert ids(suite.run("--collect-only", "-q")) == ["tests/test_it.py::test_it"]
    assert ids(suite.run("--collect-only", "-q", "experiments", "tests")) == [
        "experiments/x.chaos.yaml::x",
        "tests/test_it.py::test_it",
    ]
    suite.ini("chaos_collect = no")
    assert ids(suite.run("--collect-only", "-q", ".")) == ["tests/test_it.py::test_it"]


BAD = {
    "no expectations": (
        "expect:\n  - {check: availability, journey: visit, at_least: 20%}\n",
        "",
        "the document: 'expect' is missing",
    ),
    "empty expectations": (
        "expect:\n  - {check: availability, journey: visit, at_least: 20%}\n",
        "expect: []\n",
        "x.chaos.yaml:7:9: expect: the list is empty*",
    ),
    "a missing environment": (
        '{use: "chaoskit.testing:fake_topology"}',
        "blank",
        "x.chaos.yaml:3:14: environment: 'blank' is not an *",
    ),
    "an unregistered mark": (
        "chaoskit: 1\n",
        "chaoskit: 1\nmarks: [slwo]\n",
        "x.chaos.yaml:2: marks: 'slwo' not found in `markers`*",
    ),
    "a mark that needs arguments": (
        "chaoskit: 1\n",
        "chaoskit: 1\nmarks: [skipif]\n",
        "x.chaos.yaml:2: marks: 'skipif' says nothing *",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_document_is_one_failing_test_and_the_others_are_run(suite, document, case):
    old, new, says = BAD[case]
    assert old in document
    suite.write("x.chaos.yaml", document.lstrip().replace(old, new))
    suite.write("test_it.py", "def test_it(): pass\n")
    result = suite.run()
    result.assert_outcomes(passed=1, failed=1)
    if case == "no expectations":
        says = "x.chaos.yaml:1:1: *expect*"
    result.stdout.fnmatch_lines([says, "FAILED x.chaos.yaml::x - InvalidDocument: *"])


def test_every_mistake_of_a_document_is_told_at_once(suite, document):
    text = document.lstrip().replace("300ms", "300").replace("service: back", "service: bakc").replace("20%", "2")
    suite.write("x.chaos.yaml", text)
    result = suite.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "x.chaos.yaml:4:*: load.duration: 300 has no unit;*",
            "x.chaos.yaml:6:*: faults[[]0].service: 'bakc' is not *",
            "x.chaos.yaml:8:*: expect[[]0].at_least: 2 *",
            "x.chaos.yaml:4: InvalidDocument",
        ]
    )


def test_marks_choose_documents(suite, document):
    suite.ini("markers =", "    slow: takes long")
    suite.write("x.chaos.yaml", "marks: [slow]\n" + document.lstrip())
    suite.write("y.chaos.yaml", document)
    suite.write("z.chaos.yaml", document.replace("kill, service: back", "saturate, times: 2"))
    suite.write("test_it.py", "def test_it(): pass\n")
    chosen = {words: [line.partition(".")[0] for line in ids(suite.run("--collect-only", "-q", "-m", words))] for words in (
        "slow", "not slow", "chaos", "not chaos", "chaos_serial"
    )}  # fmt: skip
    assert chosen == {
        "slow": ["x"],
        "not slow": ["test_it", "y", "z"],
        "chaos": ["x", "y", "z"],
        "not chaos": ["test_it"],
        "chaos_serial": ["z"],
    }


def test_a_mark_that_is_not_registered_is_a_warning_with_its_place_where_pytest_is_not_strict(suite, document):
    suite.write("pytest.ini", "[pytest]\naddopts = -p no:cacheprovider\n")
    suite.write("x.chaos.yaml", "marks: [nightly]\n" + document.lstrip())
    result = suite.run_apart("-k", "nothing")
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result.stdout.fnmatch_lines(["*x.chaos.yaml:1: PytestUnknownMarkWarning: Unknown pytest.mark.nightly *"])


def test_the_document_names_its_fixture_before_the_settings_do(suite, document):
    with (suite.path / "conftest.py").open("a") as file:
        file.write(
            "\n\n@environment_fixture()\ndef other():\n    environment = Logged()\n    environment.log('other')\n    return environment\n"
        )
    fixture = document.replace('{use: "chaoskit.testing:fake_topology"}', "{fixture: other}")
    suite.write("x.chaos.yaml", fixture)
    suite.write("y.chaos.yaml", document)
    suite.write("z.chaos.yaml", fixture.replace("other", "nobody"))
    result = suite.run()
    result.assert_outcomes(passed=2, failed=1)
    assert suite.log == ["other", "up", "down", "up", "down"]
    result.stdout.fnmatch_lines(
        ["z.chaos.yaml:3: environment.fixture: there is no fixture 'nobody' for this file; *", "z.chaos.yaml:3: InvalidDocument"]
    )


def test_a_fixture_that_the_settings_name_in_vain_is_told_with_the_setting(suite, document):
    suite.write("x.chaos.yaml", document)
    suite.tests("""
        def test_one(chaos):
            by_hand(chaos, PASSES)

        def test_two(chaos):
            by_hand(chaos, PASSES)

        @pytest.mark.chaos(environment="payments")
        def test_marked(chaos):
            by_hand(chaos, PASSES)
    """)
    result = suite.run("--chaos-environment=nobody")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["test_it.py:10: --chaos-environment: there is no fixture 'nobody' for this file; expected one that gives *"]
    )
    assert sum(line.startswith("test_it.py:") for line in result.outlines) == 1, "it is one and the same for all tests of a file"
    result = suite.run("--chaos-environment=nobody", "x.chaos.yaml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["x.chaos.yaml:3: --chaos-environment: there is no fixture 'nobody' for this file; *"])
    suite.run("--chaos-environment=nobody", "test_it.py::test_marked", "--continue-on-collection-errors").assert_outcomes(errors=1)
    assert suite.log == []


def test_a_fixture_of_ones_own_needs_no_setting(suite):
    suite.tests("""
        @pytest.fixture
        def chaos_environment(payments):
            return payments

        def test_it(chaos):
            by_hand(chaos, PASSES)
    """)
    suite.run("--chaos-environment=nobody").assert_outcomes(passed=1)


def test_what_a_document_cannot_choose_is_told_with_its_place(suite, document):
    """Its environment comes from a fixture that the settings name: it is up, so options would say nothing."""
    use = '{use: "chaoskit.testing:fake_topology"'
    swept = document.replace(use + "}", "bank").replace("visit", "transfer").replace("service: back", "service: core")
    suite.write("x.chaos.yaml", swept + "matrix: {environment.options.defect: [none, no-idempotency]}\n")
    suite.write("y.chaos.yaml", document.replace(use, use + ", on: docker"))
    result = suite.run()
    result.assert_outcomes(failed=2)
    says = "and the environment is up already, by the fixture 'payments' (chaos_environment); leave one of them out"
    result.stdout.fnmatch_lines(
        [
            f"x.chaos.yaml:3: environment.options: 'defect' is chosen, {says}",
            f"y.chaos.yaml:3: environment.on: 'docker' is chosen, {says}",
        ]
    )


def test_a_document_that_is_about_another_system_is_refused_when_the_fixture_is_up(suite, document):
    use = '{use: "chaoskit.testing:fake_topology"}'
    suite.write(
        "x.chaos.yaml", document.replace(use, "bank").replace("visit", "transfer").replace("service: back", "service: core")
    )
    result = suite.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*x.chaos.yaml: environment: the document is about 'bank', *"])


def test_names_are_checked_against_what_the_fixture_gives(suite, document):
    suite.write(
        "x.chaos.yaml",
        document.replace('{use: "chaoskit.testing:fake_topology"}', "{fixture: payments}").replace(
            "service: back", "service: bakc"
        ),
    )
    suite.write("y.chaos.yaml", document.replace('{use: "chaoskit.testing:fake_topology"}', "bank"))
    suite.ini("chaos_collect = yes")
    result = suite.run("x.chaos.yaml")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["x.chaos.yaml:6:*: faults[[]0].service: 'bakc' is not *Did you mean 'back'?"])
