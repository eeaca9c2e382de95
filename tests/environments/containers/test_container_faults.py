import os
from pathlib import Path

import pytest

from chaoskit.environments import container_faults, disk
from chaoskit.environments.container_process import running_pid
from chaoskit.environments.container_undo import UNLIMITED_BYTES, undo_container
from chaoskit.model.containers import ContainerService, PacketService
from chaoskit.model.errors import CannotHeal, CannotInject
from chaoskit.model.protocols import Undo

from .conftest import RUN

pytestmark = [pytest.mark.docker, pytest.mark.whole]

MB = 1 << 20
TMPFS = {"/data": "size=4m,mode=1777"}


@pytest.fixture
def target(start):
    return start("target", tmpfs=TMPFS)


def undo_all(engine, *undos):
    """Twice: undoing what is undone does no harm."""
    for undo in (*undos, *undos):
        assert undo_container(engine, undo)


def test_it_is_what_the_faults_ask_for(target):
    assert isinstance(target, ContainerService)
    assert isinstance(target, PacketService)


def test_a_crash_leaves_it_down(target):
    target.crash()
    target.container.reload()
    assert target.container.status == "exited"
    assert target.container.attrs["State"]["ExitCode"] == 137


def test_a_restart_policy_acts_on_a_crash_and_not_on_a_kill(start, wait_until):
    target = start("phoenix", restart_policy={"Name": "always"})

    def is_back():
        target.container.reload()
        return target.container.status == "running" and target.container.attrs["RestartCount"] == 1

    before = running_pid(target.container)
    target.crash()
    wait_until(is_back)
    assert running_pid(target.container) != before
    target.container.kill()
    target.container.wait(timeout=10)
    target.container.reload()
    assert target.container.status == "exited"


def test_detach_and_attach_with_names_and_address(engine, pair):
    client, server = pair
    address, asked = server.address, f"call {server.address}:7000"
    assert client.ask(asked) == "hello"
    undos = server.undo_of_detach("")
    server.detach("")
    assert server.networks() == ()
    assert client.ask(asked) != "hello"
    undo_all(engine, *undos)
    assert server.address == address
    assert "server.bank" in server.container.attrs["NetworkSettings"]["Networks"][server.network.name]["Aliases"]
    assert client.ask("call server.bank:7000") == "hello"


def test_an_address_that_somebody_took_meanwhile_is_told(engine, start):
    import docker

    target = start("target")
    undos = target.undo_of_detach(target.network.name)
    address = target.address
    target.detach(target.network.name)
    thief = engine.client.containers.create(
        target.container.image.id, labels=engine.labels(RUN), networking_config=None, network=target.network.name
    )
    try:
        target.network.disconnect(thief)
        target.network.connect(thief, ipv4_address=address)
        thief.start()
        with pytest.raises(CannotHeal, match=f"undo attach of target: .*{address}|undo attach of target: .*already in use"):
            undo_container(engine, undos[0])
    except docker.errors.APIError as error:
        pytest.fail(str(error))
    finally:
        thief.remove(force=True)
    undo_all(engine, *undos)
    assert target.address == address


def test_a_network_it_is_not_attached_to_is_named(target):
    with pytest.raises(CannotInject, match="not attached to network 'backbone', only to chaoskit-"):
        target.undo_of_detach("backbone")


def test_cpu_is_squeezed_felt_and_given_back(engine, target):
    undo = target.undo_of_squeeze("cpu")
    before = target.cpu_pressure(cores=0.1)
    assert not before.is_set
    target.squeeze_cpu(cores=0.1)
    burnt_ms = int(target.ask("burn 1000", timeout_s=20))
    assert burnt_ms < 300, "a tenth of a core for a second"
    pressure = target.cpu_pressure(cores=0.1)
    assert pressure.is_set
    assert pressure.felt > before.felt
    undo_all(engine, undo)
    assert not target.cpu_pressure(cores=0.1).is_set
    assert "no limit" in target.cpu_pressure(cores=0.1).text


