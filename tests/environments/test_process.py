"""The process environment with tiny services: start order, faults and their undo, roles, and that nothing is left."""

import os
import pwd
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from chaoskit.environments.hello import answer_s
from chaoskit.environments.ports import BLOCK, LOWEST, Ports
from chaoskit.model.errors import CannotHeal, CannotInject, MissingPart, NotReady, Stopped, Unsupported, UsageError
from chaoskit.model.protocols import Undo
from chaoskit.model.topology import Command, GroupSpec, Port, ServiceSpec


@pytest.fixture
def shop(places):
    return places.up(places.shop())


def log(places, service):
    return (places.logs / f"{service}.log").read_text()


def test_everything_answers_after_up_and_a_group_is_complete(shop, places):
    for service in shop.topology.service_names:
        assert answer_s(shop.address(service, "main"), b"hello?", timeout_s=1) is not None
    order = [line.split(" ")[0] for line in places.said]
    assert order.index("back") < order.index("front")
    assert order[-1] == "pair"
    assert shop.facts()["toxiproxy"] == "Toxiproxy 2.12.0"


def test_after_down_no_process_port_or_folder_is_left_but_the_logs(shop, places):
    addresses = [shop.address(service, "main") for service in shop.topology.service_names]
    shop.down()
    shop.down()
    assert places.mine() == []
    assert list(places.directory.iterdir()) == []
    for address in addresses:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
    assert "got" in log(places, "front")


def test_a_killed_service_is_gone_and_starts_again_at_its_address_with_its_folder(shop, places):
    back = shop.service("back")
    address = shop.address("back", "main")
    next(places.directory.glob("*/back/answer")).write_text("changed")
    back.kill()
    assert not back.is_running()
    assert answer_s(address, b"hello?", timeout_s=1) is None
    with pytest.raises(CannotInject, match="no process of it was there to kill"):
        back.kill()
    back.start()
    back.start()
    assert back.is_running()
    assert shop.address("back", "main") == address
    with socket.create_connection(address, timeout=2) as connection:
        connection.sendall(b"hello?")
        assert connection.recv(100) == b"changed"


def test_a_paused_service_keeps_its_port_open_and_answers_nothing(shop):
    back = shop.service("back")
    back.pause()
    assert not back.is_running()
    socket.create_connection(shop.address("back", "main"), timeout=1).close()
    assert answer_s(shop.address("back", "main"), b"hello?", timeout_s=0.1) is None
    back.resume()
    back.resume()
    assert back.is_running()
    assert answer_s(shop.address("back", "main"), b"hello?", timeout_s=5) is not None


def test_a_service_that_is_not_there_cannot_be_paused(shop):
    shop.service("back").kill()
    with pytest.raises(CannotInject, match="no process to pause"):
        shop.service("back").pause()


def test_links_are_found_whichever_end_calls(shop):
    names = [link.name for link in shop.links("front", "back")]
    assert names == ["front -> back", "back -> front"]
    assert [link.name for link in shop.links("back", "front")] == names
    assert [link.name for link in shop.links("customers", "front")] == ["customers -> front"]
    assert shop.links("front", "pair.primary") == ()
    with pytest.raises(Unsupported, match="Did you mean 'front'"):
        shop.links("fron", "back")


def test_customers_call_through_their_link(shop):
    (link,) = shop.links("customers", "front")
    address = shop.address("front", "main")
    link.cut(direction="both")
    assert answer_s(address, b"hello?", timeout_s=0.1) is None
    assert link.answer_s(timeout_s=0.1) is None
    link.restore()
    assert answer_s(address, b"hello?", timeout_s=5) is not None


@pytest.mark.parametrize("direction, arrives", [("requests", False), ("answers", True), ("both", False)])
def test_a_cut_swallows_what_goes_in_its_direction(shop, places, direction, arrives, wait_until):
    (link,) = shop.links("customers", "front")
    link.cut(direction=direction)
    assert answer_s(shop.address("front", "main"), b"marked", timeout_s=0.2) is None
    if arrives:
        wait_until(lambda: "marked" in log(places, "front"))
    link.restore()
    assert ("marked" in log(places, "front")) is arrives
    assert link.answer_s(timeout_s=5) is not None


