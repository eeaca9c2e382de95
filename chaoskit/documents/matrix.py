"""`matrix:` of a document: paths and the values to try there -> one whole document for each combination.

An entry's nodes keep the place where they are written, be it in the matrix or outside, so that a mistake is told where it stands.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from chaoskit.documents.fields import Fields
from chaoskit.documents.tree import Items, Node, Pairs, Scalar, written
from chaoskit.model.secrets import Secrets, without_url_passwords
from chaoskit.registry import nearest, shown

MOST_ENTRIES = 256
"""A run takes a minute or more, so these take a night. Each entry is read by itself when the document is read."""
LARGEST = 16 << 20
"""All entries written out, in bytes. 256 of the reference experiments have half of a MiB; a large document is read as often."""
LONGEST_LABEL = 32
"""Of one value in an id; file names have at most 255 bytes and most terminals 200 columns."""
LONGEST_ID = 120

WHAT = "{PATH: [VALUE, …], …}, such as {faults.0.for: [5s, 20s]}, or a list of {PATH: VALUE, …}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One document of the matrix. `id` is "" for a document without one."""

    id: str
    root: Node


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cell:
    """One value at one path. `number` counts the values of the path, from 1."""

    key: Scalar
    steps: tuple[str, ...]
    value: Node
    number: int


