"""What every environment must do, as test classes. Whoever writes an environment inherits them and says how one is made:

    class TestMine(RealEnvironmentContract):
        @pytest.fixture
        def environment(self): ...   # one with `tiny_topology()`, up; taken down afterwards
        @pytest.fixture
        def make(self): ...          # a function from a topology to an environment that is not up; taken down afterwards

pytest is not needed to import this, and a check that an environment says it cannot do is skipped by its name.
"""

from __future__ import annotations

import json
import socket
import time
import unittest
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from chaoskit.model.errors import CannotHeal, CannotInject, ChaoskitError, Stopped, Unsupported, UsageError
from chaoskit.model.protocols import Environment, Joinable, Link, Undo
from chaoskit.model.topology import Command, GroupSpec, LinkSpec, Place, Port, RoleState, ServiceSpec, Topology

E = TypeVar("E", bound=Exception)

ANSWER_S = 5.0  # a healthy service answers in a millisecond; this is for a starved machine
SILENT_S = 0.3  # how long an answer is waited for that must not come
DIRECTIONS = ("requests", "answers", "both")

# One line in, one line out. What it is told to keep is in a file of its own folder.
_PROGRAM = """
import pathlib, socket, sys, threading
name, folder, host, port, next_host, next_port, role = sys.argv[1:]
folder = pathlib.Path(folder)
if not (folder / "role").exists():
    (folder / "role").write_text(role)

def answer(line):
    word, _, rest = line.partition(" ")
    if word in ("kept", "role") and not rest:
        return (folder / word).read_text() if (folder / word).exists() else ""
    if word in ("kept", "role"):
        (folder / word).write_text(rest)
        return rest
    if word == "relay":
        with socket.create_connection((next_host, int(next_port)), timeout=1) as onward:
            onward.sendall(rest.encode() + b"\\n")
            return onward.makefile().readline().strip()
    if word == "say":
        print(rest, flush=True)
    return f"hello from {name}"

def serve(connection):
    try:
        with connection, connection.makefile() as lines:
            for line in lines:
                connection.sendall(answer(line.strip()).encode() + b"\\n")
    except OSError as error:
        print(error, flush=True)

listener = socket.create_server((host, int(port)))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""


def tiny_topology() -> Topology:
    """A front that calls a back, customers who call the front, and a pair of which the first is primary."""
    return Topology(
        name="tiny",
        services=(
            tiny_service("front", calls="back", after=("back",)),
            tiny_service("back"),
            tiny_service("pair-1", role="primary"),
            tiny_service("pair-2", role="standby"),
        ),
        links=(
            LinkSpec(client="customers", service="front", ports=("main",)),
            LinkSpec(client="front", service="back", ports=("main",)),
            LinkSpec(client="pair-2", service="pair-1", ports=("main",)),
        ),
        groups=(GroupSpec(name="pair", members=("pair-1", "pair-2"), port="main", read_role=_read_role),),
        entry=("front", "main"),
        journeys="chaoskit.testing:no_journeys",
        journey_names=(),
    )


def tiny_service(
    name: str, *, calls: str = "", role: str = "", after: tuple[str, ...] = (), program: str = _PROGRAM
) -> ServiceSpec:
    """A service that answers a line with a line: `hello`, `kept` and `kept TEXT`, `role`, `relay LINE` to the one it calls."""

    def command(place: Place) -> Command:
        onward = place.to(calls, "main") if calls else ("", 0)
        words = (name, place.directory, *place.own("main"), *onward, role)
        return Command(argv=(place.program("python"), "-c", program, *map(str, words)))

    return ServiceSpec(name=name, ports=(Port("main", b"hello\n"),), command=command, after=after)


def ask(address: tuple[str, int], line: str, *, timeout_s: float = ANSWER_S) -> str | None:
    """What a tiny service answers; None when no answer comes in time, for whatever reason."""
    try:
        with socket.create_connection(address, timeout=timeout_s) as connection:
            connection.sendall(line.encode() + b"\n")
            return connection.makefile().readline().strip() or None
    except OSError:
        return None


def heal_all(environment: Environment) -> None:
    """Undo everything that a check may have left, so that checks can share an environment that takes long to start."""
    for service in environment.topology.service_names:
        environment.undo(Undo(verb="resume", target=service))
        environment.undo(Undo(verb="start", target=service))
    for link in environment.topology.links:
        environment.undo(Undo(verb="restore", target=f"{link.client} -> {link.service}"))


class EnvironmentContract:
    """What can be seen without talking to a service: fakes are held to it, too."""

    def test_everything_runs_and_answers_after_up(self, environment: Environment) -> None:
        for service in environment.topology.service_names:
            assert environment.service(service).is_running(), service
        for link in _links(environment):
            assert link.answer_s(timeout_s=ANSWER_S) is not None, link.name
            assert link.look(timeout_s=ANSWER_S) == "answered", link.name

    def test_a_killed_service_is_gone_and_starts_again_at_its_address(self, environment: Environment) -> None:
        _needs(environment, "kill")
        back, address = environment.service("back"), environment.address("back", "main")
        back.kill()
        assert not back.is_running()
        assert _link(environment).answer_s(timeout_s=SILENT_S) is None
        assert environment.service("front").is_running()
        back.start()
        back.start()
        assert back.is_running()
        assert environment.address("back", "main") == address
        assert _link(environment).answer_s(timeout_s=ANSWER_S) is not None

    def test_what_is_gone_can_be_neither_killed_nor_paused(self, environment: Environment) -> None:
        _needs(environment, "kill", "pause")
        back = environment.service("back")
        back.kill()
        _raises(CannotInject, back.kill)
        _raises(CannotInject, back.pause)

    def test_a_paused_service_does_not_answer_and_goes_on_when_resumed(self, environment: Environment) -> None:
        _needs(environment, "pause")
        back = environment.service("back")
        back.pause()
        assert not back.is_running()
        assert _link(environment).answer_s(timeout_s=SILENT_S) is None
        back.resume()
        back.resume()
        assert back.is_running()
        assert _link(environment).answer_s(timeout_s=ANSWER_S) is not None

    def test_a_paused_service_can_be_killed(self, environment: Environment) -> None:
        _needs(environment, "kill", "pause")
        back = environment.service("back")
        back.pause()
        back.kill()
        assert not back.is_running()
        back.resume()
        back.start()
        assert back.is_running()

    def test_a_cut_link_answers_nothing_in_whichever_direction(self, environment: Environment) -> None:
        _needs(environment, "cut")
        for direction in DIRECTIONS:
            _link(environment).cut(direction=direction)
            assert _link(environment).answer_s(timeout_s=SILENT_S) is None, direction
            assert _link(environment).look(timeout_s=SILENT_S) == "silent", direction
            (other,) = environment.links("customers", "front")
            assert other.answer_s(timeout_s=ANSWER_S) is not None, "only the link that was named is cut"
            _link(environment).restore()
            _link(environment).restore()
            assert _link(environment).answer_s(timeout_s=ANSWER_S) is not None, direction

    def test_a_slowed_link_answers_late_in_whichever_direction(self, environment: Environment) -> None:
        _needs(environment, "slow")
        for direction in DIRECTIONS:
            _link(environment).slow(latency_s=0.3, jitter_s=0.0, direction=direction)
            slowed = _link(environment).answer_s(timeout_s=ANSWER_S)
            assert slowed is not None, direction
            assert slowed >= 0.3, direction
            _link(environment).restore()
            restored = _link(environment).answer_s(timeout_s=ANSWER_S)
            assert restored is not None, direction
            assert restored < slowed, direction

    def test_a_link_can_refuse(self, environment: Environment) -> None:
        _needs(environment, "refuse")
        _link(environment).refuse()
        assert _link(environment).look(timeout_s=ANSWER_S) == "refused"
        _restored(environment)

    def test_a_link_can_reset(self, environment: Environment) -> None:
        _needs(environment, "reset")
        _link(environment).reset()
        assert _link(environment).look(timeout_s=ANSWER_S) == "reset"
        _restored(environment)

    def test_a_link_can_stall(self, environment: Environment) -> None:
        _needs(environment, "stall")
        for direction in DIRECTIONS:
            _link(environment).stall(direction=direction)
            assert _link(environment).look(timeout_s=SILENT_S) == "silent", direction
            _restored(environment)

    def test_a_link_can_be_throttled(self, environment: Environment) -> None:
        _needs(environment, "throttle")
        _link(environment).throttle(bytes_per_s=1000, direction="both")
        assert _link(environment).answer_s(timeout_s=ANSWER_S) is not None
        _restored(environment)

    def test_links_are_found_whichever_end_calls_and_by_role(self, environment: Environment) -> None:
        assert [link.name for link in environment.links("front", "back")] == ["front -> back"]
        assert [link.name for link in environment.links("back", "front")] == ["front -> back"]
        assert [link.name for link in environment.links("customers", "front")] == ["customers -> front"]
        assert [link.name for link in environment.links("pair.primary", "pair.standby")] == ["pair-2 -> pair-1"]
        assert environment.links("front", "pair-1") == ()
        _raises(Unsupported, lambda: environment.links("front", "bakc"))

    def test_a_role_means_who_has_it_now(self, environment: Environment) -> None:
        assert environment.resolve("back") == "back"
        assert environment.resolve("pair.primary") == "pair-1"
        assert environment.service("pair.standby").name == "pair-2"
        _needs(environment, "kill")
        environment.service("pair.primary").kill()
        _raises(Unsupported, lambda: environment.resolve("pair.primary"))
        assert environment.resolve("pair.standby") == "pair-2"
        _raises(Unsupported, lambda: environment.resolve("pair.stanby"))
        _raises(Unsupported, lambda: environment.service("bakc"))

    def test_an_undo_is_plain_data_and_may_be_done_twice(self, environment: Environment) -> None:
        _needs(environment, "kill", "pause", "cut")
        environment.service("back").kill()
        environment.service("front").pause()
        _link(environment).cut(direction="both")
        undos = [
            Undo(verb="restore", target="front -> back"),
            Undo(verb="resume", target="front"),
            Undo(verb="start", target="back"),
        ]
        stored = json.dumps([{"verb": undo.verb, "target": undo.target, "details": dict(undo.details)} for undo in undos])
        for _ in range(2):
            for read in json.loads(stored):
                environment.undo(Undo(**read))
        assert environment.service("front").is_running()
        assert _link(environment).answer_s(timeout_s=ANSWER_S) is not None

    def test_an_undo_that_means_nothing_is_an_error(self, environment: Environment) -> None:
        _raises(CannotHeal, lambda: environment.undo(Undo(verb="restore", target="a -> b")))
        _raises(CannotHeal, lambda: environment.undo(Undo(verb="start", target="bakc")))
        _raises(CannotHeal, lambda: environment.undo(Undo(verb="sing", target="back")))

    def test_addresses_are_of_services_and_ports_that_there_are(self, environment: Environment) -> None:
        for service in environment.topology.service_names:
            host, port = environment.address(service, "main")
            assert host
            assert port
        _raises(Unsupported, lambda: environment.address("bakc", "main"))
        _raises(Unsupported, lambda: environment.address("back", "side"))

    def test_it_says_what_it_is(self, environment: Environment) -> None:
        assert environment.name
        assert environment.ledger() is None
        assert environment.facts()["environment"] == environment.name
        assert environment.capabilities, "an environment that can do nothing cannot be tested"

    def test_down_may_be_called_at_any_time_and_twice(self, make: Callable[[Topology], Environment]) -> None:
        environment = make(tiny_topology())
        environment.down()
        environment = make(tiny_topology())
        environment.up(is_stopping=lambda: False, say=lambda _line: None)
        environment.down()
        environment.down()


class JoinableContract:
    """What an environment must do that several processes may use at once: `first` is up, and `joined`, declared alike, joined it.

    `other` is declared with other services, and is not up.
    """

    def test_what_it_shares_is_plain_data(self, first: Environment) -> None:
        assert isinstance(first, Joinable)
        assert json.loads(json.dumps(first.shared())) == first.shared()

    def test_both_find_the_same_in_the_same_places(self, first: Environment, joined: Environment) -> None:
        specs = first.topology.services
        assert joined.topology.service_names == first.topology.service_names
        assert [link.name for link in _links(joined)] == [link.name for link in _links(first)]
        places = [(spec.name, port.name) for spec in specs for port in spec.ports]
        assert [joined.address(*place) for place in places] == [first.address(*place) for place in places]
        handles = [[dict(one.service(name).handle) for name in first.topology.service_names] for one in (first, joined)]
        assert handles[0] == handles[1]
        assert joined.capabilities == first.capabilities

    def test_it_is_not_its_own_to_remove(self, joined: Environment) -> None:
        assert joined.run == ""

    def test_what_one_breaks_is_broken_for_the_other_who_can_undo_it(self, first: Environment, joined: Environment) -> None:
        spec = first.topology.links[0]
        for one, other in ((first, joined), (joined, first)):
            (link,), (theirs,) = (each.links(spec.client, spec.service) for each in (one, other))
            one.service(spec.service).kill()
            assert not other.service(spec.service).is_running()
            other.undo(Undo(verb="start", target=spec.service))
            assert one.service(spec.service).is_running()
            link.refuse()
            assert theirs.look(timeout_s=ANSWER_S) == "refused"
            other.undo(Undo(verb="restore", target=link.name))
            assert link.look(timeout_s=ANSWER_S) == "answered"

    def test_one_that_was_declared_otherwise_is_refused(self, first: Environment, other: Environment) -> None:
        assert isinstance(first, Joinable)
        assert isinstance(other, Joinable)
        _raises(UsageError, lambda: other.join(first.shared()))

    def test_whoever_joined_lets_go_and_it_stays_up(self, first: Environment, joined: Environment) -> None:
        joined.down()
        joined.down()
        for link in _links(first):
            assert link.look(timeout_s=ANSWER_S) == "answered"


class RealEnvironmentContract(EnvironmentContract):
    """What can be seen by talking to services that really run."""

    def test_services_answer_at_their_addresses(self, environment: Environment) -> None:
        for service in environment.topology.service_names:
            assert ask(environment.address(service, "main"), "hello") == f"hello from {service}"
        assert ask(environment.address("front", "main"), "relay hello") == "hello from back"

    def test_the_end_of_what_a_service_has_printed_can_be_had_while_it_runs(self, environment: Environment) -> None:
        tail = getattr(environment, "log_tail", None)
        if tail is None:  # no environment must have it
            return
        ask(environment.address("back", "main"), "say one two three")
        deadline = time.monotonic() + ANSWER_S
        while not tail("back", most_bytes=1_000).endswith("one two three\n"):
            assert time.monotonic() < deadline, tail("back", most_bytes=1_000)
            time.sleep(0.02)  # between two looks, until the deadline
        assert tail("back", most_bytes=6) == "three\n"

    def test_a_killed_service_keeps_its_data(self, environment: Environment) -> None:
        _needs(environment, "kill")
        address = environment.address("back", "main")
        assert ask(address, "kept before the kill") == "before the kill"
        environment.service("back").kill()
        assert ask(address, "hello", timeout_s=SILENT_S) is None
        environment.service("back").start()
        assert ask(address, "kept") == "before the kill"

    def test_a_paused_service_does_what_it_was_asked_meanwhile_when_it_is_resumed(self, environment: Environment) -> None:
        _needs(environment, "pause")
        address = environment.address("back", "main")
        environment.service("back").pause()
        with _connected(address) as connection:
            connection.sendall(b"kept meanwhile\n")
            connection.settimeout(SILENT_S)
            _raises(TimeoutError, lambda: connection.recv(1))
            environment.service("back").resume()
            connection.settimeout(ANSWER_S)
            assert connection.recv(100) == b"meanwhile\n"

    def test_a_cut_link_is_the_way_that_the_services_use(self, environment: Environment) -> None:
        _needs(environment, "cut")
        _link(environment).cut(direction="both")
        assert ask(environment.address("front", "main"), "relay hello") is None
        assert ask(environment.address("front", "main"), "hello") == "hello from front"
        _link(environment).restore()
        assert ask(environment.address("front", "main"), "relay hello") == "hello from back"

    def test_cut_answers_are_done_but_not_acknowledged_and_cut_requests_are_not_done(self, environment: Environment) -> None:
        _needs(environment, "cut")
        address = environment.address("front", "main")
        (link,) = environment.links("customers", "front")
        for direction, is_done in (("answers", True), ("requests", False), ("both", False)):
            assert ask(address, "kept before") == "before"
            link.cut(direction=direction)
            assert ask(address, "kept after", timeout_s=SILENT_S) is None, direction
            link.restore()
            assert ask(address, "kept") == ("after" if is_done else "before"), direction

    def test_a_stalled_connection_goes_on_when_restored(self, environment: Environment) -> None:
        _needs(environment, "stall")
        (link,) = environment.links("customers", "front")
        with _connected(environment.address("front", "main")) as connection:
            connection.sendall(b"hello\n")
            assert connection.recv(100) == b"hello from front\n"
            link.stall(direction="both")
            connection.sendall(b"kept in the stall\n")
            connection.settimeout(SILENT_S)
            _raises(TimeoutError, lambda: connection.recv(1))
            link.restore()
            connection.settimeout(ANSWER_S)
            assert connection.recv(100) == b"in the stall\n"

    def test_restoring_what_was_not_touched_ends_no_connection(self, environment: Environment) -> None:
        (link,) = environment.links("customers", "front")
        with _connected(environment.address("front", "main")) as connection:
            link.restore()
            connection.sendall(b"hello\n")
            assert connection.recv(100) == b"hello from front\n"

    def test_after_down_nobody_answers(self, make: Callable[[Topology], Environment]) -> None:
        environment = make(tiny_topology())
        environment.up(is_stopping=lambda: False, say=lambda _line: None)
        addresses = [environment.address(service, "main") for service in environment.topology.service_names]
        environment.down()
        for address in addresses:
            assert ask(address, "hello", timeout_s=SILENT_S) is None

    def test_a_service_that_dies_at_start_is_one_error_with_its_last_words(self, make: Callable[[Topology], Environment]) -> None:
        tiny = tiny_topology()
        broken = tiny_service("back", program="raise SystemExit('no ledger here')")
        environment = make(replace(tiny, services=(tiny.services[0], broken, *tiny.services[2:])))
        error = _raises(ChaoskitError, lambda: environment.up(is_stopping=lambda: False, say=lambda _line: None))
        assert "service back" in str(error)
        assert "no ledger here" in str(error)
        environment.down()

    def test_asked_to_stop_while_it_starts_it_takes_everything_down(self, make: Callable[[Topology], Environment]) -> None:
        environment = make(tiny_topology())
        said: list[str] = []
        _raises(Stopped, lambda: environment.up(is_stopping=lambda: bool(said), say=said.append))
        environment.down()


def _links(environment: Environment) -> tuple[Link, ...]:
    specs = environment.topology.links
    return tuple(link for spec in specs for link in environment.links(spec.client, spec.service))


def _link(environment: Environment) -> Link:
    (link,) = environment.links("front", "back")
    return link


def _restored(environment: Environment) -> None:
    _link(environment).restore()
    assert _link(environment).answer_s(timeout_s=ANSWER_S) is not None


def _needs(environment: Environment, *capabilities: str) -> None:
    """Skip by name what the environment says it cannot do; what it says it can do is held to be true."""
    missing = set(capabilities) - environment.capabilities
    if missing:
        raise unittest.SkipTest(f"environment {environment.name} says it cannot do {', '.join(sorted(missing))}")


def _raises(kind: type[E], act: Callable[[], object]) -> E:
    try:
        act()
    except kind as error:
        return error
    raise AssertionError(f"expected {kind.__name__}, and nothing was raised")


@contextmanager
def _connected(address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=ANSWER_S) as connection:
        yield connection


def _read_role(member: str, address: tuple[str, int], *, timeout_s: float) -> RoleState:
    role = ask(address, "role", timeout_s=timeout_s) or "down"
    return RoleState(member=member, role=role, accepts_writes=role == "primary", streaming=role == "primary")
