"""The services as processes: alive without their dependencies, and a clean end on SIGTERM."""

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


SETTINGS = {
    "rail": {},
    # Nobody listens on port 1. The mark below says that the books were opened before, so the core does not wait for a database.
    "core": {
        "databases": [["127.0.0.1", 1], ["127.0.0.1", 1]],
        "user": "postgres",
        "database": "bank",
        "rail_url": "http://127.0.0.1:1",
        "slots": 2,
        "service_time_ms": 0,
        "customers": "many",
    },
    "gateway": {"core_url": "http://127.0.0.1:1", "slots": 2},
    "status": {"gateway_url": "http://127.0.0.1:1"},
}


def settings_of(name, port, folder):
    common = {"host": "127.0.0.1", "port": port, "seed": 7, "directory": str(folder), "defect": "none"}
    return json.dumps({**common, **SETTINGS[name]})


@pytest.mark.parametrize("name", SETTINGS)
def test_a_service_answers_alone_and_ends_cleanly_on_sigterm(name, tmp_path):
    port = free_port()
    (tmp_path / "books-open").touch()
    file = tmp_path / "settings.json"
    file.write_text(settings_of(name, port, tmp_path))
    argv = [sys.executable, "-m", f"chaoskit.bank.services.{name}", str(file)]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        try:
            # One line says that it listens: nothing to poll.
            lines = []
            while "listening" not in (line := process.stderr.readline()):
                lines.append(line)
                assert line, f"ended before it listened: {lines}"
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=10) as response:
                assert json.load(response) == {"state": "up"}
            if name == "core":
                with pytest.raises(urllib.error.HTTPError) as refused:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/accounts/c001-1", timeout=10)
                assert json.load(refused.value)["effect"] == "none"
                refused.value.close()
            process.send_signal(signal.SIGTERM)
            rest = process.stderr.read()
            assert process.wait(10) == 0
            assert "stopped" in rest
            assert "Traceback" not in rest
        finally:
            process.kill()


def test_a_core_without_a_database_can_be_ended_before_it_listens(tmp_path):
    file = tmp_path / "settings.json"
    file.write_text(settings_of("core", free_port(), tmp_path))
    argv = [sys.executable, "-m", "chaoskit.bank.services.core", str(file)]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert "books not open yet" in process.stderr.readline()
            process.send_signal(signal.SIGTERM)
            rest = process.stderr.read()
            assert process.wait(10) == 0
            assert "Traceback" not in rest
        finally:
            process.kill()
