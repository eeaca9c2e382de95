"""Containers as an environment: what the contract does not say. The bank itself on containers is in tests/experiments."""

import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from chaoskit.environments.docker import DockerEnvironment, DockerPlace
from chaoskit.environments.hello import answer_s
from chaoskit.environments.images import Image, Images
from chaoskit.environments.ports import HOST
from chaoskit.model.containers import ContainerService, PacketEnvironment, PacketRule
from chaoskit.model.errors import CannotInject, MissingPart, NotReady, Unsupported
from chaoskit.model.protocols import Undo
from chaoskit.model.topology import Command, ServiceSpec
from chaoskit.testing import tiny_topology
from chaoskit.testing.contracts import ask

needs_engine = [pytest.mark.docker, pytest.mark.whole]


@pytest.fixture(scope="module")
def environment(tmp_path_factory, engine):
    """One environment of tiny services for the tests that leave it as it was."""
    environment = DockerEnvironment(tiny_topology(), seed=1, options={}, logs=tmp_path_factory.mktemp("docker") / "logs")
    environment.up(is_stopping=lambda: False, say=print)
    yield environment
    environment.down()


def left_of(engine, run):
    filters = {"label": f"chaoskit.run={run}"}
    return [*engine.client.containers.list(all=True, filters=filters), *engine.client.networks.list(filters=filters)]


def start(environment):
    environment.up(is_stopping=lambda: False, say=print)


