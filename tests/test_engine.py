"""How `make test` comes by a container engine, with a stand-in for dockerd that answers and nothing more."""

import importlib.util
import json
import os
import select
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

spec = importlib.util.spec_from_file_location("engine_for_tests", Path(__file__).with_name("engine.py"))
engine = importlib.util.module_from_spec(spec)
spec.loader.exec_module(engine)

DOCKERD = f"""#!{sys.executable}
import http.server, os, socketserver, sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
if os.environ.get("FAKE_DOCKERD_DIES"):
    sys.exit("no cgroups here")
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{{}}")
    def address_string(self):
        return ""
socketserver.UnixStreamServer(given["--host"].removeprefix("unix://"), Answer).serve_forever()
"""
ASK = f"""
import json, os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import engine
address = os.environ.get("DOCKER_HOST", "")
if address:
    engine.answers(address)
print(json.dumps({{"address": address, "reason": os.environ.get("CHAOSKIT_NO_ENGINE", "")}}))
sys.exit(int(sys.argv[1]))
"""
NOBODY = "unix:///no/such/socket"


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """A machine where everything is installed and where nobody has chosen an engine."""
    for name in (*engine.PACKAGES, "cgroupfs-mount"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(DOCKERD if name == "dockerd" else "#!/bin/sh\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for variable in ("DOCKER_HOST", "DOCKER_CONTEXT", engine.NO_ENGINE):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def ask(capfd):
    def ask(code=0, address=NOBODY):
        assert engine.main([sys.executable, "-c", ASK, str(code)], address=address) == code
        out, err = capfd.readouterr()
        return json.loads(out), err

    return ask


only_root_on_debian = pytest.mark.skipif(
    bool(engine.why_not_here()) or shutil.which("setpriv") is None, reason="an engine is started by root on Debian only"
)


@only_root_on_debian
@pytest.mark.parametrize("code", [0, 3])
def test_an_engine_is_started_for_the_command_and_ended_with_it(ask, code, tmp_path):
    seen, said = ask(code)
    folder = Path(seen["address"].removeprefix("unix://")).parent
    assert folder.name.startswith("chaoskit-engine-")
    assert not folder.exists()
    assert list(engine.processes_naming(str(folder))) == []
    assert (tmp_path / "cache" / "chaoskit" / "engine").is_dir()
    assert said.splitlines()[-1] == "engine: the container engine was ended"


@only_root_on_debian
def test_an_engine_that_does_not_come_up_is_the_reason_and_the_command_runs(ask, monkeypatch):
    monkeypatch.setenv("FAKE_DOCKERD_DIES", "1")
    seen, said = ask()
    assert seen["address"] == ""
    assert "its log ends: no cgroups here" in seen["reason"]
    assert seen["reason"] in said


@only_root_on_debian
def test_it_is_ended_when_we_are_killed(tmp_path):
    code = ASK.replace("sys.exit(", "sys.stdout.flush(); import time; time.sleep(")
    command = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-c", code, "60"]
    script = (
        f"import sys; sys.path[:0] = [{str(Path(__file__).parent)!r}]; import engine; engine.main({command!r}, address={NOBODY!r})"
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    address = json.loads(child.stdout.readline())["address"]
    folder = str(Path(address.removeprefix("unix://")).parent)
    (dockerd,) = engine.processes_naming(folder)
    end = os.pidfd_open(dockerd)
    child.kill()
    child.wait()
    child.stdout.close()
    assert select.select([end], [], [], 10)[0]
    os.close(end)
    shutil.rmtree(folder)


def does_answer(address):
    try:
        engine.answers(address)
    except engine.sweep.EngineError:
        return False
    return True


def test_an_engine_that_answers_is_used_and_left_alone(ask, tmp_path):
    address = f"unix://{tmp_path}/own.sock"
    child = subprocess.Popen([tmp_path / "bin" / "dockerd", "--host", address], stderr=subprocess.DEVNULL)
    try:
        while not does_answer(address):
            assert child.poll() is None
        seen, said = ask(address=address)
        assert seen == {"address": "", "reason": ""}
        assert said == f"engine: using the container engine that answers at {address}\n"
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize("variable", ["DOCKER_HOST", "DOCKER_CONTEXT"])
def test_an_engine_that_somebody_has_named_is_not_replaced_by_another(monkeypatch, capfd, variable):
    monkeypatch.setenv(variable, NOBODY)
    assert engine.main([sys.executable, "-c", ASK.replace("if address:", "if False:"), "0"], address=NOBODY) == 0
    seen = json.loads(capfd.readouterr().out)
    assert seen["address"] == (NOBODY if variable == "DOCKER_HOST" else "")
    assert f"none was started: {variable} names one" in seen["reason"]


NETWORK = f"""
import json, subprocess, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import engine

def run(*words):
    subprocess.run(words, check=True)

def seen():
    tables = [subprocess.run(["iptables", "-t", table, "-S"], capture_output=True, text=True).stdout for table in ("filter", "nat")]
    return [*tables, engine.HostNetwork.BRIDGE.exists(), engine.HostNetwork.FORWARDS.read_text()]

run("iptables", "-A", "FORWARD", "-s", "10.9.0.0/16", "-j", "ACCEPT")
if sys.argv[1] == "there before":
    run("iptables", "-N", "DOCKER-USER")
    run("iptables", "-A", "FORWARD", "-j", "DOCKER-USER")
before, network = seen(), engine.HostNetwork()
# As a dockerd does.
for chain in ("DOCKER", "DOCKER-ISOLATION-STAGE-1"):
    run("iptables", "-N", chain)
run("iptables", "-t", "nat", "-N", "DOCKER")
run("iptables", "-t", "nat", "-A", "OUTPUT", "!", "-d", "127.0.0.0/8", "-m", "addrtype", "--dst-type", "LOCAL", "-j", "DOCKER")
run("iptables", "-A", "DOCKER-ISOLATION-STAGE-1", "-j", "RETURN")
run("iptables", "-I", "FORWARD", "-j", "DOCKER-ISOLATION-STAGE-1")
run("iptables", "-A", "FORWARD", "-o", "docker0", "-j", "DOCKER")
run("iptables", "-P", "FORWARD", "DROP")
run("ip", "link", "add", "docker0", "type", "bridge")
engine.HostNetwork.FORWARDS.write_text("1")
made, left = seen(), network.restore()
print(json.dumps([before, made, seen(), left]))
"""


@only_root_on_debian
@pytest.mark.parametrize("what", ["nothing", "there before"])
def test_what_an_engine_does_to_the_network_is_taken_back_and_nothing_else(monkeypatch, tmp_path, what):
    """In a network of its own, by the real programs."""
    monkeypatch.setenv("PATH", os.environ["PATH"].removeprefix(f"{tmp_path / 'bin'}:"))
    # What shows a network's devices belongs to whoever mounted it, so it is mounted anew.
    script = f"mount -t sysfs sysfs /sys && exec {shlex.join([sys.executable, '-c', NETWORK, what])}"
    done = subprocess.run(
        ["unshare", "--net", "--mount", "sh", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    before, made, after, left = json.loads(done.stdout)
    assert made != before
    assert made[2] is True
    assert after == before
    assert left == ""
