"""The reaper and what it removes, on a real engine: everything of one run, whatever way the run ended, and nothing else."""

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from chaoskit.environments import docker_engine, owner, sweep
from chaoskit.environments.reaper import Reaper, records_folder
from chaoskit.model.errors import CannotHeal, MissingPart

ENGINE = docker_engine.engine_address()
IMAGE = "chaoskit-test-sleep"


def test_its_labels_are_those_of_the_environment():
    assert (sweep.LABEL, sweep.RUN_LABEL) == (docker_engine.LABEL, docker_engine.RUN_LABEL)


@pytest.fixture
def client(engine):
    return engine.client


@pytest.fixture(scope="session")
def image(engine):
    """An image of a few files of this machine: `sleep` and what it loads."""
    needed = subprocess.run(["ldd", "/bin/sleep"], capture_output=True, text=True, check=True).stdout.split()
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name in {"/bin/sleep", *(word for word in needed if word.startswith("/"))}:
            with Path(name).open("rb") as file:
                tar.addfile(tar.gettarinfo(os.path.realpath(name), arcname=name.lstrip("/")), file)
    engine.client.api.import_image_from_data(data.getvalue(), repository=IMAGE, changes=["LABEL chaoskit.test=1"])
    yield IMAGE
    engine.client.images.remove(IMAGE, force=True)


@pytest.fixture
def run():
    return owner.new_run()


@pytest.fixture
def strangers(client, image):
    """Starts containers that do not carry our label, or not this run's."""
    started = []

    def start(name, labels):
        started.append(client.containers.run(image, ["/bin/sleep", "600"], name=name, labels=labels, detach=True))
        return started[-1]

    yield start
    for container in started:
        container.remove(force=True, v=True)


def start_all(client, image, run):
    labels = {"chaoskit": "1", "chaoskit.run": run}
    client.networks.create(f"chaoskit-{run}", labels=labels)
    client.volumes.create(f"chaoskit-{run}", labels=labels)
    for name in ("one", "two"):
        client.containers.run(
            image, ["/bin/sleep", "600"], name=f"chaoskit-{run}-{name}", network=f"chaoskit-{run}", labels=labels, detach=True,
            volumes={f"chaoskit-{run}": {"bind": "/data", "mode": "rw"}},
        )  # fmt: skip
    client.containers.get(f"chaoskit-{run}-two").pause()


def left(client, run):
    filters = {"label": f"chaoskit.run={run}"}
    return [
        *(one.name for one in client.containers.list(all=True, filters=filters)),
        *(one.name for one in client.networks.list(filters=filters)),
        *(one.name for one in client.volumes.list(filters=filters)),
    ]


@pytest.mark.docker
def test_close_removes_what_the_run_forgot_and_nothing_else(client, image, run, strangers, tmp_path):
    stranger = strangers(f"chaoskit-{run}-three", {})
    neighbour = strangers(f"chaoskit-{run}-four", {"chaoskit": "1", "chaoskit.run": owner.new_run()})
    impostor = strangers(f"chaoskit-{run}-five", {"chaoskit.run": run})
    reaper = Reaper.start(run, engine_address=ENGINE, log=tmp_path / "reaper.log")
    start_all(client, image, run)
    assert len(left(client, run)) == 5  # two containers, their network and volume, and the one that carries half of our labels
    done = reaper.close()
    assert sorted(done) == sorted(
        [f"removed container chaoskit-{run}-{name}" for name in ("one", "two")]
        + [f"removed {kind} chaoskit-{run}" for kind in ("network", "volume")]
    )
    assert left(client, run) == [impostor.name]
    for other in (stranger, neighbour, impostor):
        other.reload()
        assert other.status == "running"
    assert reaper.close() == ()
    assert not reaper.records.exists()
    assert "asked for its end" in reaper.log.read_text()
    assert reaper.log.read_text().rstrip().endswith("nothing is left")


@pytest.mark.docker
def test_a_run_that_left_nothing_is_told_from_one_that_could_not_be_undone(client, image, run, strangers):
    assert Reaper.start(run, engine_address=ENGINE).close() == ()
    reaper = Reaper.start(run, engine_address=ENGINE)
    guest = strangers(f"guest-{run}", {})
    network = client.networks.create(f"chaoskit-{run}", labels={"chaoskit": "1", "chaoskit.run": run})
    network.connect(guest)
    # It would wait for the guest to leave until its own limit; here the sweep is asked for less.
    swept = sweep.sweep(run, sweep.Engine(ENGINE), within_s=0.5)
    assert swept.done == []
    assert "active endpoints" in swept.problems[0]
    guest.reload()
    assert guest.status == "running"
    network.disconnect(guest)
    assert reaper.close() == (f"removed network chaoskit-{run}",)


