"""Environments as fixtures: up when the first test asks, down whatever happens."""

import os
import signal
import subprocess
import sys
import time

import pytest


def test_its_scope_says_how_long_it_is_up(suite):
    suite.tests("""
        @environment_fixture(scope="module")
        def shared():
            return Logged()

        @pytest.fixture
        def chaos_environment(shared):
            return shared

        def test_one(chaos):
            by_hand(chaos, PASSES)

        @pytest.mark.parametrize("n", [1, 2])
        def test_two(chaos, shared, n):
            assert chaos.environment is shared
            shared.log(f"test{n}")
    """)
    suite.run().assert_outcomes(passed=3)
    assert suite.log == ["up", "test1", "test2", "down"]


def test_its_scope_may_be_a_callable(suite):
    suite.tests("""
        def scope(fixture_name, config):
            assert fixture_name == "shared"
            return "module" if config.getoption("chaos_seed") else "function"

        @environment_fixture(scope=scope)
        def shared():
            return Logged()

        @pytest.mark.parametrize("n", [1, 2])
        def test_it(shared, n):
            assert shared.is_up
    """)
    suite.run("--chaos-seed=1").assert_outcomes(passed=2)
    assert suite.log == ["up", "down"]
    suite.run().assert_outcomes(passed=2)
    assert suite.log == ["up", "down"] * 3


def test_a_fixture_asks_for_others_and_can_have_parameters_and_a_name(suite):
    suite.tests("""
        @environment_fixture(params=["a", "b"], name="mine")
        def build_mine(request, tmp_path, *, unused=None):
            environment = Logged()
            environment.label = (request.param, tmp_path, unused)
            return environment

        def test_it(mine, tmp_path):
            assert mine.label[1:] == (tmp_path, None)
            assert mine.is_up
            mine.log(mine.label[0])
    """)
    suite.run().assert_outcomes(passed=2)
    assert suite.log == ["up", "a", "down", "up", "b", "down"]


def test_it_needs_no_brackets(suite):
    suite.tests("""
        @environment_fixture
        def mine():
            return Logged()

        def test_it(mine):
            assert mine.is_up
    """)
    suite.run().assert_outcomes(passed=1)


def test_the_mark_names_the_environment_of_one_test(suite):
    with (suite.path / "conftest.py").open("a") as file:
        file.write("\n\n@environment_fixture()\ndef other():\n    return FakeEnvironment()\n")
    suite.tests("""
        @pytest.mark.chaos(environment="other", seed=5)
        def test_marked(chaos, other):
            assert chaos.environment is other
            assert chaos._seed == 5

        def test_set(chaos, payments):
            assert chaos.environment is payments
    """)
    suite.run().assert_outcomes(passed=2)


def test_it_is_taken_down_when_it_does_not_come_up_or_a_later_one_does_not(suite):
    suite.tests("""
        from chaoskit.model.errors import CannotHeal, NotReady

        @environment_fixture()
        def broken():
            environment = Logged()
            environment.up_error = NotReady("the core did not answer")
            environment.down_error = CannotHeal("a network is left")
            return environment

        @pytest.fixture
        def later(payments):
            raise ZeroDivisionError

        def test_broken(broken):
            pass

        def test_later(payments, later):
            pass
    """)
    result = suite.run()
    result.assert_outcomes(errors=2)
    assert suite.log == ["down", "up", "down"]
    result.stdout.fnmatch_lines(["the core did not answer", "*- note -*", "CannotHeal: a network is left"])


def test_what_is_no_environment_is_told_with_its_place(suite):
    suite.tests("""
        @environment_fixture()
        def mine():
            yield Logged()

        def test_it(mine):
            pass
    """)
    result = suite.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*test_it.py:10: environment fixture 'mine' returned <generator *>; *return it, do not yield it*"])


