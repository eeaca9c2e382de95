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
from chaoskit.environments import namespace as kernel
from chaoskit.environments.images import provide
from chaoskit.environments.namespace import Match, Namespace
from chaoskit.environments.reaper import Reaper, records_folder
from chaoskit.environments.replay import read_ledger
from chaoskit.model.errors import CannotHeal, MissingPart
from chaoskit.model.protocols import Undo
from chaoskit.model.undo import injecting

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
def test_a_guest_on_the_network_of_a_run_is_let_go_and_lives(client, run, strangers):
    assert Reaper.start(run, engine_address=ENGINE).close() == ()
    reaper = Reaper.start(run, engine_address=ENGINE)
    guest = strangers(f"guest-{run}", {})
    client.networks.create(f"chaoskit-{run}", labels={"chaoskit": "1", "chaoskit.run": run}).connect(guest)
    assert reaper.close() == (f"let go of container guest-{run}", f"removed network chaoskit-{run}")
    guest.reload()
    assert guest.status == "running"
    assert f"chaoskit-{run}" not in guest.attrs["NetworkSettings"]["Networks"]


RUNNER = """
import os, subprocess, sys, time
from chaoskit.environments.namespace import Match, Namespace
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


CHAIN = "chaoskit-test"


def unfilter(container):
    return Undo(verb="unfilter", target="a -> b", details={"container": container.id, "chain": CHAIN})


def namespace(container):
    container.reload()
    return Namespace(container.attrs["State"]["Pid"])


def put_rule(container):
    """A packet-filter rule in a container that is not ours."""
    match = Match(hook="INPUT", words=("-p", "tcp"))
    kernel.apply(namespace(container), CHAIN, (match,), verdict=("DROP",), comment="chaoskit test", share=1.0)


def has_rule(container):
    return kernel.count(namespace(container), CHAIN) is not None


needs_rules = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("iptables", "nsenter"))),
    reason="rules in a container's network namespace need root, iptables and nsenter",
)


@pytest.mark.docker
@needs_rules
def test_what_was_remembered_of_a_container_that_is_not_ours_is_undone(run, strangers):
    stranger = strangers(f"stranger-{run}", {"chaoskit.target": "true"})
    reaper = Reaper.start(run, engine_address=ENGINE)
    assert not reaper.records.exists()
    reaper.remember("cut", (unfilter(stranger),))
    put_rule(stranger)
    assert has_rule(stranger)
    (done,) = reaper.close()
    assert done.startswith("cut: unfilter a -> b")
    assert not has_rule(stranger)
    assert stranger.status == "running"
    assert not reaper.records.exists()


@pytest.mark.docker
@needs_rules
def test_what_is_gone_already_is_no_problem_and_what_stays_is(run, strangers):
    stranger = strangers(f"stranger-{run}", {})
    reaper = Reaper.start(run, engine_address=ENGINE)
    reaper.remember("never done", (unfilter(stranger),))
    reaper.remember("forgotten", (unfilter(stranger),))
    reaper.forget("forgotten")
    reaper.remember("elsewhere", (Undo(verb="unfilter", target="x", details={"container": "no-such-container", "chain": "c"}),))
    elsewhere, never = reaper.close()
    assert elsewhere.startswith("elsewhere: nothing left to undo")
    assert never.startswith("never done: ")
    reaper = Reaper.start(run, engine_address=ENGINE)
    reaper.remember("stubborn", (Undo(verb="melt", target="x", details={"container": stranger.id}),))
    with pytest.raises(CannotHeal, match="stubborn may still be there: melt x: 'melt' is not an undo"):
        reaper.close()
    assert reaper.records.exists()
    reaper.records.unlink()


@pytest.mark.docker
def test_the_folder_of_records_goes_with_its_last_one(monkeypatch, tmp_path, run):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    one, other = (Reaper.start(name, engine_address=ENGINE) for name in (run, owner.new_run()))
    assert list(tmp_path.iterdir()) == []
    for reaper in (one, other):
        reaper.remember("cut", ())
        reaper.forget("cut")
    one.close()
    assert list(tmp_path.glob("*/*.jsonl")) == [other.records]
    other.close()
    assert list(tmp_path.iterdir()) == []


GUEST_TEST = """
import sys
from testcontainers.core.container import DockerContainer
from chaoskit.environments.containers import ContainerEnvironment
from chaoskit.faults.partition import Partition
from chaoskit.testing import injected
guest = DockerContainer("unused")
guest._container = __import__("docker").from_env().containers.get(sys.argv[1])
env = ContainerEnvironment()
env.link("guest", "server", port=8080)
env.add("guest", guest)
served = DockerContainer(sys.argv[2], command=["python3", "-m", "http.server", "8080"])
env.add("server", served)
with env, injected(Partition(between=("guest", "server"), by="packets"), env) as sign:
    print(env.run, env.stack.reaper.pid, flush=True)
    sys.stdin.read()
"""


def rules(container):
    """All of a container's, of both kinds that the kernel has."""
    container.reload()
    into = ["nsenter", "-t", str(container.attrs["State"]["Pid"]), "-n"]
    saves = [name for name in ("iptables-legacy-save", "iptables-nft-save", "iptables-save") if shutil.which(name)]
    return "".join(subprocess.run([*into, name], capture_output=True, text=True, check=True, timeout=10).stdout for name in saves)


@pytest.mark.docker
@pytest.mark.whole
@needs_rules
def test_a_guest_is_healed_and_lives_when_the_test_that_hurt_it_is_killed(engine, client, strangers, run, wait_until, is_alive):
    bank = provide(engine, names=("bank",)).named("bank").reference
    guest = strangers(f"guest-{run}", {"chaoskit.target": "true"})
    test = subprocess.Popen(
        [sys.executable, "-c", GUEST_TEST, guest.id, bank], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with test:
        made, reaper = test.stdout.readline().split()
        assert "DROP" in rules(guest)
        test.kill()
        wait_until(lambda: not is_alive(int(reaper)), timeout_s=30)
    assert "DROP" not in rules(guest)
    guest.reload()
    assert guest.status == "running"
    assert left(client, made) == []


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
    assert not records_folder().exists()
    folder = records_folder(is_made=True)
    assert records_folder(is_made=True) == folder
    folder.chmod(0o777)
    with pytest.raises(MissingPart, match="nobody else can write to"):
        records_folder()
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(MissingPart, match="nobody else can write to"):
        records_folder(is_made=True)


def test_a_torn_record_was_never_acted_on(tmp_path):
    whole = json.dumps(injecting("cut", ()))
    (tmp_path / "records").write_text(whole + "\n" + json.dumps(injecting("other", ()))[:-5])
    assert sweep.open_faults(tmp_path / "records") == ["cut"]


def test_both_readers_of_a_ledger_agree_on_what_is_open(tmp_path):
    """The reaper's own is the standard library's alone, so it is another one than the model's."""
    lines = [injecting("a", ()), injecting("b", ()), {"state": "injected", "fault": "a"}, {"state": "healed", "fault": "b"}]
    (tmp_path / "records").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert sweep.open_faults(tmp_path / "records") == [one.fault for one in read_ledger(tmp_path / "records").open]
