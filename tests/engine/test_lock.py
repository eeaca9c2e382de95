"""One experiment at a time on an environment, whoever runs it, and nobody is held up by the dead or by what a stranger has put there."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chaoskit.engine.lock import sweep, take
from chaoskit.model.errors import UsageError

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
HOLDER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from chaoskit.engine.lock import take
held = take(sys.argv[1], run="first", now=datetime.now(UTC), folders=(Path(sys.argv[2]),))
held.name("20261125T080000-failover-7")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def shared(tmp_path):
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


def taken(shared, environment="bank on process", run="mine"):
    return take(environment, run=run, now=NOW, folders=(shared,))


@pytest.fixture
def other(shared):
    """Another process that holds the lock of `bank on process`."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, "bank on process", str(shared)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def refusal(shared):
    with pytest.raises(UsageError) as caught:
        taken(shared)
    return str(caught.value)


def test_a_lock_of_another_process_is_refused_with_the_name_of_its_run(shared, other):
    text = refusal(shared)
    assert f"'bank on process' is in use by 20261125T080000-failover-7 (process {other.pid} of " in text
    assert "chaoskit stop RUN" in text
    assert "--lock NAME" in text


def test_a_holder_that_was_killed_holds_nothing(shared, other):
    other.kill()
    other.wait()
    taken(shared).release()
    assert list(shared.iterdir()) == []


def test_what_a_dead_run_has_left_is_removed_by_its_name_and_nothing_else(shared, other):
    sweep("20261125T080000-failover-7", folders=[shared, shared / "missing"])
    assert "in use by 20261125T080000-failover-7" in refusal(shared), "it was alive"
    other.kill()
    other.wait()
    sweep("another run", folders=[shared])
    assert len(list(shared.iterdir())) == 1
    (shared / "chaoskit-link.lock").symlink_to("nowhere")
    os.mkfifo(shared / "chaoskit-pipe.lock")
    sweep("20261125T080000-failover-7", folders=[shared])
    assert sorted(path.name for path in shared.iterdir()) == ["chaoskit-link.lock", "chaoskit-pipe.lock"]


def test_a_lock_is_free_again_when_its_holder_ends_and_leaves_no_file(shared, other):
    other.communicate("")
    assert other.returncode == 0
    held = taken(shared)
    held.release()
    held.release()
    assert list(shared.iterdir()) == []


def test_other_environments_are_not_concerned(shared, other):
    taken(shared, "bank on docker").release()
    taken(shared, "bank on process, copy 2").release()


def test_names_that_look_alike_are_different_locks(shared):
    first, second = taken(shared, "a b"), taken(shared, "a-b")
    first.release()
    second.release()


def test_within_one_process_it_is_refused_too(shared):
    held = taken(shared, run="the first")
    assert "in use by the first (process" in refusal(shared)
    held.name("a shorter")
    assert "in use by a shorter (process" in refusal(shared)
    held.name("a" * 300)
    assert "a" * 300 in refusal(shared)
    held.release()


def test_any_user_may_lock_the_file_whatever_the_umask_says(shared):
    before = os.umask(0o077)
    try:
        held = taken(shared)
    finally:
        os.umask(before)
    (file,) = shared.iterdir()
    assert file.stat().st_mode & 0o777 == 0o666
    held.release()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"run": "x"}', json.dumps({"run": "\x1b[2J", "pid": 1, "user": "u", "since": "s"}), "\udcff"]
)
def test_what_a_stranger_wrote_into_it_is_never_shown_raw(shared, text):
    held = taken(shared)
    (file,) = shared.iterdir()
    file.write_bytes(text.encode(errors="surrogateescape"))
    assert "in use by a run that has not said its name yet" in refusal(shared)
    held.release()


def where(shared):
    """The path that the lock is going to have."""
    held = taken(shared)
    (file,) = shared.iterdir()
    held.release()
    return file


def test_a_link_in_its_place_is_refused_and_not_followed(shared, tmp_path):
    path, victim = where(shared), tmp_path / "victim"
    victim.write_text("precious")
    path.symlink_to(victim)
    assert "cannot be used as a lock" in refusal(shared)
    path.unlink()
    os.link(victim, path)
    assert "not a file of its own" in refusal(shared)
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_something_else_in_its_place_is_refused(shared, make):
    make(where(shared))
    assert "cannot be used as a lock" in refusal(shared)


def test_a_file_that_a_dead_run_of_another_user_has_left_is_used(shared):
    if os.geteuid() != 0:
        pytest.skip("only root can make another user's file")
    path = where(shared)
    path.write_text("old and longer than what is written now" * 20)
    path.chmod(0o666)
    os.chown(path, 4242, 4242)
    held = taken(shared, run="mine")
    assert json.loads(path.read_text())["run"] == "mine"
    held.release()


@pytest.fixture
def open_to_all():
    """pytest's own folders may be entered by their user only."""
    with tempfile.TemporaryDirectory(prefix="chaoskit-test-") as name:
        folder = Path(name)
        folder.chmod(0o1777)
        yield folder


def test_another_user_can_lock_after_root_and_is_told_who_holds_it(open_to_all):
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    shared = open_to_all
    held = taken(shared, run="of root")
    code = (
        "import os, sys; from pathlib import Path; from datetime import datetime, UTC; from chaoskit.engine.lock import take\n"
        "os.setgid(4242); os.setuid(4242)\n"
        "try: take('bank on process', run='of 4242', now=datetime.now(UTC), folders=(Path(sys.argv[1]),)).release()\n"
        "except Exception as error: print(type(error).__name__, error)\n"
        "else: print('taken')\n"
    )
    run = [sys.executable, "-c", code, str(shared)]
    told = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert "in use by of root" in told
    held.release()
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "taken\n"
    assert list(shared.iterdir()) == []


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o1755])
def test_a_folder_that_users_do_not_share_safely_is_passed_over(shared, tmp_path, mode):
    own = tmp_path / "own"
    own.mkdir()
    own.chmod(mode)
    with pytest.raises(UsageError, match="chmod 1777"):
        take("bank", run="x", now=NOW, folders=(tmp_path / "missing", own))
    take("bank", run="x", now=NOW, folders=(tmp_path / "missing", own, shared)).release()
    assert list(own.iterdir()) == []


def test_never_two_at_once_however_often_it_changes_hands(shared):
    """A file that its last holder has just removed is no lock any more, though it can be opened and locked by who came too early."""
    inside, both, taken_times = [], [], []

    def work(number):
        for _ in range(300):
            try:
                held = taken(shared)
            except UsageError:
                continue
            inside.append(number)
            for _ in range(10):
                shared.stat()  # a system call, in which the others may go on
                if len(inside) > 1:
                    both.append(tuple(inside))
            taken_times.append(number)
            inside.remove(number)
            held.release()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # between any two system calls, another thread's
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert both == []
    assert len(taken_times) > 4
    assert list(shared.iterdir()) == []


def test_a_holder_is_waited_for_as_long_as_was_said(shared, other):
    with pytest.raises(UsageError, match=r"in use by 20261125T080000-failover-7 (.|\n)*\(0\.2 s were waited\)"):
        take("bank on process", run="mine", now=NOW, folders=(shared,), within_s=0.2)
    end = threading.Timer(0.2, other.communicate, [""])
    end.start()
    held = take("bank on process", run="mine", now=NOW, folders=(shared,), within_s=60.0)
    end.join()
    held.release()
    assert list(shared.iterdir()) == []