@pytest.fixture
def heeds_interrupts():
    """What a shell starts in the background ignores Ctrl-C, and so does all that it starts in turn."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.whole
@pytest.mark.usefixtures("heeds_interrupts")
@pytest.mark.parametrize("number, word", [(signal.SIGINT, "SIGINT"), (signal.SIGTERM, "SIGTERM")])
@pytest.mark.parametrize("inside", ["load", "experiment"])
def test_a_session_that_is_asked_to_end_takes_everything_down(suite, document, number, word, inside):
    """In a process of its own, which has the handlers that any pytest has."""
    suite.write("x.chaos.yaml", document.replace("300ms", "100s"))
    if inside == "load":
        suite.tests("""
            def test_it(chaos):
                with chaos.load(arrivals_per_s=100, mix={"visit": 1}), chaos.fault(__import__("conftest").Kill(service="back")):
                    while True:
                        pass
        """)
    suite.write("test_later.py", "def test_later(): open('later', 'w').close()\n")
    words = [sys.executable, "-m", "pytest", "-q", "test_it.py" if inside == "load" else "x.chaos.yaml", "test_later.py"]
    process = subprocess.Popen(words, cwd=suite.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_until(lambda: any('"injected"' in p.read_text() for p in suite.path.glob("runs/*/history.jsonl")), process)
        os.kill(process.pid, number)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == pytest.ExitCode.INTERRUPTED, output
    assert suite.log == ["up", "down"]
    assert suite.verdicts == ["aborted"]
    assert '"healed"' in next(suite.path.glob("runs/*/history.jsonl")).read_text()
    assert not (suite.path / "later").exists()
    assert word in output
    assert "ABORTED " in output


def wait_until(is_so, process):
    deadline = time.monotonic() + 60
    while not is_so():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "it did not come so far"
        time.sleep(0.02)  # between two looks, until the deadline


@pytest.mark.usefixtures("heeds_interrupts")
def test_handlers_of_somebody_else_are_left_alone_and_ours_are_gone_at_the_end(suite):
    suite.tests("""
        import signal

        def mine(number, frame): ...

        @pytest.fixture(scope="module", autouse=True)
        def handler():
            before = signal.signal(signal.SIGTERM, mine)
            yield
            signal.signal(signal.SIGTERM, before)

        def test_it(chaos):
            assert signal.getsignal(signal.SIGTERM) is mine
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler

        def test_after():
            assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    """)
    suite.run_apart().assert_outcomes(passed=2)


def test_it_works_without_a_test():
    from chaoskit.pytesting import running
    from chaoskit.testing import FakeEnvironment

    with running(FakeEnvironment()) as environment:
        assert environment.is_up
    assert not environment.is_up


def test_user_fixtures_may_give_an_environment_that_is_up(suite):
    suite.tests("""
        from chaoskit.testing import FakeEnvironment

        @pytest.fixture
        def chaos_environment():
            environment = Logged()
            environment.up(is_stopping=lambda: False, say=print)
            return environment

        def test_it(chaos, chaos_environment):
            by_hand(chaos, PASSES)
    """)
    suite.run().assert_outcomes(passed=1)


OTHER = """

@environment_fixture()
def other():
    environment = Logged()
    environment.log('other')
    return environment
"""


def test_a_document_that_a_test_runs_takes_the_fixture_that_it_names(suite, document):
    """Also when `chaos` is bound to another one, and without being asked for by the test; an argument goes before both."""
    with (suite.path / "conftest.py").open("a") as file:
        file.write(OTHER)
    suite.write("x.yaml", document.replace('{use: "chaoskit.testing:fake_topology"}', "{fixture: other}"))
    suite.tests("""
        def test_named(chaos):
            chaos.check(chaos.run("x.yaml"))

        def test_given(chaos, payments):
            chaos.check(chaos.run("x.yaml", payments))
    """)
    suite.run().assert_outcomes(passed=2)
    assert suite.log == ["up", "other", "up", "down", "down", "up", "down"]


def test_a_fixture_that_a_document_of_a_test_names_in_vain_is_told_with_the_document(suite, document):
    suite.write("x.yaml", document.replace('{use: "chaoskit.testing:fake_topology"}', "{fixture: othr}"))
    suite.tests("""
        def test_it(chaos):
            chaos.run("x.yaml")
    """)
    result = suite.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["x.yaml: environment.fixture: there is no fixture 'othr' for test_it.py::test_it; expected *"])
    assert not (suite.path / "runs").exists()


def test_entries_of_a_matrix_are_run_by_their_ids(suite, document):
    suite.write("x.yaml", document + "matrix: {faults.0.for: [50ms, 100ms]}\n")
    suite.tests("""
        def test_all(chaos):
            for entry in chaos.entries("x.yaml"):
                chaos.check(chaos.run("x.yaml", entry=entry))

        def test_forgets_to_choose(chaos):
            chaos.run("x.yaml")
    """)
    result = suite.run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["x.yaml:9:9: matrix: there are 2 entries (for=50ms, for=100ms); choose one by its id: *"])
