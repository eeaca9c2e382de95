"""A run's id says whether its owner is alive."""

import os
import subprocess
import sys

from chaoskit.environments import owner
from chaoskit.environments.owner import Life


def test_two_runs_of_one_process_differ_and_their_owner_is_alive():
    one, two = owner.new_run(), owner.new_run()
    assert one != two
    assert [owner.life_of(run) for run in (one, two)] == [Life.ALIVE, Life.ALIVE]
    assert owner.pid_of(one) == os.getpid()
    assert len(one) < 50


def test_a_run_of_a_process_that_ended_is_of_nobody():
    code = "from chaoskit.environments import owner; print(owner.new_run())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert owner.life_of(run) is Life.GONE


def test_a_number_that_was_given_again_is_another_process():
    pid, start, *rest = owner.new_run().split("-")
    assert owner.life_of("-".join([pid, str(int(start) - 1), *rest])) is Life.GONE


def test_a_zombie_owns_nothing():
    code = "from chaoskit.environments import owner; print(owner.new_run(), flush=True)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    run = child.stdout.read().strip()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert owner.life_of(run) is Life.GONE
    child.wait()
    child.stdout.close()


def test_of_another_boot_or_machine_nothing_is_known():
    pid, start, _host, last = owner.new_run().split("-")
    assert owner.life_of(f"{pid}-{start}-00000000-{last}") is Life.ELSEWHERE


def test_other_texts_are_no_runs():
    assert owner.is_run(owner.new_run())
    for text in ("", "demo", "1-2-3", f"{owner.new_run()}x"):
        assert not owner.is_run(text)