def test_a_slowed_link_answers_late_and_once_restored_at_once(shop):
    link, _ = shop.links("front", "back")
    link.slow(latency_s=0.3, jitter_s=0.0, direction="both")
    slowed = link.answer_s(timeout_s=5)
    assert slowed >= 0.6
    link.restore()
    assert link.answer_s(timeout_s=5) < slowed


def test_faults_that_cannot_be_applied_say_so(shop):
    link, _ = shop.links("front", "back")
    with pytest.raises(UsageError, match="'sideways' was given"):
        link.cut(direction="sideways")
    link.cut(direction="both")
    with pytest.raises(CannotInject, match="already exists"):
        link.cut(direction="both")


def test_restoring_an_untouched_link_ends_no_connection(shop):
    (link,) = shop.links("customers", "front")
    with socket.create_connection(shop.address("front", "main"), timeout=5) as connection:
        link.restore()
        connection.sendall(b"hello?")
        assert connection.recv(100) == b"hello"


def test_undo_is_plain_data_and_may_be_done_twice(shop):
    link, _ = shop.links("front", "back")
    shop.service("back").kill()
    shop.service("front").pause()
    link.cut(direction="both")
    for _ in range(2):
        shop.undo(Undo(verb="restore", target="front -> back"))
        shop.undo(Undo(verb="resume", target="front"))
        shop.undo(Undo(verb="start", target="back"))
    assert link.answer_s(timeout_s=5) is not None
    for undo, complaint in [
        (Undo(verb="restore", target="a -> b"), "no such link"),
        (Undo(verb="start", target="bakc"), "no such service"),
        (Undo(verb="sing", target="back"), "knows start, resume and restore"),
    ]:
        with pytest.raises(CannotHeal, match=complaint):
            shop.undo(undo)


def test_a_link_is_restored_even_when_its_toxiproxy_has_died(shop, places):
    link, other = shop.links("front", "back")
    link.cut(direction="both")
    other.cut(direction="both")
    for pid in places.mine():
        if "toxiproxy" in Path(f"/proc/{pid}/cmdline").read_text():
            os.kill(pid, signal.SIGKILL)
    link.restore()
    assert link.answer_s(timeout_s=5) is not None
    assert other.answer_s(timeout_s=0.1) is None


def test_roles_are_asked_for_now(shop, places):
    assert shop.resolve("pair.primary") == "pair-1"
    assert shop.service("pair.standby").name == "pair-2"
    for member, role in (("pair-1", "standby"), ("pair-2", "primary")):
        next(places.directory.glob(f"*/{member}/answer")).write_text(role)
    assert shop.resolve("pair.primary") == "pair-2"
    shop.service("pair-2").kill()
    with pytest.raises(Unsupported, match=r"nobody is pair\.primary now: pair-1 is standby, pair-2 is down"):
        shop.resolve("pair.primary")
    with pytest.raises(Unsupported, match=r"Did you mean 'pair\.standby'"):
        shop.resolve("pair.stanby")


def test_roles_and_links_are_probed_from_other_threads_while_faults_act(shop):
    results = []
    link, _ = shop.links("front", "back")

    def probe():
        results.extend((shop.resolve("pair.primary"), link.answer_s(timeout_s=0.05)) for _ in range(10))

    thread = threading.Thread(target=probe)
    thread.start()
    for _ in range(3):
        link.cut(direction="both")
        link.restore()
        shop.service("back").kill()
        shop.service("back").start()
    thread.join()
    assert {primary for primary, _ in results} == {"pair-1"}


def test_two_environments_at_once_do_not_meet(places):
    one, two = places.up(places.shop()), places.up(places.shop())
    one.service("front").kill()
    assert answer_s(two.address("front", "main"), b"hello?", timeout_s=1) is not None


def test_services_hold_their_ports_even_when_the_runner_has_let_go(shop):
    """A killed runner's services live a moment longer than it does."""
    port = shop.address("back", "main")[1]
    shop.service("back").kill()
    shop._ports.close()
    other = Ports()
    try:
        other.reserve(1)  # looks at the same block first, since it is the same process
        assert (other.take() - LOWEST) // BLOCK != (port - LOWEST) // BLOCK
    finally:
        other.close()