@pytest.mark.parametrize("own", [{"nano_cpus": 500_000_000}, {"cpu_quota": 50_000, "cpu_period": 100_000}])
def test_an_own_cpu_limit_comes_back_as_it_was(engine, start, own):
    target = start("target", **own)
    undo = target.undo_of_squeeze("cpu")
    target.squeeze_cpu(cores=0.2)
    assert target.cpu_pressure(cores=0.2).is_set
    undo_all(engine, undo)
    assert target.cpu_pressure(cores=0.5).is_set


def test_memory_is_squeezed_met_and_given_back(engine, start):
    target = start("target")
    undo = target.undo_of_squeeze("memory")
    target.squeeze_memory(size_bytes=16 * MB)
    assert target.memory_pressure(size_bytes=16 * MB).is_set
    undo_all(engine, undo)
    assert not target.memory_pressure(size_bytes=16 * MB).is_set
    assert target.memory_pressure(size_bytes=UNLIMITED_BYTES).is_set
    assert target.ask(f"hold {32 * MB}") == "held"


def test_own_memory_limits_come_back_as_they_were(engine, start):
    target = start("target", mem_limit=64 * MB, memswap_limit=96 * MB)
    undo = target.undo_of_squeeze("memory")
    target.squeeze_memory(size_bytes=16 * MB)
    undo_all(engine, undo)
    assert target.memory_pressure(size_bytes=64 * MB).is_set
    target.container.reload()
    assert target.container.attrs["HostConfig"]["MemorySwap"] == 96 * MB


def test_what_takes_more_memory_than_it_may_is_killed_for_it(engine, start):
    target = start("target")
    undo = target.undo_of_squeeze("memory")
    target.squeeze_memory(size_bytes=16 * MB)
    with pytest.raises(ConnectionError):
        target.ask(f"hold {64 * MB}")
    target.container.wait(timeout=10)
    pressure = target.memory_pressure(size_bytes=16 * MB)
    assert (pressure.is_set, pressure.felt, pressure.text) == (True, 1, "target was killed for memory")
    undo_all(engine, undo)
    target.container.start()
    assert target.memory_pressure(size_bytes=UNLIMITED_BYTES).is_set


def test_less_memory_than_it_uses_is_an_error_with_the_engines_words(start):
    target = start("target")
    target.ask(f"hold {48 * MB}")
    with pytest.raises(CannotInject, match="service target: the engine did not take"):
        target.squeeze_memory(size_bytes=8 * MB)


def test_a_full_volume_is_full_for_the_service_and_free_again(engine, target, wait_until):
    assert target.ask("write /data/before") == "written"
    undo = target.undo_of_fill("/data")
    target.fill_disk(undo, keep_full=False)
    assert target.is_disk_full("/data") == (True, "a write of 4096 bytes below /data failed: No space left on device")
    assert "no space left on device" in target.ask("write /data/during")
    undo_all(engine, undo)
    assert not target.is_disk_full("/data")[0]
    assert target.ask("write /data/after") == "written"


