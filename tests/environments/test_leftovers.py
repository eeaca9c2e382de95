"""`chaoskit gc`: what dead runs have left is found and removed; what is alive, elsewhere or not ours is not touched."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from chaoskit.cli import main
from chaoskit.environments import leftovers, owner, reaper, sweep
from chaoskit.environments.owner import Life
from chaoskit.model.errors import Unsupported


def print_run():
    code = "from chaoskit.environments import owner; print(owner.new_run())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def dead_run():
    return print_run()


@pytest.fixture
def temporary(monkeypatch, tmp_path):
    """A folder for temporary files of this test alone."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def no_engine(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")


@pytest.fixture
def networks(engine):
    """Makes networks that are labelled as a run's, which are the cheapest of what a run can leave."""
    made = []

    def make(run, name, **labels):
        made.append(engine.client.networks.create(name, labels={**engine.labels(run), **labels} if run else labels))
        return made[-1]

    yield make
    for network in made:
        for left in engine.client.networks.list(ids=[network.id]):
            left.remove()


@pytest.mark.docker
def test_a_dry_run_says_what_a_dead_run_left_and_removes_nothing(engine, networks, dead_run, temporary, capsys):
    networks(dead_run, f"chaoskit-{dead_run}")
    assert main(["gc", "--dry-run"]) == 1
    out = capsys.readouterr().out
    assert f"run {dead_run}: its owner is gone\n  would be removed: network chaoskit-{dead_run}\n" in out
    assert engine.client.networks.list(names=[f"chaoskit-{dead_run}"])


@pytest.mark.docker
def test_it_removes_what_a_dead_run_left_and_nothing_else(engine, networks, dead_run, temporary, capsys):
    networks(dead_run, f"chaoskit-{dead_run}")
    others = [
        networks(print_run(), "chaoskit-other-run"),
        networks(None, f"chaoskit-{dead_run}-stranger"),
        networks(None, "chaoskit-half", **{"chaoskit.run": dead_run}),
    ]
    assert main(["gc", "--run", dead_run]) == 0
    assert f"  removed network chaoskit-{dead_run}\n" in capsys.readouterr().out
    assert not engine.client.networks.list(filters={"label": ["chaoskit=1", f"chaoskit.run={dead_run}"]})
    for other in others:
        other.reload()
    assert main(["gc", "--run", dead_run]) == 0
    assert f"Nothing of run {dead_run} is here." in capsys.readouterr().out


@pytest.mark.docker
def test_what_is_alive_is_not_touched(engine, networks, temporary, capsys):
    run = owner.new_run()
    network = networks(run, f"chaoskit-{run}")
    main(["gc", "--dry-run"])
    assert run not in capsys.readouterr().out
    assert main(["gc", "--run", run]) == 2
    assert f"is alive (process {os.getpid()})" in capsys.readouterr().err
    network.reload()


@pytest.mark.docker
def test_what_cannot_be_judged_from_here_is_left_alone_unless_it_is_named(engine, networks, dead_run, temporary, capsys):
    pid, start, _host, last = dead_run.split("-")
    elsewhere = f"{pid}-{start}-00000000-{last}"
    network = networks(elsewhere, f"chaoskit-{elsewhere}")
    (found,) = (one for one in leftovers.find(leftovers.engine_here()) if one.run == elsewhere)
    assert found.life is Life.ELSEWHERE
    main(["gc", "--dry-run"])
    assert f"left alone; if it is dead: chaoskit gc --run {elsewhere}" in capsys.readouterr().out
    network.reload()
    assert main(["gc", "--run", elsewhere]) == 0
    assert not engine.client.networks.list(names=[network.name])


WORKER = """
import subprocess, sys
from pathlib import Path
from chaoskit.environments import owner
folder = Path(sys.argv[1])
(folder / "one").mkdir(parents=True)
(folder / owner.MARK).write_text(owner.new_run())
child = subprocess.Popen(["sleep", "600"], cwd=folder / "one", stdout=subprocess.DEVNULL, start_new_session=True)
print(child.pid)
"""


def left_folder(temporary):
    folder = temporary / "chaoskit-tiny-x1"
    done = subprocess.run([sys.executable, "-c", WORKER, str(folder)], stdout=subprocess.PIPE, text=True, check=True)
    return folder, int(done.stdout), (folder / owner.MARK).read_text()