def entries(root: Node, fields: Fields, *, size: int, secrets: Secrets) -> tuple[Entry, ...]:
    """Every entry of the document at *root*, whose text has *size* characters; itself when it has no matrix.

    Mistakes of the matrix are added to the problems; the rest of the document is then still read, without what is wrong of it.
    """
    node = next((value for key, value in root.pairs if key.text == "matrix"), None) if isinstance(root, Pairs) else None
    if node is None or not isinstance(root, Pairs):
        return (Entry(id="", root=root),)
    plain = replace(root, pairs=tuple(pair for pair in root.pairs if pair[1] is not node))
    reader = _Matrix(plain, fields)
    axes = reader.combinations(node) if isinstance(node, Items) else reader.axes(node)
    count = sum(map(len, axes)) if isinstance(node, Items) else math.prod(map(len, axes))
    if count > MOST_ENTRIES or count * size > LARGEST:
        most = max(1, min(MOST_ENTRIES, LARGEST // max(size, 1)))
        how = " x ".join(str(len(axis)) for axis in axes) + " = " if isinstance(node, Pairs) and len(axes) > 1 else ""
        fields.problems.add(
            node, f"has {how}{count:,} entries; expected at most {most}; try fewer values, or write several documents"
        )
        return (Entry(id="", root=plain),)
    combined = [one for axis in axes for one in axis] if isinstance(node, Items) else map(_joined, itertools.product(*axes))
    found = [cells for cells in combined if cells]
    ids = _ids(found, secrets)
    return tuple(Entry(id=id_, root=_titled(_filled(plain, cells), id_)) for id_, cells in zip(ids, found, strict=True)) or (
        Entry(id="", root=plain),
    )


class _Matrix:
    """Reads the matrix of the document *plain*."""

    def __init__(self, plain: Pairs, fields: Fields) -> None:
        self._plain = plain
        self._fields = fields

    def axes(self, node: Node) -> list[list[tuple[_Cell, ...]]]:
        """For each path the values to try there."""
        axes: list[list[tuple[_Cell, ...]]] = []
        taken: dict[tuple[str, ...], Scalar] = {}
        for key, value in self._fields.pairs(node, WHAT):
            steps = self._path(key, taken)
            items = self._fields.items(value, "a list of the values to try there, such as [5s, 20s]")
            if isinstance(value, Items) and not items:
                self._fields.problems.add(value, "the list is empty; expected the values to try there")
            axis: list[tuple[_Cell, ...]] = []
            first: dict[str, Node] = {}
            for number, item in enumerate(items, start=1):
                there = first.setdefault(written(item), item)
                if there is not item:
                    self._fields.problems.add(item, f"the value stands at {there.where} already; leave one of them out")
                elif steps is not None:
                    axis.append((_Cell(key=key, steps=steps, value=item, number=number),))
            if axis:
                axes.append(axis)
        return axes

    def combinations(self, node: Items) -> list[list[tuple[_Cell, ...]]]:
        """The combinations that are written out, each by itself."""
        found, first, numbers = [], dict[frozenset[tuple[tuple[str, ...], str]], Node](), dict[tuple[str, ...], list[str]]()
        if not node.nodes:
            self._fields.wrong(node, f"expected {WHAT}")
        for item in node.nodes:
            cells, taken = [], dict[tuple[str, ...], Scalar]()
            for key, value in self._fields.pairs(item, "a mapping such as {faults.0.for: 5s}"):
                steps = self._path(key, taken)
                if steps is not None:
                    values = numbers.setdefault(steps, [])
                    if written(value) not in values:
                        values.append(written(value))
                    cells.append(_Cell(key=key, steps=steps, value=value, number=values.index(written(value)) + 1))
            there = first.setdefault(frozenset((cell.steps, written(cell.value)) for cell in cells), item)
            if there is not item and cells:
                self._fields.problems.add(item, f"the combination stands at {there.where} already; leave one of them out")
            elif cells:
                found.append([tuple(cells)])
        return found

    def _path(self, key: Scalar, taken: dict[tuple[str, ...], Scalar]) -> tuple[str, ...] | None:
        """The steps of a path of the document, after whatever is wrong with it has been reported."""
        steps = tuple(re.sub(r"\[(\d+)\]", r".\1", key.text).split("."))
        reason = _no_way(self._plain, steps)
        if reason:
            near = nearest(".".join(steps), [".".join(path) for path in _paths(self._plain)])
            hint = f". Did you mean {near!r}?" if near else ""
            self._fields.problems.add(key, f"{shown(key.text)} is no path of this document: {reason}{hint}", where="matrix")
            return None
        for other, first in taken.items():
            if steps[: len(other)] == other or other[: len(steps)] == steps:
                self._fields.problems.add(
                    key, f"{shown(key.text)} and {shown(first.text)} overlap; leave one of them out", where="matrix"
                )
                return None
        taken[steps] = key
        return steps


def _no_way(node: Node, steps: Sequence[str]) -> str:
    """Why *steps* cannot be followed; "" when they can. A key that is not there can be added; whether it is valid is seen later."""
    if "" in steps:
        return "expected keys and numbers with dots between them, such as faults.0.for"
    if steps[0] == "matrix":
        return "the matrix is not a part of its entries"
    for number, step in enumerate(steps):
        node = _opened(node)
        so_far = ".".join(steps[:number])
        if isinstance(node, Items):
            if not _INDEX.fullmatch(step):
                return f"{so_far} is a list; expected a number after it, such as {so_far}.0"
            if int(step) >= len(node.nodes):
                return f"{so_far} has {len(node.nodes)} of them, counted from 0"
            node = node.nodes[int(step)]
        elif isinstance(node, Pairs):
            there = next((value for key, value in node.pairs if key.text == step), None)
            if there is None:
                later = next((one for one in steps[number + 1 :] if _INDEX.fullmatch(one)), None)
                return f"{'.'.join(steps[: number + 1])} is not there" if later else ""
            node = there
        else:
            return f"{so_far} holds one value and no others"
    return ""


def _filled(root: Pairs, cells: Iterable[_Cell]) -> Node:
    node: Node = root
    for cell in cells:
        node = _with(node, cell.steps, cell)
    return node


def _with(node: Node, steps: Sequence[str], cell: _Cell) -> Node:
    """*node* with the value of *cell* where *steps* lead from it."""
    if not steps:
        return _moved(cell.value, cell.value.where, node.where)
    node, step = _opened(node), steps[0]
    if isinstance(node, Items):
        nodes = list(node.nodes)
        nodes[int(step)] = _with(nodes[int(step)], steps[1:], cell)
        return replace(node, nodes=tuple(nodes))
    assert isinstance(node, Pairs), "the path was looked at before"
    if any(key.text == step for key, _ in node.pairs):
        return replace(node, pairs=tuple((k, _with(v, steps[1:], cell) if k.text == step else v) for k, v in node.pairs))
    where = f"{node.where}.{step}" if node.where else step
    key = replace(cell.key, where=where, value=step, text=step)
    nothing = Pairs(where=where, line=key.line, column=key.column, start=key.start, end=key.end, pairs=())
    return replace(node, pairs=(*node.pairs, (key, _with(nothing, steps[1:], cell))))


def _opened(node: Node) -> Node:
    """*node*, or the mapping that a short form of it stands for: `environment: bank`, or a key without a value."""
    if not isinstance(node, Scalar):
        return node
    pairs: tuple[tuple[Scalar, Node], ...] = ()
    if node.where == "environment" and isinstance(node.value, str) and node.value:
        pairs = ((replace(node, value="use", text="use", where="environment.use"), replace(node, where="environment.use")),)
    elif node.value is not None:
        return node
    return Pairs(where=node.where, line=node.line, column=node.column, start=node.start, end=node.end, pairs=pairs)


def _moved(node: Node, old: str, new: str) -> Node:
    """*node* with its place in the document it is put into: messages call it by that."""
    where = new + node.where[len(old) :]
    if isinstance(node, Items):
        return replace(node, where=where, nodes=tuple(_moved(one, old, new) for one in node.nodes))
    if isinstance(node, Pairs):
        pairs = ((replace(key, where=new + key.where[len(old) :]), _moved(value, old, new)) for key, value in node.pairs)
        return replace(node, where=where, pairs=tuple(pairs))
    return replace(node, where=where)


def _titled(root: Node, id_: str) -> Node:
    """The entry's title has its id behind it: it is what tells run folders and reports apart."""
    if not isinstance(root, Pairs):
        return root
    pairs: list[tuple[Scalar, Node]] = []
    for key, value in root.pairs:
        if (
            key.text == "title"
            and isinstance(value, Scalar)
            and isinstance(value.value, str)
            and not value.secret
            and value.value.strip()
        ):
            text = f"{value.value.strip()} [{id_}]"
            pairs.append((key, replace(value, value=text, text=text)))
        else:
            pairs.append((key, value))
    return replace(root, pairs=tuple(pairs))


def _paths(node: Node, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if before:
        yield before
    if isinstance(node, Items):
        for number, one in enumerate(node.nodes):
            yield from _paths(one, (*before, str(number)))
    elif isinstance(node, Pairs):
        for key, one in node.pairs:
            yield from _paths(one, (*before, key.text))


def _ids(found: Sequence[tuple[_Cell, ...]], secrets: Secrets) -> list[str]:
    """A name for each entry: the same document gives the same names, and a value that is added changes no other's."""
    names = _names({cell.steps for cells in found for cell in cells})
    ids: list[str] = []
    taken: set[str] = set()
    for cells in found:
        id_ = ",".join(f"{names[cell.steps]}={_label(cell, secrets)}" for cell in cells)[:LONGEST_ID]
        alike = itertools.count(2)
        unique = id_
        while unique.casefold() in taken:  # some file systems do not tell A from a
            unique = f"{id_}-{next(alike)}"
        taken.add(unique.casefold())
        ids.append(unique)
    return ids


def _names(paths: set[tuple[str, ...]]) -> dict[tuple[str, ...], str]:
    """The shortest end of each path that is not another one's, and that begins with a key."""
    names = {}
    for path in paths:
        for length in range(1, len(path) + 1):
            end = path[-length:]
            if not _INDEX.fullmatch(end[0]) and not any(other[-length:] == end for other in paths if other != path):
                break
        names[path] = _UNSAFE.sub("-", ".".join(end))
    return names


def _label(cell: _Cell, secrets: Secrets) -> str:
    node = cell.value
    if isinstance(node, Items) and node.nodes and all(isinstance(one, Scalar) and not one.secret for one in node.nodes):
        text = "+".join(one.text for one in node.nodes if isinstance(one, Scalar))
    elif isinstance(node, Scalar):
        text = node.secret or node.text
    else:
        return f"variant{cell.number}"
    label = _UNSAFE.sub("-", text).strip("-")
    if not label or len(label) > LONGEST_LABEL or without_url_passwords(secrets.redact(text)) != text:
        return f"variant{cell.number}"
    return label


def _joined(parts: Iterable[tuple[_Cell, ...]]) -> tuple[_Cell, ...]:
    return tuple(itertools.chain.from_iterable(parts))


_INDEX = re.compile(r"[0-9]{1,6}")
_UNSAFE = re.compile(r"[^A-Za-z0-9._%+-]+")
"""What is awkward in a file name, a shell, or the id of a test."""
