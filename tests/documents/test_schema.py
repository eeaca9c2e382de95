"""The JSON Schema agrees with the reader wherever no environment is needed to judge."""

from __future__ import annotations

import copy

import jsonschema
import pytest
from ruamel.yaml import YAML

from chaoskit import registry as wiring
from chaoskit.documents import schema


@pytest.fixture(scope="module")
def validator(registry):
    made = schema(registry)
    jsonschema.Draft202012Validator.check_schema(made)
    return jsonschema.Draft202012Validator(made)


def test_the_valid_document_is_valid(validator, valid_tree):
    validator.validate(valid_tree)


@pytest.mark.parametrize("name", ["database_failover", "network_partition", "server_saturation"])
def test_shipped_experiments_are_valid(name):
    tree = YAML(typ="safe", pure=True).load(wiring.experiments()[name].read_text())
    jsonschema.Draft202012Validator(schema()).validate(tree)


@pytest.mark.parametrize(
    "path, value",
    [
        ("chaoskit", 2),
        ("titel", "x"),
        ("title", ""),
        ("title", 2024),
        ("expect", []),
        ("expect", ["mony"]),
        ("environment", {"on": "process"}),
        ("environment", {"use": "shop", "where": "x"}),
        ("environment", {"use": "shop", "on": "moon"}),
        ("load.arrivals_per_s", -1),
        ("load.arrivals_per_s", "40/s"),
        ("load.duration", 60),
        ("load.duration", "60 s"),
        ("load.duration", ""),
        ("load.mix", {}),
        ("load.mix", {"buy": -1}),
        ("load.profile", "rsh"),
        ("load.profile", []),
        ("load.profile", [{"at": "0s"}]),
        ("faults", [{"fault": "freeze", "at": "1s"}]),
        ("faults", [{"fault": "freeze", "service": "till"}]),
        ("faults", [{"fault": "freze", "service": "till", "at": "1s"}]),
        ("faults", [{"fault": "freeze", "service": "till", "at": 1}]),
        ("faults", [{"fault": "freeze", "service": "till", "at": "1s", "form": "x"}]),
        ("faults", [{"fault": "cut", "between": ["till"], "at": "1s"}]),
        ("faults", [{"fault": "cut", "between": ["till", "stock"], "at": "1s", "direction": "up"}]),
        ("faults", [{"fault": "cut", "between": ["till", "stock"], "at": "1s", "share": 0.5}]),
        ("faults", [{"fault": "cut", "between": ["till", "stock"], "at": "1s", "per_call": 5}]),
        ("faults", [{"fault": "cut", "between": ["till", "stock"], "at": "1s", "tries": 1.5}]),
        ("faults", [{"fault": "cut", "between": ["till", "stock"], "at": "1s", "is_loud": "yes"}]),
        ("limits", {}),
        ("limits", {"services": 1.5}),
        ("limits", {"share_of_group": 0.5}),
        ("limits", {"for": 5}),
        ("limits", {"service": 1}),
        ("production", "yes"),
        ("steady_state", [{"check": "available", "journey": "buy"}]),
        ("steady_state", [{"check": "available", "journey": "buy", "at_least": 99}]),
        ("steady_state", [{"check": "back", "of": "store", "within": "1s", "extra": 1}]),
    ],
)
def test_what_the_reader_refuses_the_schema_refuses(validator, read, valid_tree, path, value):
    import json

    from chaoskit.model.errors import InvalidDocument

    tree = copy.deepcopy(valid_tree)
    *parents, key = path.split(".")
    place = tree
    for parent in parents:
        place = place[parent]
    place[key] = value
    assert not validator.is_valid(tree)
    with pytest.raises(InvalidDocument):
        read(json.dumps(tree))


@pytest.mark.parametrize("key", ["chaoskit", "title", "environment", "load", "expect"])
def test_what_the_reader_needs_the_schema_requires(validator, valid_tree, key):
    assert not validator.is_valid({name: value for name, value in valid_tree.items() if name != key})


def test_variables_may_stand_for_values(validator, valid_tree):
    tree = copy.deepcopy(valid_tree)
    tree["load"] |= {"arrivals_per_s": "${RATE}", "duration": "${MINUTES:-1}m", "profile": "${PROFILE}"}
    tree["faults"][0] |= {"at": "${AT}", "service": "${WHO}"}
    validator.validate(tree)


def test_parts_are_described_by_their_docstrings(registry):
    definitions = schema(registry)["$defs"]
    assert definitions["fault-freeze"]["description"] == "Freeze a service."
    assert definitions["check-back"]["description"] == "The group is back."
