"""One environment for all workers of pytest-xdist: brought up once, used together, and taken down after the last of them."""

import textwrap
import time

import pytest

from chaoskit.environments.images import provide

pytestmark = pytest.mark.whole  # each starts three processes

HEAD = """
    import os, signal, time
    from pathlib import Path

    @environment_fixture(scope="session", once=True)
    def shared():
        return Logged()

    def wait(*names):
        deadline = time.monotonic() + 60
        while not all(Path(name).exists() for name in names):
            assert time.monotonic() < deadline, (names, "did not come")
            time.sleep(0.02)

    def meet(n):
        Path(f"here-{n}").touch()
        wait("here-a", "here-b")
"""


@pytest.fixture
def two(suite):
    """Runs two tests of a suite on two workers; what they leave in the session's temporary folder is `left`."""

    def run(body, *words, warnings="error"):
        suite.ini(warnings=warnings)
        suite.tests(textwrap.dedent(HEAD) + textwrap.dedent(body))
        return suite.run_apart("-n", "2", "--basetemp", str(suite.path / "temp"), *words)

    return run


@pytest.fixture
def left(suite):
    return lambda: sorted(path.name for path in (suite.path / "temp").iterdir() if "chaoskit" in path.name)


def test_it_comes_up_once_for_all_and_goes_down_once_after_the_last(suite, two, left):
    result = two("""
        @pytest.mark.parametrize("n", ["a", "b"])
        def test_it(shared, n):
            meet(n)
            assert shared.is_up
            assert "down" not in Path("log.txt").read_text()
    """)
    result.assert_outcomes(passed=2)
    assert suite.log == ["up", "joined", "left", "down"]
    assert left() == []


def test_whoever_has_it_up_waits_for_those_who_use_it_and_for_those_who_may_still_ask(suite, two, left):
    """The first test ends long before the second one asks, and that one uses it after its last test as well."""
    result = two("""
        def test_first(shared):
            Path("first-asked").touch()

        def still_up():
            deadline = time.monotonic() + 2
            while "down" not in Path("log.txt").read_text() and time.monotonic() < deadline:
                time.sleep(0.02)
            return Path("log.txt").read_text().split()

        @pytest.fixture
        def late():
            yield
            assert still_up() == ["up", "joined"]

        def test_second(request, late):
            wait("first-asked")
            assert still_up() == ["up"]
            assert request.getfixturevalue("shared").is_up
    """)
    result.assert_outcomes(passed=2)
    assert suite.log == ["up", "joined", "left", "down"]
    assert left() == []


def test_a_start_that_fails_is_told_in_each_worker_and_not_tried_again(suite, two, left):
    result = two("""
        from chaoskit.model.errors import NotReady

        class Broken(Logged):
            def up(self, **more):
                self.log("up")
                raise NotReady("service back: no ledger here")

        @environment_fixture(scope="session", once=True)
        def shared():
            return Broken()

        @pytest.mark.parametrize("n", ["a", "b"])
        def test_it(shared, n): pass

        @pytest.fixture(autouse=True, scope="session")
        def together(worker_id):
            meet({"gw0": "a", "gw1": "b"}[worker_id])
    """)
    result.assert_outcomes(errors=2)
    assert suite.log == ["up", "down"]
    result.stdout.fnmatch_lines(["service back: no ledger here"])
    result.stdout.fnmatch_lines(
        ["*environment 'shared' did not come up in worker gw?, and is not tried again: NotReady: service back*"]
    )
    assert left() == []


def test_a_worker_that_is_killed_lets_go_of_it(suite, two, left):
    result = two("""
        @pytest.mark.parametrize("n", ["a", "b"])
        def test_it(shared, n):
            me = "owner" if (Path("owner").exists() is False and MADE) else "guest"
            Path(me).touch()
            wait("owner", "guest")
            if me == "guest":
                os.kill(os.getpid(), signal.SIGKILL)
    """)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["worker 'gw?' crashed while running 'test_it.py::test_it*"])
    assert suite.log == ["up", "joined", "down"]
    assert left() == []


def test_when_the_worker_that_has_it_up_is_killed_the_others_tests_say_so(suite, two, left):
    result = two("""
        @pytest.mark.parametrize("n", ["a", "b", "c", "d"])
        def test_it(shared, n):
            Path("owner" if MADE else "guest").touch()
            wait("owner", "guest")
            if MADE:
                os.kill(os.getpid(), signal.SIGKILL)
            deadline = time.monotonic() + 60
            while alive(int(Path("pid").read_text())) and time.monotonic() < deadline:
                time.sleep(0.02)

        def alive(pid):
            return Path(f"/proc/{pid}").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text()

        @environment_fixture(scope="session", once=True)
        def shared():
            class Mine(Logged):
                def up(self, **more):
                    Path("pid").write_text(str(os.getpid()))
                    super().up(**more)
            return Mine()
    """)
    outcomes = result.parseoutcomes()
    assert outcomes["failed"] == 1, "the test that was killed"
    assert outcomes["passed"] == 1, "the one that ran beside it"
    assert outcomes["errors"] == 2
    result.stdout.fnmatch_lines(["*environment 'shared': worker gw? has died, which had brought it up for all; *"])
    assert suite.log == ["up", "joined", "left"]
    assert left() == []


