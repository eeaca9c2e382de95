"""Each fault on real containers, as an experiment does it: aimed, injected, seen, undone by plain data, seen to be gone."""

import contextlib
import threading
import time

import pytest

from chaoskit.environments.docker import DockerEnvironment
from chaoskit.faults.bandwidth import Bandwidth
from chaoskit.faults.crash import Crash
from chaoskit.faults.detach import Detach
from chaoskit.faults.fill_disk import FillDisk
from chaoskit.faults.packet_loss import PacketLoss
from chaoskit.faults.partition import Partition
from chaoskit.faults.refuse import Refuse
from chaoskit.faults.reset import Reset
from chaoskit.faults.squeeze_cpu import SqueezeCpu
from chaoskit.faults.stall import Stall
from chaoskit.model.errors import CannotInject
from chaoskit.model.protocols import Stage
from chaoskit.testing import FakeLoad, tiny_topology
from chaoskit.testing.contracts import ask

pytestmark = [pytest.mark.docker, pytest.mark.whole]

SEEN_WITHIN_S = 10.0
BETWEEN = ("front", "back")


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    environment = DockerEnvironment(tiny_topology(), seed=1, options={}, logs=tmp_path_factory.mktemp("logs"))
    environment.up(is_stopping=lambda: False, say=print)
    yield environment
    environment.down()


@pytest.fixture
def stage(environment):
    return Stage(environment, FakeLoad())


@pytest.fixture(autouse=True)
def customers(environment):
    """Somebody who asks all the time, so that there is something to hurt."""
    stop = threading.Event()
    address = environment.address("front", "main")

    def come():
        while not stop.is_set():
            ask(address, "relay kept", timeout_s=0.5)
            stop.wait(0.01)

    threads = [threading.Thread(target=come) for _ in range(3)]
    for thread in threads:
        thread.start()
    yield
    stop.set()
    for thread in threads:
        thread.join()


def until(fault, stage, aim, *, present):
    deadline = time.monotonic() + SEEN_WITHIN_S
    while (sign := fault.observe(stage, aim)).present is not present:
        assert time.monotonic() < deadline, sign.evidence
    return sign


FAULTS = {
    "crash": Crash(service="back"),
    "detach": Detach(service="back"),
    "cpu": SqueezeCpu(service="front", cores=0.01),
    "loss": PacketLoss(between=BETWEEN, share=0.5),
    "bandwidth": Bandwidth(service="back", bytes_per_s=2000),
    "refuse by proxy": Refuse(between=BETWEEN),
    "refuse by packets": Refuse(between=BETWEEN, by="packets"),
    "reset": Reset(between=BETWEEN),
    "stall": Stall(between=BETWEEN),
    "partition by proxy": Partition(between=BETWEEN),
    "partition by packets": Partition(between=BETWEEN, by="packets"),
    "partition of a port": Partition(between=BETWEEN, by="packets", port="main", direction="answers"),
    "no new connections": Partition(between=BETWEEN, by="packets", only="new-connections"),
    "customers cut off": Partition(between=("customers", "front"), by="packets"),
    "customers lose packets": PacketLoss(between=("customers", "front"), share=0.5),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_seen_and_healed(environment, stage, name):
    fault = FAULTS[name]
    if missing := fault.needs - environment.capabilities:
        pytest.skip(f"not here: {', '.join(f'{one} ({environment.lacks[one]})' for one in missing)}")
    aim = fault.aim(stage)
    assert not fault.observe(stage, aim).present
    fault.inject(stage, aim)
    print(until(fault, stage, aim, present=True).evidence)
    for undo in (*reversed(aim.undo), *reversed(aim.undo)):
        environment.undo(undo)
    print(until(fault, stage, aim, present=False).evidence)
    deadline = time.monotonic() + SEEN_WITHIN_S
    while ask(environment.address("front", "main"), "relay hello") is None:
        assert time.monotonic() < deadline, "it works again"


def test_a_disk_that_is_not_small_is_not_filled(stage):
    fault = FillDisk(service="back", path="/var/lib/chaoskit")
    with pytest.raises(CannotInject, match="lies on the container's own root"):
        fault.inject(stage, fault.aim(stage))


def test_a_paused_service_is_one_clear_error_for_each_of_them(environment, stage):
    environment.service("back").pause()
    environment.service("front").pause()
    try:
        for fault in (FAULTS["crash"], FAULTS["detach"], FAULTS["cpu"], FAULTS["loss"], FAULTS["bandwidth"]):
            with pytest.raises(CannotInject, match="is paused"):
                fault.inject(stage, fault.aim(stage))
    finally:
        for name in BETWEEN:
            with contextlib.suppress(Exception):  # the next test would show it
                environment.service(name).resume()
