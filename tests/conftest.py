"""Tests that need a container engine carry `@pytest.mark.docker`. Without one they are skipped, and the last lines say so."""

import functools
import os
import signal

import pytest

from chaoskit.environments import docker_engine
from chaoskit.model.errors import ChaoskitError

SKIPPED = pytest.StashKey[list]()

pytest_plugins = ["pytester"]
collect_ignore_glob = ["*.chaos.yaml"]  # documents that tests read are no tests


def pytest_configure(config):
    # A suite that a script started in the background ignores Ctrl-C, and so would everything that its tests start and interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "docker: needs a container engine on this machine; skipped, loudly, where there is none")
    config.stash[SKIPPED] = []


@functools.cache
def why_no_engine():
    """Nothing when a container engine answers, else what is wrong. Asked once; `make test` has asked before and tells."""
    if told := os.environ.get("CHAOSKIT_NO_ENGINE"):
        return told
    try:
        docker_engine.connect().client.close()
    except ChaoskitError as error:
        return str(error)
    return ""


def pytest_runtest_setup(item):
    if item.get_closest_marker("docker") and (reason := why_no_engine()):
        item.config.stash[SKIPPED].append(item.nodeid)
        pytest.skip(reason)


def pytest_terminal_summary(terminalreporter, config):
    if skipped := config.stash[SKIPPED]:
        line = f"THE DOCKER HALF WAS SKIPPED: {len(skipped)} tests need a container engine: {why_no_engine()}"
        terminalreporter.write_line(line, red=True, bold=True)


@pytest.fixture(scope="session")
def engine():
    """The container engine of this machine. For tests that are marked `docker`."""
    engine = docker_engine.connect()
    yield engine
    engine.client.close()
