"""Files that are no experiment: each is one clear error, never a traceback and never a long wait."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chaoskit.documents import read
from chaoskit.model.errors import InvalidDocument


def problem(read_it, text: str) -> str:
    with pytest.raises(InvalidDocument) as caught:
        read_it(text)
    (found,) = caught.value.problems
    return str(found)


TEXTS = {
    "": "1:1: the file is empty; expected an experiment, beginning with 'chaoskit: 1'",
    "# only a comment\n": "1:1: the file is empty; expected an experiment, beginning with 'chaoskit: 1'",
    "just words": "1:1: 'just words'; expected an experiment, beginning with 'chaoskit: 1'",
    "- a\n- b": "1:1: a list; expected an experiment, beginning with 'chaoskit: 1'",
    "~": "1:1: it is empty; expected an experiment, beginning with 'chaoskit: 1'",
    "a: {b: [1, 2}": "1:13: not YAML: while parsing a flow sequence expected ',' or ']', but got '}'",
    "a: 1\n\tb: 2": "2:1: not YAML: while scanning for the next token found character '\\t' that cannot start any token",
    "a: \x00": "1:4: not YAML: special characters are not allowed",
    "a: &x 1\nb: *x": "1:4: a: anchors and aliases (& and *) are not part of documents; write the value out",
    "a: *x": "1:4: a: anchors and aliases (& and *) are not part of documents; write the value out",
    "a: !!python/object:os.system ls": "1:4: a: tags such as 'tag:yaml.org,2002:python/object:os.syste' are not part of documents; leave it out",
    "{a: 1}: 2": "1:1: expected a key of plain text",
    "a: 1\n---\nb: 2": "2:1: a second document begins; expected one document in a file",
    "%YAML 1.1\n---\na: 1": "2:1: expected no directives: documents are YAML 1.2",
    "[" * 100_000: "1:14: [0][0][0][0][0][0][0][0][0][0][0][0][0]: nested more than 12 levels deep",
    "a: " + "{a: " * 100_000: "1:52: a.a.a.a.a.a.a.a.a.a.a.a.a: nested more than 12 levels deep",
}


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text[:20]))
def test_text_that_is_no_document_is_one_problem(read, text):
    assert problem(read, text) == f"shop.chaos.yaml:{TEXTS[text]}"


def test_half_a_surrogate_pair_is_refused(read, valid):
    """It could be read, but no report could be written with it."""
    found = problem(read, valid.replace("because", r'"\ud800"'))
    assert found == "shop.chaos.yaml:4:9: reason: '\\ud800' holds half of a surrogate pair; expected text"


def test_a_key_of_strange_characters_is_quoted(read, valid):
    assert "'\\x1b[31m' is not a key here" in problem(read, valid + '"\\e[31m": 1\n')


def _files(folder: Path) -> dict[str, Path]:
    (folder / "big.yaml").write_bytes(b"#" * ((1 << 20) + 1))
    (folder / "latin.yaml").write_bytes(b"chaoskit: 1\ntitle: caf\xe9\n")
    os.mkfifo(folder / "pipe")
    return {name: folder / name for name in ("big.yaml", "latin.yaml", "pipe", "missing.yaml", "nul\0.yaml")} | {"folder": folder}


FILES = {
    "big.yaml": "is larger than 1 MiB; expected an experiment document",
    "latin.yaml": "2:11: byte 0xe9 is not UTF-8; save the file as UTF-8",
    "pipe": "is not a regular file; expected an experiment document such as database_failover.chaos.yaml",
    "missing.yaml": "cannot be read: No such file or directory; name an experiment document",
    "nul\0.yaml": "cannot be read: embedded null byte; name an experiment document",
    "folder": "is a folder; expected an experiment document such as database_failover.chaos.yaml",
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_read_is_one_problem(registry, tmp_path, name):
    path = _files(tmp_path)[name]
    with pytest.raises(InvalidDocument) as caught:
        read(path, registry=registry)
    (found,) = caught.value.problems
    assert str(found) == f"{path}:{FILES[name]}" if FILES[name][0].isdigit() else f"{path}: {FILES[name]}"


def test_reads_a_file_with_a_byte_order_mark_and_foreign_line_ends(registry, tmp_path, valid):
    path = tmp_path / "shop.chaos.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + valid.replace("\n", "\r\n").encode())
    experiment = read(path, registry=registry)
    assert experiment.title == "The shop survives a frozen store"
    assert experiment.source == str(path)