def test_an_engine_that_is_not_there_is_one_clear_error(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    environment = DockerEnvironment(tiny_topology(), seed=1, options={}, logs=tmp_path)
    with pytest.raises(MissingPart, match=r"none\.sock does not exist"):
        start(environment)
    environment.down()


def test_an_engine_elsewhere_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", "tcp://10.0.0.7:2375")
    with pytest.raises(Unsupported, match="is not on this machine"):
        start(DockerEnvironment(tiny_topology(), seed=1, options={}, logs=tmp_path))


def test_a_service_that_is_not_up_is_named(tmp_path):
    environment = DockerEnvironment(tiny_topology(), seed=1, options={}, logs=tmp_path)
    with pytest.raises(Unsupported, match="service back: the environment is not up"):
        environment.service("back")


def test_a_place_gives_the_addresses_inside_the_network_and_its_files_are_for_the_container():
    images = Images(all=(Image(name="bank", reference="r", id="i", programs={"python": "/usr/bin/python3"}),))
    place = DockerPlace(
        service="front",
        directory=Path("/var/lib/chaoskit/front"),
        seed=1,
        options={},
        images=images,
        addresses={"toxiproxy": "10.0.0.2", "front": "10.0.0.3", "back": "10.0.0.4"},
        ports={("front", "main"): 11, ("back", "main"): 12, ("back", "side"): 13, ("front", "back", "main"): 21},
    )
    assert place.own("main") == ("10.0.0.3", 11)
    assert place.to("back", "main") == ("10.0.0.2", 21), "through Toxiproxy where there is a link"
    assert place.to("back", "side") == ("10.0.0.4", 13)
    assert place.reached_by("back", "main") == ("10.0.0.3", 11)
    assert place.write("a.json", "{}") == Path("/var/lib/chaoskit/front/a.json")
    assert place.files == {"a.json": "{}"}
    assert place.program("python") == "/usr/bin/python3"
    assert place.asked == {"python"}
    with pytest.raises(MissingPart, match="front: asked for back:none"):
        place.to("back", "none")
    with pytest.raises(MissingPart, match="no image has the programs postgres together"):
        place.program("postgres")


class TestOnAnEngine:
    pytestmark = needs_engine

    def test_everything_carries_the_label_of_its_run(self, environment, engine):
        found = left_of(engine, environment.stack.run)
        assert len(found) == 1 + 1 + len(environment.topology.services)
        for one in found:
            labels = one.attrs.get("Labels") or one.labels
            assert labels["chaoskit"] == "1"

    def test_nothing_is_published_but_on_loopback(self, environment, engine):
        for container in environment.stack.containers.values():
            container.reload()
            bindings = [one for many in (container.attrs["HostConfig"]["PortBindings"] or {}).values() for one in many]
            assert all(one["HostIp"] == HOST for one in bindings)
            assert not bindings or container.labels["chaoskit.service"] == "toxiproxy"

    def test_the_report_says_which_engine_and_images_and_how_much_memory(self, environment, engine):
        facts = environment.facts()
        assert engine.version in facts["engine"]
        assert engine.address in facts["engine"]
        assert "version" in facts["cgroup"]
        assert "sha256:" in facts["image bank"]
        assert facts["memory of back"].endswith("MB")

    def test_addresses_stay_across_kill_and_start(self, environment):
        address, inside = environment.address("back", "main"), environment.service("back").container
        before = inside.attrs["NetworkSettings"]["Networks"][environment.stack.network.name]["IPAddress"]
        environment.service("back").kill()
        environment.service("back").start()
        assert environment.address("back", "main") == address
        inside.reload()
        assert inside.attrs["NetworkSettings"]["Networks"][environment.stack.network.name]["IPAddress"] == before

    def test_a_container_that_somebody_removed_is_a_clear_error_and_made_anew_when_it_is_healed(self, tmp_path, engine):
        environment = DockerEnvironment(tiny_topology(), seed=1, options={}, logs=tmp_path / "logs")
        start(environment)
        environment.service("back").container.remove(force=True)
        with pytest.raises(CannotInject, match="service back: kill was asked for and its container is gone"):
            environment.service("back").kill()
        before = environment.address("back", "main")
        environment.service("back").start()
        assert environment.address("back", "main") == before
        assert ask(before, "hello") is not None
        assert ask(environment.address("front", "main"), "relay hello") is not None, "others reach it where it was"
        environment.down()
        assert json.loads((tmp_path / "logs" / "containers.json").read_text())["back"]["made_anew"] == 1
        assert left_of(engine, environment.stack.run) == []

    def test_a_service_that_needs_programs_of_no_single_image_is_refused(self, tmp_path, engine):
        tiny = tiny_topology()

        def command(place):
            return Command(argv=(place.program("toxiproxy-server"), place.program("python")))

        broken = ServiceSpec(name="back", ports=tiny.services[1].ports, command=command)
        environment = DockerEnvironment(
            replace(tiny, services=(tiny.services[0], broken, *tiny.services[2:])), seed=1, options={}, logs=tmp_path / "logs"
        )
        with pytest.raises(MissingPart, match="no image has the programs python, toxiproxy-server together"):
            start(environment)
        assert left_of(engine, environment.stack.run) == []

    def test_a_readiness_that_never_comes_is_an_error_with_the_last_words(self, tmp_path, engine):
        tiny = tiny_topology()

        def command(place):
            program = "import time; print('still thinking', flush=True); time.sleep(600)"
            return Command(argv=(place.program("python"), "-c", program))

        silent = ServiceSpec(name="back", ports=tiny.services[1].ports, command=command, ready_within_s=1.5)
        environment = DockerEnvironment(
            replace(tiny, services=(tiny.services[0], silent, *tiny.services[2:])), seed=1, options={}, logs=tmp_path / "logs"
        )
        with pytest.raises(NotReady, match=r"service back did not answer within 1\.5 s(.|\n)*still thinking"):
            start(environment)
        assert left_of(engine, environment.stack.run) == []

    def test_its_logs_are_kept(self, tmp_path, engine):
        environment = DockerEnvironment(tiny_topology(), seed=1, options={}, logs=tmp_path / "logs")
        start(environment)
        environment.down()
        assert {path.name for path in (tmp_path / "logs").glob("*.log")} >= {"front.log", "back.log"}
        ends = json.loads((tmp_path / "logs" / "containers.json").read_text())
        assert ends["back"]["status"] == "running"
        if engine.has_cgroup_parents:
            assert int(ends["together"]["cpuacct.usage"]) > 0

    def test_the_containers_have_a_fair_share_of_the_processor(self, environment, engine):
        if not engine.has_cgroup_parents or os.geteuid() != 0:
            pytest.skip("each container has a weight of its own here, or only root may give one")
        path = Path("/sys/fs/cgroup/cpu") / environment.stack.group.lstrip("/") / "cpu.shares"
        assert int(path.read_text()) == 1024 * len(environment.stack.containers)

    def test_a_limit_of_all_containers_together_is_seen(self, environment, engine):
        """As somebody sets it who has given this machine only a part of its processors."""
        if not engine.has_cgroup_parents or os.geteuid() != 0:
            pytest.skip("there is no group of our own here that a test could limit")
        quota = Path("/sys/fs/cgroup/cpu") / environment.stack.group.lstrip("/") / "cpu.cfs_quota_us"
        before = environment.cpu()
        assert before["throttled"] == 0
        quota.write_text("2000")
        try:
            for _ in range(3):
                environment.service("back").container.exec_run(["python3", "-c", "sum(range(100_000))"])
            after = environment.cpu()
        finally:
            quota.write_text("-1")
        assert after["throttled"] > 0
        assert after["periods"] >= after["throttled"]
        assert after["used_s"] > before["used_s"]

    def test_faults_of_different_targets_are_undone_from_several_threads_at_once(self, environment):
        if not {"packets", "squeeze-cpu"} <= environment.capabilities:
            pytest.skip("not everything that is undone here can be done on this machine")
        rule = PacketRule(act="drop")
        (packets,) = environment.packets("pair-1", "pair-2")
        (front_link,) = environment.links("customers", "front")
        (back_link,) = environment.links("front", "back")
        undos = [
            packets.undo_of(rule),
            environment.service("pair-2").undo_of_squeeze("cpu"),
            Undo(verb="resume", target="front"),
            Undo(verb="start", target="back"),
            *(Undo(verb="restore", target=link.name) for link in (front_link, back_link)),
        ]
        packets.filter(rule, undos[0])
        environment.service("pair-2").squeeze_cpu(cores=0.2)
        environment.service("front").pause()
        environment.service("back").kill()
        front_link.cut(direction="both")
        back_link.slow(latency_s=0.5, jitter_s=0.0, direction="answers")
        with ThreadPoolExecutor(len(undos)) as crew:
            list(crew.map(environment.undo, undos))
        assert packets.count(undos[0]) is None
        assert not environment.service("pair-2").cpu_pressure(cores=0.2).is_set
        for link in (front_link, back_link):
            assert link.answer_s(timeout_s=5.0) < 0.5

    def test_a_wedged_toxiproxy_is_restarted_and_its_links_are_there_again(self, environment):
        (link,) = environment.links("front", "back")
        link.cut(direction="both")
        environment.stack.containers["toxiproxy"].pause()  # it accepts and answers nothing, as when its control is wedged
        link.restore()
        assert link.answer_s(timeout_s=5.0) is not None
        assert answer_s(environment.address("back", "main"), b"hello\n", timeout_s=5.0) is not None

    def test_it_can_do_what_containers_can(self, environment):
        assert isinstance(environment, PacketEnvironment)
        assert isinstance(environment.service("back"), ContainerService)
        assert {"detach", "squeeze-cpu"} <= environment.capabilities
        assert not environment.capabilities & environment.lacks.keys()

    def test_no_name_of_a_service_is_looked_up_outside(self, environment):
        hosts = environment.service("front").container.exec_run(["cat", "/etc/hosts"]).output.decode()
        assert f"{environment.stack.address(2)}\tback" in hosts

    def test_a_port_of_a_killed_service_stays_ours(self, environment):
        host, port = environment.address("back", "main")
        environment.service("back").kill()
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind((host, port))
        environment.service("back").start()