def test_runs_on_it_take_turns(suite, two, left):
    """Both are asked for at the same moment, and the second one waits instead of being refused."""
    result = two("""
        @pytest.mark.parametrize("n", ["a", "b"])
        @pytest.mark.chaos(environment="shared")
        def test_it(chaos, n):
            meet(n)
            for _ in range(3):
                with chaos.load(arrivals_per_s=100, mix={"visit": 1}):
                    Path("inside").mkdir()  # fails when the other one is inside
                    while len(chaos.history().operations) < 3:
                        time.sleep(0.01)
                    Path("inside").rmdir()
                chaos.verify(PASSES)
    """)
    result.assert_outcomes(passed=2)
    assert suite.verdicts == ["passed"] * 6
    assert suite.log == ["up", "joined", "left", "down"]
    assert left() == []
    assert list((suite.path / "locks").iterdir()) == []


def test_one_that_cannot_be_joined_is_an_error_with_its_place(suite, two):
    body = """
        class Alone(Logged):
            shared = join = None

        @environment_fixture(scope="session", once=True)
        def shared():
            return Alone()

        @pytest.mark.parametrize("n", ["a", "b"])
        def test_it(shared, n): pass
    """
    result = two(body)
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        ["*test_it.py:*: environment fixture 'shared' has once=True, and Alone cannot be joined by other *"]
    )
    assert suite.log == []
    result = suite.run_apart()
    result.assert_outcomes(passed=2)
    assert suite.log == ["up", "down"], "without other workers, once means nothing"


def test_one_whose_books_hold_for_one_run_is_refused(two):
    result = two("""
        from chaoskit.testing import FakeLedger

        @environment_fixture(scope="session", once=True)
        def shared():
            return Logged(ledger=FakeLedger())

        def test_it(shared): pass
    """)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*test_it.py:*: environment fixture 'shared' has once=True, and its books have opening balances*"])


@pytest.mark.parametrize("scope", ["module", "function"])
def test_a_scope_that_ends_before_the_session_is_refused_with_its_place(suite, scope):
    suite.tests(f"""
        @environment_fixture(scope="{scope}", once=True)
        def shared():
            return Logged()
    """)
    result = suite.run_apart()
    result.stdout.fnmatch_lines([f"*test_it.py:*: environment fixture 'shared' has once=True and scope='{scope}'; expected *"])


CONTAINERS = """
    from testcontainers.core.container import DockerContainer
    from chaoskit.environments.containers import ContainerEnvironment

    IMAGE, PROGRAM = os.environ["TINY_IMAGE"], "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port=8080)"

    @environment_fixture(scope="session", once=True)
    def shared(tmp_path_factory):
        env = ContainerEnvironment(logs=tmp_path_factory.mktemp("logs"))
        env.link("customers", "web", port=8080)
        env.add("web", DockerContainer(IMAGE, command=["python3", "-c", PROGRAM]))
        with Path("run").open("a") as file:
            file.write(f"{env.run}\\n")  # of the one that starts it, and of those that never start anything
        return env

    def wait_until(condition):
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)
"""


@pytest.fixture
def containers(engine, suite, two, monkeypatch):
    """Runs a suite on containers, and says what there is of them."""
    monkeypatch.setenv("TINY_IMAGE", provide(engine, names=("bank",)).named("bank").reference)
    monkeypatch.setenv("DOCKER_HOST", engine.address)  # pytester gives its processes another home folder

    def there():
        labels = [{"label": f"chaoskit.run={run}"} for run in (suite.path / "run").read_text().split()]
        found = [(engine.client.containers.list(all=True, filters=one), engine.client.networks.list(filters=one)) for one in labels]
        return [one for pair in found for some in pair for one in some]

    return lambda body: two(textwrap.dedent(CONTAINERS) + textwrap.dedent(body), warnings="default"), there


@pytest.mark.docker
def test_containers_are_started_once_and_hurt_from_every_worker(containers, suite, left):
    run, there = containers
    result = run("""
        @pytest.mark.parametrize("n", ["a", "b"])
        def test_it(shared, n):
            meet(n)
            web = shared.service("web")
            Path("seen-up").write_text(web.container.labels["chaoskit.run"])
            Path(f"id-{n}").write_text(f"{web.handle['container']} {shared.address('web', 8080)}")
            wait("id-a", "id-b")
            assert Path("id-a").read_text() == Path("id-b").read_text()
            if n == "a":
                web.kill()
                wait("seen")
                web.start()
                wait_until(lambda: Path("cut").exists() and shared.links("customers", "web")[0].look(timeout_s=2) == "refused")
                Path("felt").touch()
            else:
                wait_until(lambda: not web.is_running())
                Path("seen").touch()
                wait_until(lambda: web.is_running() and web.is_ready())
                (link,) = shared.links("customers", "web")
                link.refuse()
                Path("cut").touch()
                wait("felt")
                link.restore()
    """)
    result.assert_outcomes(passed=2)
    assert (suite.path / "seen-up").read_text() in (suite.path / "run").read_text().split()
    assert there() == []
    assert left() == []


@pytest.mark.docker
def test_containers_are_gone_when_the_worker_that_started_them_is_killed(containers):
    run, there = containers
    result = run("""
        @pytest.mark.parametrize("n", ["a", "b", "c", "d"])
        def test_it(shared, n):
            meet({"a": "a", "c": "b"}.get(n, "a"))
            if shared.run:
                os.kill(os.getpid(), signal.SIGKILL)
            wait_until(lambda: shared.service("web").status() == "gone")
    """)
    outcomes = result.parseoutcomes()
    assert (outcomes["failed"], outcomes["passed"], outcomes["errors"]) == (1, 1, 2)
    result.stdout.fnmatch_lines(["*environment 'shared': worker gw? has died, which had brought it up for all; *"])
    deadline = time.monotonic() + 30  # the reaper's promise
    while there():
        assert time.monotonic() < deadline, there()
        time.sleep(0.1)
