"""The bank as one value."""

import json

import pytest

from chaoskit.bank.journeys import journeys
from chaoskit.bank.topology import topology
from chaoskit.model.errors import UsageError


class Place:
    def __init__(self, service, directory, options=None):
        self.service, self.directory, self.seed, self.options = service, directory, 7, options or {}

    def own(self, port):
        return ("127.0.0.1", 1000)

    def to(self, service, port):
        return ("127.0.0.1", 2000 + len(service))

    def reached_by(self, client, port):
        return ("127.0.0.1", 3000)

    def program(self, name):
        return f"/programs/{name}"

    def write(self, name, text):
        path = self.directory / name
        path.write_text(text)
        return path


def spec(name):
    return next(service for service in topology().services if service.name == name)


def test_every_name_in_it_is_a_service_of_it():
    bank = topology()
    ports = {(service.name, port.name) for service in bank.services for port in service.ports}
    for link in bank.links:
        assert link.client in (*bank.service_names, "customers")
        assert {(link.service, port) for port in link.ports} <= ports
    for service in bank.services:
        assert set(service.after) <= set(bank.service_names)
    for group in bank.groups:
        assert {(member, group.port) for member in group.members} <= ports
    assert bank.entry in ports


def test_the_status_page_is_outside_the_blast():
    assert not [link for link in topology().links if "status" in (link.client, link.service)]


def test_the_core_reaches_each_database_node_by_a_link_of_its_own():
    links = {(link.client, link.service) for link in topology().links}
    assert {
        ("core", "ledger-db-1"),
        ("core", "ledger-db-2"),
        ("core", "rail"),
        ("gateway", "core"),
        ("customers", "gateway"),
    } <= links


def test_its_journeys_are_those_it_names():
    bank = topology()
    assert set(journeys({}, 7)) == set(bank.journey_names)
    assert bank.journeys == f"{journeys.__module__}:{journeys.__name__}"


@pytest.mark.parametrize("name", ["gateway", "core", "rail", "status"])
def test_nothing_secret_is_on_a_command_line(name, tmp_path):
    command = spec(name).command(Place(name, tmp_path))
    assert command.argv == ("/programs/python", "-m", f"chaoskit.bank.services.{name}", str(tmp_path / "settings.json"))
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert settings["seed"] == 7
    assert settings["port"] == 1000


def test_options_reach_the_services(tmp_path):
    options = {"defect": "no-idempotency", "slots": "3", "service_time_ms": "10"}
    spec("core").command(Place("core", tmp_path, options))
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert (settings["defect"], settings["slots"], settings["service_time_ms"]) == ("no-idempotency", 3, 10)
    spec("gateway").command(Place("gateway", tmp_path, {"defect": "unbounded-queue"}))
    assert json.loads((tmp_path / "settings.json").read_text())["defect"] == "unbounded-queue"


def test_an_unknown_defect_stops_the_start(tmp_path):
    with pytest.raises(UsageError, match="unbounded-queue"):
        spec("gateway").command(Place("gateway", tmp_path, {"defect": "unbounded"}))