def test_what_becomes_free_is_taken_again_until_the_undo(engine, target, wait_until):
    folder = Path(f"/proc/{running_pid(target.container)}/root/data")
    (folder / "old").write_bytes(b"x" * MB)
    undo = target.undo_of_fill("/data")
    target.fill_disk(undo, keep_full=True)
    (folder / "old").unlink()
    wait_until(lambda: target.is_disk_full("/data")[0])
    undo_all(engine, undo)
    wait_until(lambda: not target.is_disk_full("/data")[0])
    wait_until(lambda: os.statvfs(folder).f_bfree > 3 * MB // 4096)
    assert [file.name for file in folder.iterdir()] == []


def test_a_filler_lets_go_of_a_container_that_ended(engine, target, wait_until):
    import threading

    undo = target.undo_of_fill("/data")
    target.fill_disk(undo, keep_full=True)
    assert any(thread.name == "chaoskit-fill" for thread in threading.enumerate())
    target.container.kill()
    wait_until(lambda: not any(thread.name == "chaoskit-fill" for thread in threading.enumerate()))
    undo_all(engine, undo)


@pytest.mark.parametrize(
    "path, why",
    [
        ("/", "lies on the container's own root"),
        ("/nowhere", "cannot be opened .*No such file"),
        ("data", "expected an absolute path"),
        ("/data/../etc", "without '..'"),
        ("/dev/shm", "only volumes up to"),
        ("/proc", "no file can be written there|lies on|only volumes"),
    ],
)
def test_only_a_small_volume_is_filled(start, path, why):
    target = start("target", tmpfs=TMPFS, shm_size="2g")
    with pytest.raises(CannotInject, match=why):
        target.fill_disk(target.undo_of_fill(path), keep_full=False)


def test_a_symbolic_link_of_the_containers_is_not_followed(target):
    """Seen from this machine it would lead into this machine's own files."""
    folder = Path(f"/proc/{running_pid(target.container)}/root/data")
    (folder / "link").symlink_to("/tmp")
    with pytest.raises(CannotInject, match="symbolic links are not followed"):
        target.fill_disk(target.undo_of_fill("/data/link"), keep_full=False)


def test_a_volume_is_emptied_also_after_its_container_ended(engine, start, tmp_path, request):
    """A bind mount of a small file system stands for a volume."""
    import subprocess

    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "chaoskit-test", tmp_path], check=True)
    request.addfinalizer(lambda: subprocess.run(["umount", "-l", tmp_path], check=True))
    target = start("target", volumes={str(tmp_path): {"bind": "/store", "mode": "rw"}})
    undo = target.undo_of_fill("/store")
    target.fill_disk(undo, keep_full=False)
    assert "no space left" in target.ask("write /store/x")
    target.container.kill()
    target.container.wait(timeout=10)
    assert (tmp_path / undo.details["file"]).exists()
    undo_all(engine, undo)
    assert not (tmp_path / undo.details["file"]).exists()


ACTS = {
    "crash": lambda target: target.crash(),
    "detach": lambda target: target.detach(""),
    "undo_of_detach": lambda target: target.undo_of_detach(""),
    "cpu": lambda target: target.squeeze_cpu(cores=0.1),
    "memory": lambda target: target.squeeze_memory(size_bytes=16 * MB),
    "squeeze": lambda target: target.undo_of_squeeze("cpu"),
    "fill": lambda target: target.fill_disk(Undo(verb="x", target="x", details={"path": "/data", "file": "x"}), keep_full=False),
    "bandwidth": lambda target: target.undo_of_bandwidth(),
}


def test_a_paused_container_is_one_clear_error_for_each_of_them(target):
    target.container.pause()
    for name, act in ACTS.items():
        with pytest.raises(CannotInject, match=f"target-{RUN} was to be hurt and is paused"):
            act(target)
        assert name
    target.container.unpause()
    assert target.ask("unhurt") == "unhurt"


def test_a_vanished_container_is_one_clear_error_for_each_of_them_and_nothing_to_undo(engine, target):
    undos = (
        *target.undo_of_detach(""),
        target.undo_of_squeeze("memory"),
        target.undo_of_fill("/data"),
        *target.undo_of_bandwidth(),
    )
    target.container.remove(force=True)
    for name, act in ACTS.items():
        with pytest.raises(CannotInject, match=f"target-{RUN} was to be hurt and is gone"):
            act(target)
        assert name
    undo_all(engine, *undos)


def test_what_this_machine_lacks_is_said_in_words():
    able, lacks = container_faults.capabilities(), container_faults.lacks()
    everything = {"crash", "detach", "squeeze-cpu", "squeeze-memory", "fill-disk", "packets", "packet-loss", "bandwidth"}
    assert able | set(lacks) == everything
    assert not able & set(lacks)


def test_a_process_of_another_container_is_never_killed(pair, monkeypatch):
    """An engine in a virtual machine tells numbers that mean something else here."""
    client, server = pair
    client.container.reload()
    stranger = dict(server.container.attrs["State"])
    attrs = client.container.attrs

    class Elsewhere:
        name, id = client.container.name, client.container.id

        def reload(self):
            self.attrs = {**attrs, "State": stranger}

    with pytest.raises(CannotInject, match="is not one of this machine's"):
        running_pid(Elsewhere())


def test_the_page_that_is_tried_leaves_nothing(target):
    disk.is_full(running_pid(target.container), "/data")
    assert list(Path(f"/proc/{running_pid(target.container)}/root/data").iterdir()) == []