RUNNER = """
import os, subprocess, sys, time
from chaoskit.environments.reaper import Reaper
run, log, engine = sys.argv[1:]
reaper = Reaper.start(run, engine_address=engine, log=__import__("pathlib").Path(log))
child = subprocess.Popen(["sleep", "600"], env={**os.environ, "CHAOSKIT_RUN": run}, start_new_session=True)
if os.fork() == 0:  # a forked copy keeps the reaper's input open
    time.sleep(60)
    os._exit(0)
print(reaper.pid, child.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.docker
def test_nothing_of_a_killed_run_is_left(client, image, run, tmp_path, wait_until, is_alive):
    """Also when a forked copy of it lives on."""
    log = tmp_path / "reaper.log"
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, run, str(log), ENGINE], stdout=subprocess.PIPE, text=True, process_group=0
    )
    try:
        reaper, child = map(int, runner.stdout.readline().split())
        start_all(client, image, run)
        killed_at = time.monotonic()
        runner.kill()
        runner.wait()
        wait_until(lambda: not is_alive(reaper), timeout_s=30)
        assert left(client, run) == []
        assert not is_alive(child)
        print(f"{time.monotonic() - killed_at:.1f} s")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(runner.pid, signal.SIGKILL)
        runner.stdout.close()
    assert "died" in log.read_text()
    assert log.read_text().rstrip().endswith("nothing is left")


def rule(run):
    """A packet-filter rule in a container that is not ours, as the reaper is told of it."""
    text = ["INPUT", "-m", "comment", "--comment", f"chaoskit {run}", "-j", "DROP"]
    into = ["nsenter", "-t", "{pid}", "-n", "iptables", "-w"]
    return [*into, "-A", *text], {"commands": [[*into, "-D", *text]], "look": [*into, "-C", *text]}


def inside(container, command):
    container.reload()
    return sweep.run_command(command, container.attrs["State"]["Pid"])


needs_rules = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("iptables", "nsenter"))),
    reason="rules in a container's network namespace need root, iptables and nsenter",
)


@pytest.mark.docker
@needs_rules
def test_a_recorded_rule_in_a_container_that_is_not_ours_is_undone(run, strangers):
    stranger = strangers(f"stranger-{run}", {"chaoskit.target": "true"})
    reaper = Reaper.start(run, engine_address=ENGINE)
    add, undo = rule(run)
    reaper.record("cut", container=stranger.id, **undo)
    assert inside(stranger, add).returncode == 0
    assert inside(stranger, undo["look"]).returncode == 0
    assert reaper.close() == ("undone: cut",)
    assert inside(stranger, undo["look"]).returncode == 1
    assert stranger.status == "running"


@pytest.mark.docker
@needs_rules
def test_a_rule_that_is_gone_already_is_no_problem_and_one_that_stays_is(run, strangers):
    stranger = strangers(f"stranger-{run}", {})
    add, undo = rule(run)
    reaper = Reaper.start(run, engine_address=ENGINE)
    reaper.record("never done", container=stranger.id, **undo)
    reaper.record("forgotten", container=stranger.id, **undo)
    reaper.forget("forgotten")
    reaper.record("in a container that is gone", container="no-such-container", **undo)
    done = reaper.close()
    assert done == (
        "nothing left to undo of in a container that is gone: its container does not run, and rules end with it",
        "nothing left to undo of never done",
    )
    reaper = Reaper.start(run, engine_address=ENGINE)
    reaper.record("stubborn", container=stranger.id, commands=[["true"]], look=undo["look"])
    assert inside(stranger, add).returncode == 0
    with pytest.raises(CannotHeal, match=r"stubborn in container .*: it is still there after \[\['true'\]\]"):
        reaper.close()
    assert reaper.records.exists()
    assert inside(stranger, undo["commands"][0]).returncode == 0
    assert not sweep.sweep(run, sweep.Engine(ENGINE), reaper.records).problems
    assert not reaper.records.exists()


@pytest.mark.docker
def test_a_reaper_that_was_killed_is_stood_in_for(client, image, run):
    reaper = Reaper.start(run, engine_address=ENGINE)
    os.kill(reaper.pid, signal.SIGKILL)
    start_all(client, image, run)
    assert len(reaper.close()) == 4
    assert left(client, run) == []


def test_an_engine_that_does_not_answer_is_not_an_engine_with_nothing_left(run):
    swept = sweep.sweep(run, sweep.Engine("unix:///no/such/socket"), within_s=0.1)
    assert "could not undo: engine unix:///no/such/socket: GET /containers/json: FileNotFoundError" in str(swept)


@pytest.mark.docker
def test_no_signal_but_kill_ends_it_early(run, is_alive):
    reaper = Reaper.start(run, engine_address=ENGINE)
    assert os.getsid(reaper.pid) == reaper.pid != os.getsid(0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(reaper.pid, number)
    assert is_alive(reaper.pid)
    os.kill(reaper.pid, signal.SIGKILL)
    assert reaper.close() == ()


def test_an_engine_it_cannot_reach_is_refused_before_anything_is_started(run):
    with pytest.raises(MissingPart, match=r"expected unix:///path or tcp://host:port"):
        Reaper.start(run, engine_address="ssh://somewhere")


def test_a_folder_of_records_that_others_can_write_to_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = records_folder()
    assert records_folder() == folder
    folder.chmod(0o777)
    with pytest.raises(MissingPart, match="nobody else can write to"):
        records_folder()
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(MissingPart, match="nobody else can write to"):
        records_folder()


def test_a_torn_record_was_never_acted_on(tmp_path):
    whole = {"state": "open", "name": "cut", "container": "c", "commands": [], "look": []}
    (tmp_path / "records").write_text(json.dumps(whole) + "\n" + json.dumps({**whole, "name": "other"})[:-5])
    assert [record["name"] for record in sweep.read_records(tmp_path / "records")] == ["cut"]
