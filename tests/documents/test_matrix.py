"""One document, many experiments: each is whole, and says its mistakes where they stand."""

from __future__ import annotations

import json
import math

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from chaoskit.documents import expand, read_text, schema
from chaoskit.documents.matrix import LARGEST, MOST_ENTRIES
from chaoskit.model.errors import InvalidDocument

SWEEP = "matrix: {faults.1.for: [5s, 10s, 20s], environment.options.size: [small, large]}\n"


@pytest.fixture(scope="session")
def entries(registry, tmp_path_factory):
    """Reads every entry of a text."""
    path = tmp_path_factory.mktemp("matrix") / "shop.chaos.yaml"

    def read_all(text: str, **more: object):
        path.write_text(text, encoding="utf-8")
        return expand(path, registry=registry, **more)

    return read_all


def problems(entries, text: str, **more: object) -> list[str]:
    """What is wrong, without the path of the file; the document's own lines are 23."""
    with pytest.raises(InvalidDocument) as caught:
        entries(text, **more)
    return [str(problem).split("shop.chaos.yaml:", 1)[1] for problem in caught.value.problems]


def test_every_value_meets_every_other_one(entries, valid):
    found = entries(valid + SWEEP)
    assert [one.entry for one in found] == [
        "for=5s,size=small",
        "for=5s,size=large",
        "for=10s,size=small",
        "for=10s,size=large",
        "for=20s,size=small",
        "for=20s,size=large",
    ]
    assert [(one.faults[1].for_s, one.environment.options["size"]) for one in found] == [
        (for_s, size) for for_s in (5.0, 10.0, 20.0) for size in ("small", "large")
    ]
    assert all(one.environment.options["colour"] == "7" for one in found)
    assert found[3].title == "The shop survives a frozen store [for=10s,size=large]"


def test_a_document_without_a_matrix_is_its_only_entry(entries, read, valid):
    (only,) = entries(valid)
    assert only.entry == ""
    assert only.document == valid


def test_combinations_may_be_written_out(entries, valid):
    found = entries(
        valid
        + "matrix:\n  - {faults[1].for: 5s}\n  - faults[1].for: 20s\n    load.duration: 2m\n".replace("{faults[1]", "{faults.1")
    )
    assert [(one.entry, one.faults[1].for_s, one.load.duration_s) for one in found] == [
        ("for=5s", 5.0, 60.0),
        ("for=20s,duration=2m", 20.0, 120.0),
    ]


@pytest.mark.parametrize(
    "matrix, ids",
    [
        ("{faults.1.between: [[stock, store.primary], [till, stock]]}", ["between=stock+store.primary", "between=till+stock"]),
        ("{faults.1.between.1: [store.primary, store-1]}", ["between.1=store.primary", "between.1=store-1"]),
        ("{faults.1.for: [5s], limits.for: [1m]}", ["faults.1.for=5s,limits.for=1m"]),
        ("{faults.0.at: [5s], faults.1.at: [6s]}", ["faults.0.at=5s,faults.1.at=6s"]),
        ("{load.profile: [steady, [{at: 0s, times: 2}]]}", ["profile=steady", "profile=variant2"]),
        ("{faults: [[], [{fault: freeze, service: till, at: 1s}]]}", ["faults=variant1", "faults=variant2"]),
        ("{reason: ['a/b: c?', 'a/b; c!', A/b-C]}", ["reason=a-b-c", "reason=a-b-c-2", "reason=A-b-C-3"]),
        ("{reason: ['', ~]}", None),
        (f"{{reason: [{'x' * 40}, '?']}}", ["reason=variant1", "reason=variant2"]),
        ("{faults.1.is_loud: [true, false]}", ["is_loud=true", "is_loud=false"]),
        ("{faults.1.share: [99.5%]}", ["share=99.5%"]),
        ("{environment.options.colour: ['http://me:hunter22@shop']}", ["colour=variant1"]),
    ],
)
def test_an_id_is_short_and_readable(entries, valid, matrix, ids):
    if ids is None:
        assert problems(entries, f"{valid}matrix: {matrix}\n")
    else:
        assert [one.entry for one in entries(f"{valid}matrix: {matrix}\n")] == ids


def test_a_value_that_is_added_changes_no_other_id(entries, valid):
    before = {one.entry for one in entries(valid + SWEEP)}
    assert before < {one.entry for one in entries(valid + SWEEP.replace("[5s,", "[1s, 5s,"))}


