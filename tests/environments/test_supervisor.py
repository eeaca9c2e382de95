"""The supervisor with real processes: what it starts it can freeze, kill and find again, and nothing outlives the runner."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chaoskit.environments.supervision import Supervisor, SupervisorGone, SupervisorRefused

# A service that leaves its family as PostgreSQL under Patroni does: a grandchild in a session of its own whose parent has ended.
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.makedirs("data", exist_ok=True)
        os.chdir("data")
        open("daemon.pid.part", "w").write(str(os.getpid()))
        os.rename("daemon.pid.part", "daemon.pid")
        time.sleep(600)
    os._exit(0)
os.wait()
time.sleep(600)
"""


@pytest.fixture
def place(tmp_path):
    for name in ("work/one", "work/two", "logs"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


@pytest.fixture
def supervisor(place):
    with Supervisor(work=place / "work", logs=place / "logs") as one:
        yield one


def start(supervisor, place, name="one", code="import time; time.sleep(600)"):
    return supervisor.start(name, (sys.executable, "-c", code), variables={}, folder=place / "work" / name)


@pytest.fixture
def daemon_pid(place, wait_until):
    def wait():
        file = place / "work/one/data/daemon.pid"
        wait_until(file.exists)
        return int(file.read_text())

    return wait


def test_a_killed_service_has_no_process_left_even_in_another_session(supervisor, place, daemon_pid, is_alive):
    root = start(supervisor, place, code=DAEMON)
    daemon = daemon_pid()
    other = start(supervisor, place, name="two")
    assert {root, daemon} <= {one.pid for one in supervisor.processes("one")}
    supervisor.kill("one")
    assert supervisor.processes("one") == ()
    assert not is_alive(root)
    assert not is_alive(daemon)
    assert is_alive(other)


def test_a_service_whose_root_has_ended_is_still_known_by_its_folder(supervisor, place, daemon_pid, wait_until, is_alive):
    root = start(supervisor, place, code=DAEMON)
    daemon = daemon_pid()
    os.kill(root, signal.SIGKILL)
    wait_until(lambda: [one.pid for one in supervisor.processes("one")] == [daemon])
    with pytest.raises(SupervisorRefused, match="still runs"):
        start(supervisor, place)
    supervisor.kill("one")
    assert not is_alive(daemon)


def test_ended_children_are_reaped_at_once(supervisor, place, wait_until):
    root = start(supervisor, place, code="pass")
    wait_until(lambda: not Path(f"/proc/{root}").exists())
    assert supervisor.processes("one") == ()


def test_a_service_that_ends_by_itself_says_so_in_its_log_and_one_that_was_killed_does_not(supervisor, place, wait_until):
    start(supervisor, place, code="import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    log = supervisor.log("one")
    wait_until(lambda: not supervisor.processes("one") and "ended by itself, by signal 11 (SIGSEGV)" in log.read_text())
    start(supervisor, place, name="two")
    supervisor.kill("two")
    wait_until(lambda: not supervisor.processes("two"))
    assert "ended by itself" not in supervisor.log("two").read_text()


def test_pause_freezes_all_and_resume_lets_them_go_on(supervisor, place, daemon_pid):
    start(supervisor, place, code=DAEMON)
    daemon_pid()
    supervisor.pause("one")
    assert {one.state for one in supervisor.processes("one")} == {"T"}
    supervisor.resume("one")
    assert "T" not in {one.state for one in supervisor.processes("one")}
    supervisor.resume("one")


def test_a_paused_service_can_be_killed(supervisor, place):
    start(supervisor, place)
    supervisor.pause("one")
    supervisor.kill("one")
    assert supervisor.processes("one") == ()


def test_a_killed_service_starts_again_and_its_log_goes_on(supervisor, place, wait_until):
    code = "import time; print('hello', flush=True); time.sleep(600)"
    log = place / "logs/one.log"
    start(supervisor, place, code=code)
    wait_until(lambda: log.read_text() == "hello\n")
    supervisor.kill("one")
    start(supervisor, place, code=code)
    wait_until(lambda: log.read_text() == "hello\nhello\n")


def test_what_cannot_be_done_is_refused_with_the_reason(supervisor, place, wait_until):
    with pytest.raises(SupervisorRefused, match="cannot run /no/such/program: FileNotFoundError"):
        supervisor.start("one", ("/no/such/program",), variables={}, folder=place / "work/one")
    with pytest.raises(SupervisorRefused, match="'one' was never started here"):
        supervisor.kill("one")
    start(supervisor, place, name="two", code="pass")
    wait_until(lambda: supervisor.processes("two") == ())
    with pytest.raises(SupervisorRefused, match="no process to pause"):
        supervisor.pause("two")


def test_close_ends_everything_removes_the_folder_and_may_be_called_twice(place, daemon_pid, is_alive):
    supervisor = Supervisor(work=place / "work", logs=place / "logs")
    root = start(supervisor, place, code=DAEMON)
    daemon = daemon_pid()
    supervisor.close()
    supervisor.close()
    assert [is_alive(pid) for pid in (root, daemon, supervisor.pid)] == [False, False, False]
    assert not (place / "work").exists()
    assert (place / "logs/one.log").exists()


def test_a_dead_supervisor_is_an_error_and_takes_its_services_along(place, wait_until, is_alive):
    supervisor = Supervisor(work=place / "work", logs=place / "logs")
    root = start(supervisor, place)
    os.kill(supervisor.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(root))
    with pytest.raises(SupervisorGone):
        supervisor.processes("one")
    with pytest.raises(SupervisorGone):
        supervisor.close()
    supervisor.close()


RUNNER = """
import os, sys, time
from pathlib import Path
from chaoskit.environments.supervision import Supervisor
place = Path(sys.argv[1])
supervisor = Supervisor(work=place / "work", logs=place / "logs")
root = supervisor.start("one", (sys.executable, "-c", sys.argv[2]), variables={}, folder=place / "work/one")
if sys.argv[3] == "fork" and os.fork() == 0:
    os.write(1, f"copy {os.getpid()}\\n".encode())  # print may write in pieces, which the other one's come between
    time.sleep(600)
os.write(1, f"ready {supervisor.pid} {root}\\n".encode())
time.sleep(600)
"""


@pytest.mark.parametrize("how", ["alone", "fork"])
def test_nothing_is_left_when_the_runner_is_killed(place, how, daemon_pid, wait_until, is_alive):
    """Also when a forked copy of the runner keeps the supervisor's input open."""
    runner = subprocess.Popen([sys.executable, "-c", RUNNER, str(place), DAEMON, how], stdout=subprocess.PIPE, text=True)
    pids, copies = [], []
    try:
        while not pids or (how == "fork" and not copies):
            word, *numbers = runner.stdout.readline().split()
            (pids if word == "ready" else copies).extend(int(number) for number in numbers)
        pids.append(daemon_pid())
    finally:
        runner.kill()
        runner.wait()
        runner.stdout.close()
    try:
        wait_until(lambda: not any(is_alive(pid) for pid in pids) and not (place / "work").exists())
    finally:
        for copy in copies:
            os.kill(copy, signal.SIGKILL)


def test_interrupts_of_the_terminal_do_not_reach_the_services(supervisor, place, is_alive):
    root = start(supervisor, place)
    assert os.getsid(supervisor.pid) == supervisor.pid != os.getsid(0)
    assert os.getsid(root) == root
    os.kill(supervisor.pid, signal.SIGINT)
    assert is_alive(root)
    assert supervisor.processes("one") != ()