def test_an_unprivileged_service_is_not_root_but_somebody_with_a_name(places):
    """PostgreSQL refuses to run as root, and its initdb looks up the name of whoever it is."""
    places.up(places.topology(places.tiny("careful", unprivileged=True)))
    user = int(log(places, "careful").split()[1])
    assert user != 0
    assert pwd.getpwuid(user)


def test_a_service_that_does_not_answer_fails_with_its_limit_and_the_end_of_its_log(places):
    code = "import time; print('still thinking', flush=True); time.sleep(600)"
    slow = ServiceSpec(
        name="slow",
        ports=(Port("main", b"?"),),
        command=lambda place: Command(argv=(place.program("python"), "-c", code)),
        ready_within_s=1.0,
    )
    with pytest.raises(NotReady, match=r"slow did not answer within 1 s.*slow\.log:\n    still thinking"):
        places.up(places.topology(places.tiny("other"), slow))
    assert places.mine() == []
    assert list(places.directory.iterdir()) == []


def test_a_service_that_ends_by_itself_fails_without_waiting_for_the_limit(places):
    broken = places.tiny("broken", before="raise SystemExit('no such account')\n", ready_within_s=3600)
    with pytest.raises(NotReady, match=r"broken ended by itself(.|\n)*no such account"):
        places.up(places.topology(broken))


def test_services_that_wait_for_each_other_fail(places):
    with pytest.raises(NotReady, match="one, two wait for each other"):
        places.up(places.topology(places.tiny("one", after=("two",)), places.tiny("two", after=("one",))))


def test_a_program_that_is_not_here_is_a_missing_part(places):
    odd = ServiceSpec(name="odd", ports=(), command=lambda place: Command(argv=(place.program("no-such-program"),)))
    with pytest.raises(MissingPart, match="'no-such-program' is not here; looked at"):
        places.up(places.topology(odd))


def test_a_group_that_is_never_complete_fails_with_what_was_seen(places):
    group = GroupSpec(name="pair", members=("a", "b"), port="main", read_role=places.read_role, complete_within_s=0.2)
    members = (places.tiny("a", answer="standby"), places.tiny("b", answer="standby"))
    with pytest.raises(NotReady, match=r"pair had no primary.*a: standby"):
        places.up(places.topology(*members, groups=(group,)))


def test_a_stop_while_starting_ends_what_was_started(places):
    seen = []

    def is_stopping():
        seen.append(places.mine())
        return bool(seen[-1])

    with pytest.raises(Stopped):
        places.make(places.shop()).up(is_stopping=is_stopping, say=places.said.append)
    assert any(seen)
    assert places.mine() == []


def test_down_still_ends_everything_when_the_supervisor_was_killed(shop, places):
    os.kill(shop._supervisor.pid, signal.SIGKILL)
    shop.down()
    assert places.mine() == []
    assert list(places.directory.iterdir()) == []


def test_down_says_who_still_uses_its_ports(shop):
    address = shop.address("back", "main")
    shop.service("back").kill()
    with socket.create_server(address), pytest.raises(CannotHeal, match=f"somebody still listens on .* at {address[1]}"):
        shop.down()
    shop.down()


RUNNER = """
import importlib.util, sys, time
from pathlib import Path
spec = importlib.util.spec_from_file_location("tiny", sys.argv[1])
tiny = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tiny)
tiny.Places(Path(sys.argv[2])).up(tiny.shop())
print("up", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_the_runner_dies(places, tmp_path, number, wait_until):
    places.directory.rmdir()
    conftest = Path(__file__).with_name("conftest.py")
    runner = subprocess.Popen([sys.executable, "-c", RUNNER, str(conftest), str(tmp_path)], stdout=subprocess.PIPE, text=True)
    with runner, runner.stdout:
        assert runner.stdout.readline() == "up\n"
        assert len(places.mine()) > 4
        runner.send_signal(number)
    wait_until(lambda: places.mine() == [] and list(places.directory.iterdir()) == [])