def test_an_entry_holds_no_secret_in_its_id(entries, valid):
    text = valid + "secrets: [COLOUR]\nmatrix: {environment.options.colour: [plain-text, !secret TOKEN, 'a-b4ttery-b']}\n"
    found = entries(text, environ={"TOKEN": "hunter22-hunter22", "COLOUR": "b4ttery"})
    assert [one.entry for one in found] == ["colour=plain-text", "colour=TOKEN", "colour=variant3"]
    assert found[1].environment.options["colour"] == "hunter22-hunter22"
    assert "!secret TOKEN" in found[1].document
    assert not any("hunter22" in one.document or "b4ttery" in one.document for one in found)


MISTAKES = {
    "a value": (
        "{faults.1.for: [5s, 5]}",
        [
            "24:29: faults[1].for: 5 has no unit; expected a duration such as 250ms, 5s or 1m30s. Did you mean '5s'? (in the entry for=5)"
        ],
    ),
    "a value that does not fit one other": (
        "{faults.1.for: [5s, 50s], load.duration: [1m, 2m]}",
        [
            "24:29: faults[1].for: '50s' lets the fault end at 70s, after the load, which lasts 60s (in the entry for=50s,duration=1m)",
        ],
    ),
    "a value makes what stands elsewhere wrong": (
        "{load.duration: [15s, 12s, 1m]}",
        [
            f"16:55: faults[1].at: '20s' is not within the load, which lasts {lasts}; nothing would be seen of the fault "
            f"(in the entry duration={lasts})"
            for lasts in ("15s", "12s")
        ],
    ),
    "a name": (
        "{faults.0.service: [till, stok]}",
        [
            (
                "24:35: faults[0].service: 'stok' is not a service or role of environment 'shop' (stock, store-1, store-2, "
                "store.primary, store.standby, till). Did you mean 'stock'? (in the entry service=stok)"
            ),
        ],
    ),
    "an option": (
        "{environment.options.sise: [small]}",
        ["24:10: environment.options.sise: 'sise' is not an option of environment 'shop' (colour, size). Did you mean 'size'?"],
    ),
    "a key of a fault": (
        "{faults.0.fro: [5s]}",
        ["24:10: faults[0]: 'fro' is not a key here (at, fault, for, service). Did you mean 'for'?"],
    ),
    "a key of the document": (
        "{loda.duration: [5s]}",
        [
            (
                "24:10: 'loda' is not a key here (abort_if, chaoskit, environment, expect, faults, incident, limits, load, marks, matrix, "
                "production, reason, secrets, steady_state, title). Did you mean 'load'?"
            ),
        ],
    ),
    "a path": (
        "{fualts.1.for: [5s]}",
        ["24:10: matrix: 'fualts.1.for' is no path of this document: fualts is not there. Did you mean 'faults.1.for'?"],
    ),
    "an index": (
        "{faults.2.for: [5s]}",
        [
            "24:10: matrix: 'faults.2.for' is no path of this document: faults has 2 of them, counted from 0. Did you mean 'faults.1.for'?"
        ],
    ),
    "a list without an index": (
        "{faults.for: [5s]}",
        [
            (
                "24:10: matrix: 'faults.for' is no path of this document: faults is a list; expected a number after it, such as faults.0. "
                "Did you mean 'faults.1.for'?"
            ),
        ],
    ),
    "below a value": (
        "{title.x: [5s]}",
        ["24:10: matrix: 'title.x' is no path of this document: title holds one value and no others. Did you mean 'title'?"],
    ),
    "itself": (
        "{matrix.0: [5s]}",
        ["24:10: matrix: 'matrix.0' is no path of this document: the matrix is not a part of its entries"],
    ),
    "not even a path": (
        "{faults..for: [5s]}",
        [
            (
                "24:10: matrix: 'faults..for' is no path of this document: expected keys and numbers with dots between them, such as "
                "faults.0.for. Did you mean 'faults.1.for'?"
            ),
        ],
    ),
    "paths that overlap": (
        "{faults.1: [{fault: freeze, service: till, at: 1s}], faults.1.for: [5s]}",
        ["24:62: matrix: 'faults.1.for' and 'faults.1' overlap; leave one of them out"],
    ),
    "the same path twice": (
        '{faults.1.for: [5s], "faults[1].for": [6s]}',
        ["24:30: matrix: 'faults[1].for' and 'faults.1.for' overlap; leave one of them out"],
    ),
    "the same value twice": (
        "{faults.1.for: [5s, 6s, '5s']}",
        ["24:33: matrix.'faults.1.for'[2]: the value stands at matrix.'faults.1.for'[0] already; leave one of them out"],
    ),
    "no list": (
        "{faults.1.for: 5s}",
        ["24:24: matrix.'faults.1.for': '5s'; expected a list of the values to try there, such as [5s, 20s]"],
    ),
    "an empty list": (
        "{faults.1.for: []}",
        ["24:24: matrix.'faults.1.for': the list is empty; expected the values to try there"],
    ),
    "no matrix at all": (
        "5",
        ["24:9: matrix: 5; expected {PATH: [VALUE, …], …}, such as {faults.0.for: [5s, 20s]}, or a list of {PATH: VALUE, …}"],
    ),
    "an empty matrix": (
        "{}",
        [
            (
                "24:9: matrix: an empty mapping; expected {PATH: [VALUE, …], …}, such as {faults.0.for: [5s, 20s]}, "
                "or a list of {PATH: VALUE, …}"
            ),
        ],
    ),
    "no combinations": (
        "[]",
        [
            (
                "24:9: matrix: an empty list; expected {PATH: [VALUE, …], …}, such as {faults.0.for: [5s, 20s]}, "
                "or a list of {PATH: VALUE, …}"
            ),
        ],
    ),
    "combinations": (
        "[{faults.1.for: 5s}, {}, faults, {faults.1.for: 5s}]",
        [
            "24:30: matrix[1]: an empty mapping; expected a mapping such as {faults.0.for: 5s}",
            "24:34: matrix[2]: 'faults'; expected a mapping such as {faults.0.for: 5s}",
            "24:42: matrix[3]: the combination stands at matrix[0] already; leave one of them out",
        ],
    ),
    "in the matrix and outside": (
        "{fualts.1.for: [5s], production: [yes]}",
        [
            "24:10: matrix: 'fualts.1.for' is no path of this document: fualts is not there. Did you mean 'faults.1.for'?",
            "24:43: production: 'yes'; expected true or false",
        ],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_says_where_a_mistake_is(entries, valid, mistake):
    matrix, expected = MISTAKES[mistake]
    assert problems(entries, f"{valid}matrix: {matrix}\n") == expected


def test_a_mistake_of_every_entry_is_told_once(entries, valid):
    (only,) = problems(entries, valid.replace("reason: because", "reason: 5") + SWEEP)
    assert only == "4:9: reason: 5; expected text; put it in quotes: '5'"


def test_a_key_may_be_added_where_it_is_valid(entries, valid):
    text = valid.replace("environment: {use: shop, on: process, options: {size: small, colour: 7}}", "environment: shop")
    found = entries(text + "matrix: {environment.options.size: [small, large], faults.0.for: [5s]}\n")
    assert [(one.environment.use, one.environment.options, one.faults[0].for_s) for one in found] == [
        ("shop", {"size": "small"}, 5.0),
        ("shop", {"size": "large"}, 5.0),
    ]


def test_an_empty_value_may_be_filled(entries, valid):
    text = valid.replace("options: {size: small, colour: 7}", "options: ")
    assert [one.environment.options for one in entries(text + "matrix: {environment.options.size: [large]}\n")] == [
        {"size": "large"}
    ]


def test_variables_stand_in_the_matrix_too(entries, valid):
    text = valid + "matrix: {faults.1.for: [5s, '${LONG}', '${SHORT:-1s}']}\n"
    found = entries(text, variables={"LONG": "25s"})
    assert [one.entry for one in found] == ["for=5s", "for=25s", "for=1s"]
    assert problems(entries, text) == [
        "24:29: matrix.'faults.1.for'[1]: the variable 'LONG' is not defined (none are); give it a value with --var LONG=…"
    ]


def test_what_an_entry_stores_can_be_read_again(entries, read, valid):
    text = valid.replace("reason: because", 'reason: "Tabs\\t, bells \\a, \\x7f, 😀 and $${VARIABLES}:\\n- quotes"')
    for one in entries(text + SWEEP, options={"colour": "${red}"}):
        again = read(one.document)
        assert again.entry == ""
        for name in ("title", "reason", "environment", "load", "steady_state", "faults", "expect", "abort_if", "limits"):
            left, right = getattr(one, name), getattr(again, name)
            if name == "limits":
                left, right = left.for_s, right.for_s
            assert left == right, name
        assert one.entry in one.document.splitlines()[0]


def test_a_bomb_is_refused_before_it_is_built(entries, valid):
    axis = ", ".join(f"{number + 1}ms" for number in range(500))
    paths = ("faults.0.for", "faults.1.for", "faults.1.delay", "limits.for", "load.duration")
    (only,) = problems(entries, f"{valid}matrix: {{{', '.join(f'{path}: [{axis}]' for path in paths)}}}\n")
    assert only == (
        "24:9: matrix: has 500 x 500 x 500 x 500 x 500 = 31,250,000,000,000 entries; "
        f"expected at most {MOST_ENTRIES}; try fewer values, or write several documents"
    )


def test_a_large_document_has_few_entries(entries, valid):
    text = valid + f"# {'x y ' * 25}\n" * 5000
    most = LARGEST // (len(text) + 200)
    axis = ", ".join(f"{number + 1}ms" for number in range(most + 2))
    (only,) = problems(entries, f"{text}matrix: {{faults.1.for: [{axis}]}}\n")
    assert f"has {most + 2} entries; expected at most {most}" in only


def test_as_many_entries_as_allowed(entries, valid):
    axis = ", ".join(f"{number + 1}ms" for number in range(MOST_ENTRIES))
    assert len(entries(f"{valid}matrix: {{faults.1.for: [{axis}]}}\n")) == MOST_ENTRIES


def test_one_entry_is_chosen_by_its_id(read, valid):
    assert read(valid + SWEEP, entry="for=10s,size=large").faults[1].for_s == 10.0


@pytest.mark.parametrize(
    "entry, expected",
    [
        (
            "",
            (
                "shop.chaos.yaml:24:9: matrix: there are 2 entries (for=5s, for=9s); "
                "choose one by its id: chaos.run(…, entry='for=5s'), and chaos.entries(…) gives all of them"
            ),
        ),
        ("for=6s", "shop.chaos.yaml: entry: 'for=6s' is not an entry of the matrix (for=5s, for=9s). Did you mean 'for=9s'?"),
    ],
)
def test_a_reader_of_one_experiment_must_choose(read, valid, entry, expected):
    with pytest.raises(InvalidDocument) as caught:
        read(valid + "matrix: {faults.1.for: [5s, 9s]}\n", entry=entry)
    assert str(caught.value) == expected


def test_an_entry_of_nothing_is_a_mistake(read, valid):
    with pytest.raises(InvalidDocument) as caught:
        read(valid, entry="for=5s")
    assert str(caught.value) == "shop.chaos.yaml: entry for=5s: the document has no matrix, so it has no entries; leave it out"


@pytest.mark.parametrize(
    "matrix, is_valid",
    [
        ("{faults.0.for: [5s, 10s], limits: [{services: 1}]}", True),
        ("[{faults.0.for: 5s}]", True),
        ("{}", False),
        ("[]", False),
        ("[{}]", False),
        ("{faults.0.for: 5s}", False),
        ("{faults.0.for: []}", False),
        ("{faults.0.for: [5s, 5s]}", False),
        ("5", False),
    ],
)
def test_the_schema_and_the_reader_agree(registry, entries, valid, matrix, is_valid):
    text = f"{valid}matrix: {matrix}\n"
    validator = jsonschema.Draft202012Validator(schema(registry))
    assert validator.is_valid(YAML(typ="safe", pure=True).load(text)) is is_valid
    if is_valid:
        assert entries(text)
    else:
        assert problems(entries, text)


# What is there, what may be added, and what cannot be.
PATHS = """
    faults.0.for faults.1.at faults faults.1.between faults.1.between.0 load.mix.buy load.duration environment environment.options
    environment.options.size expect expect.0 limits title reason marks secrets chaoskit production nothing.at.all load.x faults.9
"""
paths = st.sampled_from(PATHS.split())
values = st.recursive(
    st.sampled_from(["5s", "10s", "shop", "till", "small", "money", True, False, None, 0, 1, 5, "", "50%"]) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["at", "for", "use", "size", "buy", "x", "a.b"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    axes=st.dictionaries(paths, st.lists(values, max_size=3), max_size=3)
    | st.lists(st.dictionaries(paths, values, max_size=3), max_size=4)
)
def test_whatever_is_swept_each_entry_is_whole_or_its_mistakes_have_a_place(axes, entries, registry, valid):
    text = f"{valid}matrix: {json.dumps(axes)}\n"
    try:
        found = entries(text)
    except InvalidDocument as error:
        found, mistakes = (), error.problems
    else:
        mistakes = ()
    assert all(problem.line is not None and problem.message for problem in mistakes)
    if mistakes:
        return
    ids = [one.entry for one in found]
    assert len(set(ids)) == len(ids) == (len(axes) if isinstance(axes, list) else math.prod(map(len, axes.values())))
    assert all(id_ and id_.isprintable() and "/" not in id_ and len(id_) < 200 for id_ in ids)
    for one in found:
        again = read_text(one.document, registry=registry)
        assert (again.title, again.environment, again.load, again.marks) == (one.title, one.environment, one.load, one.marks)
        assert (again.faults, again.expect) == (one.faults, one.expect)