def test_a_work_folder_goes_with_the_processes_inside_it(temporary, no_engine, capsys, is_alive):
    folder, child, run = left_folder(temporary)
    (temporary / "chaoskit-of-somebody").mkdir()
    (temporary / "chaoskit-link").symlink_to(folder)
    assert main(["gc", "--dry-run"]) == 1
    assert f"would be removed: folder {folder}" in capsys.readouterr().out
    assert is_alive(child)
    assert main(["gc"]) == 0
    out = capsys.readouterr().out
    assert "no container engine here" in out
    assert f"run {run}: its owner is gone\n" in out
    assert not folder.exists()
    assert not is_alive(child)
    assert (temporary / "chaoskit-of-somebody").exists()
    assert main(["gc"]) == 0
    assert "Nothing of a dead run is here." in capsys.readouterr().out


def test_a_process_environment_marks_its_folder(places):
    environment = places.up(places.topology(places.tiny("front")))
    (folder,) = places.directory.iterdir()
    assert owner.life_of((folder / owner.MARK).read_text()) is Life.ALIVE
    environment.down()


def test_an_undo_that_cannot_be_done_is_an_error_and_stays(temporary, no_engine, dead_run, capsys):
    records = reaper.records_folder(is_made=True) / f"{dead_run}.jsonl"
    records.write_text('{"state": "injecting", "fault": "cut", "undo": []}\n')
    assert main(["gc"]) == 5
    assert "could not undo: cut: no engine is there" in capsys.readouterr().err
    assert records.exists()


def test_an_engine_that_does_not_answer_is_an_error(temporary, monkeypatch, capsys):
    (temporary / "dead.sock").touch()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{temporary}/dead.sock")
    assert main(["gc"]) == 5
    assert "what there is of containers cannot be seen" in capsys.readouterr().err


def test_an_engine_elsewhere_and_a_name_of_no_run_are_refused(temporary, monkeypatch, no_engine, capsys):
    assert main(["gc", "--run", "yesterday"]) == 2
    assert "nothing of a run of that name is here" in capsys.readouterr().err
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    with pytest.raises(Unsupported, match="not on this machine"):
        leftovers.engine_here()
    assert main(["gc"]) == 2


def test_the_folder_of_a_build_that_was_killed_is_found_by_its_mark(temporary, no_engine, capsys):
    code = (
        "import os, signal\nfrom chaoskit.environments import owner\n"
        "with owner.working_place('image', owner.new_run()) as folder:\n"
        "    (folder / 'packages').mkdir()\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(temporary)}, check=False)
    (folder,) = temporary.glob("chaoskit-image-*")
    assert main(["gc"]) == 0
    assert f"removed folder {folder}" in capsys.readouterr().out
    assert list(temporary.glob("chaoskit-image-*")) == []


def test_the_control_groups_that_an_engine_left_when_it_died_are_removed_with_what_is_in_them(dead_run):
    parent = Path("/sys/fs/cgroup/cpu")
    if os.geteuid() != 0 or not parent.is_dir():
        pytest.skip("only root can make control groups, and only version 1 has them here")
    group = parent / f"chaoskit-{dead_run}"
    (group / "container").mkdir(parents=True)
    done = []
    try:
        assert sweep.remove_groups(dead_run, done.append) == []
        assert not group.exists()
        assert done == [f"removed control group {group}"]
    finally:
        for folder in (group / "container", group):
            if folder.exists():
                folder.rmdir()


def test_folders_that_their_runs_remove_at_this_moment_are_no_trouble(temporary):
    is_over = threading.Event()

    def come_and_go():
        while not is_over.is_set():
            for number in range(20):
                folder = temporary / f"chaoskit-bank-{number}"
                folder.mkdir()
                (folder / owner.MARK).write_text(owner.new_run())
            for number in range(20):
                shutil.rmtree(temporary / f"chaoskit-bank-{number}")

    others = threading.Thread(target=come_and_go)
    others.start()
    try:
        for _ in range(300):
            assert leftovers.find(None) == ()  # they are all of this process, which is alive
    finally:
        is_over.set()
        others.join()
