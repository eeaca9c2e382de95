"""Every key of every shipped experiment, misspelt once: the reader names the line and the key that was meant."""

import re

import pytest
from ruamel.yaml import YAML

from chaoskit.documents import read_text
from chaoskit.environments.toxics import ResetPeer
from chaoskit.model.errors import InvalidDocument, UsageError
from chaoskit.registry import Registry, experiments

REGISTRY = Registry()
TEXTS = {name: path.read_text() for name, path in experiments().items()}
KEY = re.compile(r"(?:^ *|\{|, |- )([a-z_]+):(?= |$)", re.MULTILINE)


def written(tree):
    """The keys of a document, wherever they stand: what looks like one in its texts is none."""
    if isinstance(tree, dict):
        yield from tree
    if isinstance(tree, dict | list):
        for one in tree.values() if isinstance(tree, dict) else tree:
            yield from written(one)


def keys():
    for name, text in TEXTS.items():
        seen = {found[1] for found in KEY.finditer(text)} - {*written(YAML(typ="safe", pure=True).load(text))}
        for found in KEY.finditer(text):
            key, line = found[1], text.count("\n", 0, found.start(1)) + 1
            if key not in seen:
                seen.add(key)
                yield pytest.param(name, found.start(1), found.end(1), line, id=f"{name}-{key}")


@pytest.mark.parametrize("name,start,end,line", list(keys()))
def test_each_key_misspelt_once_is_named_with_its_line_and_the_right_one(name, start, end, line):
    text = TEXTS[name]
    key = text[start:end]
    wrong = key + "x" if len(key) < 4 else key[:-2] + key[-1] + key[-2]
    wrong = wrong if wrong != key else key + "x"
    with pytest.raises(InvalidDocument) as raised:
        read_text(text[:start] + wrong + text[end:], registry=REGISTRY, file="e.chaos.yaml")
    # Without its first key nothing is known of a fault or a check, so that key is named as missing.
    right = (f"{key!r} is missing",) if key in {"fault", "check"} else (repr(wrong), f"Did you mean {key!r}?")
    said = [str(problem) for problem in raised.value.problems]
    assert any(f"e.chaos.yaml:{line}:" in one and all(part in one for part in right) for one in said), said


@pytest.mark.parametrize("name", REGISTRY.names("faults"))
def test_a_fault_hits_every_connection_of_its_link(name):
    """Toxiproxy draws a toxicity once for each connection, so a share of requests cannot be promised: no fault offers one."""
    assert "toxicity" not in REGISTRY.fault(name).__dataclass_fields__


@pytest.mark.parametrize("toxicity", [0.0, 0.5])
def test_a_reset_of_a_share_of_connections_is_refused(toxicity):
    with pytest.raises(UsageError):
        ResetPeer(toxicity=toxicity)
