"""Ports that two environments never share and that no outgoing connection takes."""

import socket
from pathlib import Path

import pytest

from chaoskit.environments.ports import HOST, Ports, is_listening
from chaoskit.model.errors import NotReady


@pytest.fixture
def two():
    pair = Ports(), Ports()
    yield pair
    for ports in pair:
        ports.close()


def taken(ports, count):
    ports.reserve(count)
    return {ports.take() for _ in range(count)}


def test_two_supplies_never_give_the_same_port(two):
    assert not taken(two[0], 100) & taken(two[1], 100)


def test_ports_lie_below_those_of_outgoing_connections(two):
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(taken(two[0], 100)) < lowest


def test_a_port_that_somebody_uses_is_not_given(two):
    first = taken(two[0], 1).pop()
    two[0].close()
    with socket.create_server((HOST, first)):
        again = Ports()
        try:
            assert first not in taken(again, 60)
        finally:
            again.close()


def test_a_closed_supply_gives_its_ports_back(two):
    first = taken(two[0], 10)
    two[0].close()
    assert taken(two[0], 10) == first


def test_more_ports_than_there_are_is_an_error_that_holds_none(two):
    with pytest.raises(NotReady, match="100000 free ports"):
        two[0].reserve(100_000)
    assert taken(two[1], 10)


def test_listening_is_seen():
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
        assert is_listening(port)
    assert not is_listening(port)
