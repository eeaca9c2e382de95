"""Whatever the bytes: a valid experiment, or `InvalidDocument` whose problems have a place. Never another exception."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chaoskit.documents import read as read_file
from chaoskit.documents import read_text
from chaoskit.model.errors import InvalidDocument
from chaoskit.model.experiment import Experiment

# The fixtures are read-only, and the examples share one file of which each writes all.
some = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

words = st.sampled_from(
    [
        "chaoskit",
        "title",
        "matrix",
        "marks",
        "fixture",
        "faults.0.at",
        "environment",
        "use",
        "on",
        "options",
        "load",
        "arrivals_per_s",
        "duration",
        "mix",
        "profile",
        "steady_state",
        "faults",
        "expect",
        "abort_if",
        "fault",
        "check",
        "at",
        "for",
        "between",
        "service",
        "of",
        "within",
        "shop",
        "buy",
        "look",
        "store",
        "store.primary",
        "stock",
        "freeze",
        "cut",
        "available",
        "back",
        "money",
        "exercised",
        "steady",
        "1",
        "40",
        "5s",
        "99%",
        "${A}",
        "${B:-5s}",
    ]
)
scalars = st.one_of(words, st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
trees = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=5), max_leaves=25)


def outcome(call) -> Experiment | InvalidDocument:
    try:
        return call()
    except InvalidDocument as invalid:
        return invalid


def holds(read, text: str) -> None:
    found = outcome(lambda: read(text, variables={"A": "1"} if "${A}" in text else {}))
    if isinstance(found, Experiment):
        assert read(found.document).load == found.load
        return
    assert found.problems
    for problem in found.problems:
        assert problem.message
        assert problem.line is None or 1 <= problem.line <= text.count("\n") + text.count("\r") + 3
        assert problem.line is not None or "not YAML" in problem.message or problem.where == "--var A=…"
        str(problem).encode()


@some
@given(content=st.binary(max_size=200))
def test_random_bytes(registry, tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzz.chaos.yaml"
    path.write_bytes(content)
    found = outcome(lambda: read_file(path, registry=registry))
    assert isinstance(found, InvalidDocument)
    assert all(str(path) in str(problem) for problem in found.problems)


@some
@given(text=st.text(alphabet="aé:- \n\t[]{}&*!|>'\"%@`#,?~$0159.es\\\x85\u2028\ud7ff", max_size=60))
def test_random_text_of_what_yaml_is_made_of(read, text):
    holds(read, text)


@some
@given(tree=trees)
def test_random_trees(read, tree):
    holds(read, json.dumps(tree, ensure_ascii=False))


@some
@given(data=st.data())
def test_documents_with_a_part_replaced(read, valid, data):
    start = data.draw(st.integers(0, len(valid)))
    end = min(len(valid), start + data.draw(st.integers(0, 30)))
    new = data.draw(st.one_of(st.text(max_size=6), words, trees.map(json.dumps)))
    holds(read, valid[:start] + new + valid[end:])


@some
@given(data=st.data())
def test_documents_with_a_value_replaced(read, valid_tree, data):
    """Deeper than the one above: the form stays right, so every check of meaning is reached."""
    tree = json.loads(json.dumps(valid_tree))
    parent, key = data.draw(st.sampled_from(list(_places(tree))))
    parent[key] = data.draw(trees)
    holds(read, json.dumps(tree, ensure_ascii=False))


SPECIAL = "aé:- []{}&*!|>'\"%@`#,?~$5.\\/"


@some
@given(data=st.data(), tail=st.text(alphabet=SPECIAL, min_size=3, max_size=8))
def test_a_secret_is_neither_in_a_message_nor_in_the_stored_document(read, registry, valid, valid_tree, data, tail):
    """It stands as `!secret`, and perhaps by itself somewhere else, too."""
    secret = f"\u03a9{tail}\u03a9" + data.draw(st.sampled_from(["", "0123456789" * 9]))
    tree = json.loads(json.dumps(valid_tree))
    if data.draw(st.booleans()):
        parent, key = data.draw(st.sampled_from(list(_places(tree))))
        parent[key] = data.draw(st.sampled_from([secret, f"see {secret}", f"{secret} is it", f"amqp://u:{secret}@mq"])).replace(
            "${", "$${"
        )
    tree["secrets"] = ["S"]
    text = json.dumps(tree, ensure_ascii=False).replace('"colour": 7', '"colour": !secret S')
    text = data.draw(st.sampled_from([text, f"# {secret}\n{text}"]))
    found = outcome(lambda: read(text, environ={"S": secret}))
    if isinstance(found, InvalidDocument):
        assert secret[:16] not in str(found)
        return
    assert secret not in found.document
    again = read_text(found.document, registry=registry, environ=None)
    assert again.title == found.title
    assert again.environment.options == {name: found.secrets.redact(value) for name, value in found.environment.options.items()}


FUZZED = Path(__file__).with_name("fuzzed.py")
CASES = 10_000
WITHIN_S = 600
"""Alone it takes one minute; the limits that are tested are those of each case, which the child has of the kernel."""


def fuzzed(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, timeout=WITHIN_S, check=False)


@pytest.mark.parametrize("count", [300, pytest.param(CASES, marks=pytest.mark.whole)])
def test_no_case_takes_more_than_a_second_or_200_megabytes(count):
    seed = random.randrange(1_000_000)
    done = fuzzed(FUZZED, seed, count)
    assert done.stdout.startswith(f"{count} cases, "), f"python {FUZZED.name} {seed} {count}:\n{done.stdout}{done.stderr[-3000:]}"
    assert done.returncode == 0


TOO_MUCH = {
    "too much memory": ("bytearray(2 * fuzzed.MEMORY_BYTES)", "MemoryError"),
    "no end": ("all(iter(lambda: True, False))", "TooSlow: more than 1 s of processor time"),
    "no end, and it catches every error": ("patient()", "TooSlow: more than 1 s of processor time"),
    "a traceback": ("{}['key']", "KeyError: 'key'"),
    "no place": ("fail(fuzzed.InvalidDocument((types.SimpleNamespace(message='wrong'),)))", "a problem without a place"),
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_a_reader_that_needs_too_much_or_breaks_is_found(what):
    does, complaint = TOO_MUCH[what]
    done = fuzzed("-c", BROKEN.format(folder=FUZZED.parent, does=does))
    assert done.returncode == 1
    assert re.search(f"case 0 of seed 1, random [a-z ]+: {complaint}", done.stderr), done.stderr


BROKEN = """\
import sys, types
sys.path.insert(0, "{folder}")
import fuzzed

def fail(error):
    raise error

def patient():
    try:
        all(iter(lambda: True, False))
    except Exception as error:
        raise fuzzed.InvalidDocument(()) from error

fuzzed.main(1, 1, reads=lambda path, registry: {does})
"""


def _places(tree):
    for key, value in list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)):
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)
