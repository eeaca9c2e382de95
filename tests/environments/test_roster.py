"""Services and links by name or role, and their undos from plain data, without any environment."""

from dataclasses import dataclass, field

import pytest

from chaoskit.environments.roster import Roster
from chaoskit.model.errors import CannotHeal, Unsupported
from chaoskit.model.protocols import Undo
from chaoskit.testing import tiny_topology


@dataclass
class Thing:
    """A service or a link that writes down what is done to it."""

    name: str
    done: list[str] = field(default_factory=list)

    def start(self):
        self.done.append("start")

    def resume(self):
        self.done.append("resume")

    def restore(self):
        self.done.append("restore")


@pytest.fixture
def empty():
    return Roster(tiny_topology, lambda _service, _port: ("127.0.0.1", 9))


@pytest.fixture
def roster(empty):
    empty.services |= {name: Thing(name) for name in ("front", "back")}
    empty.links = tuple(Thing(name) for name in ("customers -> front", "front -> back"))
    return empty


def test_links_are_found_from_both_ends_and_from_outside(roster):
    for ends in (("front", "back"), ("back", "front")):
        assert [link.name for link in roster.links_between(*ends)] == ["front -> back"]
    assert [link.name for link in roster.links_between("front", "customers")] == ["customers -> front"]
    assert roster.links_between("back", "customers") == ()
    with pytest.raises(Unsupported, match=r"Did you mean 'back'"):
        roster.links_between("front", "bakc")


def test_what_is_not_up_is_told_from_what_does_not_exist(empty):
    assert empty.links_between("front", "back") == ()
    assert empty.resolve("back") == "back"
    with pytest.raises(Unsupported, match="service back: the environment is not up"):
        empty.service("back")
    with pytest.raises(Unsupported, match="'bakc' is not a service or role"):
        empty.service("bakc")
    with pytest.raises(CannotHeal, match=r"no such service \(none, since it is not up\)"):
        empty.undo(Undo(verb="start", target="back"))


def test_undos_reach_their_target_and_only_known_verbs_are_taken(roster):
    assert all(roster.undo(Undo(verb=verb, target="back")) for verb in ("start", "resume"))
    assert roster.undo(Undo(verb="restore", target="front -> back"))
    assert roster.service("back").done == ["start", "resume"]
    assert [link.done for link in roster.links] == [[], ["restore"]]
    assert not roster.undo(Undo(verb="unfilter", target="front -> back"))
    with pytest.raises(CannotHeal, match=r"no such link \(customers -> front, front -> back\)"):
        roster.undo(Undo(verb="restore", target="back -> front"))
