"""Which container engine is used, and which is refused. None of these needs an engine."""

import http.server
import json
import os
import threading

import pytest

from chaoskit.environments import container_faults, docker_engine
from chaoskit.environments.docker_engine import connect, engine_address, is_local
from chaoskit.model.errors import MissingPart, Unsupported


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch, tmp_path):
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))


@pytest.fixture
def old_engine():
    """An engine that answers, speaks an API of 2019, and runs on a kernel without a control group for memory."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path.endswith("/info"):
                answer = {"CpuCfsQuota": True, "MemoryLimit": False}
            else:
                answer = {"ApiVersion": "1.40", "Version": "19.03.15", "MinAPIVersion": "1.12"}
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"tcp://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_the_usual_socket_is_used_when_nothing_is_set():
    assert engine_address() == "unix:///var/run/docker.sock"


@pytest.mark.parametrize(
    "address", ["unix:///run/user/1000/docker.sock", "tcp://127.0.0.1:2375", "tcp://localhost:2375", "tcp://[::1]:2376"]
)
def test_an_engine_of_this_machine_is_local(address):
    assert is_local(address)


@pytest.mark.parametrize(
    "address", ["tcp://10.0.0.7:2375", "ssh://root@127.0.0.1", "tcp://engine.example:2376", "tcp://127.0.0.1.evil.example:2375"]
)
def test_an_engine_elsewhere_is_refused(monkeypatch, address):
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(Unsupported, match="is not on this machine"):
        connect()


def test_an_engine_elsewhere_is_tried_when_it_is_allowed(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "tcp://0.0.0.0:1")  # no loopback address, yet nothing leaves this machine
    with pytest.raises(Unsupported):
        connect()
    with pytest.raises(MissingPart, match=r"no container engine answered at tcp://0\.0\.0\.0:1"):
        connect(allow_remote=True)


def test_what_the_engine_cannot_limit_is_named_before_anything_is_started(monkeypatch, old_engine):
    monkeypatch.setenv("DOCKER_HOST", old_engine)
    assert "squeeze-memory" not in container_faults.capabilities()
    assert "squeeze-cpu" in container_faults.capabilities()
    assert container_faults.lacks()["squeeze-memory"] == (
        f"the container engine at {old_engine} says that its kernel has no memory limits (its `MemoryLimit` is false)"
    )


def test_nothing_is_known_of_an_engine_that_does_not_answer_or_is_elsewhere(monkeypatch):
    for address in ("tcp://127.0.0.1:1", "tcp://0.0.0.0:1"):
        monkeypatch.setenv("DOCKER_HOST", address)
        assert docker_engine.lacks() == {}


def test_a_socket_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(MissingPart, match=r"none\.sock does not exist"):
        connect()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may use every socket")
def test_a_socket_without_permission_is_named(monkeypatch, tmp_path):
    path = tmp_path / "engine.sock"
    path.touch(mode=0)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    with pytest.raises(MissingPart, match="may not be used by user"):
        connect()


def test_an_engine_that_is_too_old_is_refused(monkeypatch, old_engine):
    monkeypatch.setenv("DOCKER_HOST", old_engine)
    with pytest.raises(Unsupported, match=r"speaks API 1\.40; expected 1\.41"):
        connect()


def test_a_context_that_does_not_exist_is_an_error_and_not_the_usual_socket(monkeypatch):
    monkeypatch.setenv("DOCKER_CONTEXT", "nowhere")
    with pytest.raises(MissingPart, match="'nowhere' does not exist"):
        engine_address()


def test_the_active_context_is_followed(monkeypatch, tmp_path):
    from docker.context import ContextAPI

    monkeypatch.setattr(ContextAPI, "get_context", lambda name: FakeContext() if name == "elsewhere" else None)
    monkeypatch.setenv("DOCKER_CONTEXT", "elsewhere")
    assert engine_address() == "tcp://10.0.0.7:2375"


class FakeContext:
    Host = "tcp://10.0.0.7:2375"


def test_no_variable_is_written(monkeypatch, old_engine):
    monkeypatch.setenv("DOCKER_HOST", old_engine)
    before = dict(os.environ)
    with pytest.raises(Unsupported):
        connect()
    assert dict(os.environ) == before


def test_everything_of_a_run_is_labelled():
    engine = docker_engine.Engine(client=None, address="unix:///x", version="", api="", cgroup_version="2", cgroup_driver="systemd")
    assert engine.labels("r1") == {"chaoskit": "1", "chaoskit.run": "r1"}
    assert engine.labels("r1", "core") == {"chaoskit": "1", "chaoskit.run": "r1", "chaoskit.service": "core"}
    assert not engine.has_cgroup_parents
