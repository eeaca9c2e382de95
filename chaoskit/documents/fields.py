"""Reads single nodes of a document: numbers with units, names, text, mappings, lists.

Every method returns None (or nothing) for what is wrong, after it has added the problem, so that the caller goes on and one reading
finds everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from chaoskit.documents.quantities import WrongQuantity
from chaoskit.documents.quantities import parse as parse_quantity
from chaoskit.documents.tree import Items, Node, Pairs, Problems, Scalar
from chaoskit.model.errors import ChaoskitError
from chaoskit.model.units import Unit
from chaoskit.registry import nearest, not_one_of, shown

T = TypeVar("T")
A = TypeVar("A")

LONGEST_TEXT = 4000
"""A reason is a paragraph; a title one line of at most a twentieth of this."""


class Fields:
    """Reads nodes and collects `problems`."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems

    def quantity(self, node: Node | None, unit: Unit, *, is_zero_allowed: bool = True) -> float | None:
        if node is None:
            return None
        if self._is_secret(node, f"a {unit.value}"):
            return None
        given = node.value if isinstance(node, Scalar) else None
        try:
            number = parse_quantity(given, unit)
        except WrongQuantity as error:
            self.wrong(node, str(error))
            return None
        if number == 0 and not is_zero_allowed:
            self.wrong(node, f"expected a {unit.value} above 0")
            return None
        return number

    def text(self, node: Node | None, *, longest: int = LONGEST_TEXT, is_line: bool = False) -> str | None:
        if node is None:
            return None
        if not isinstance(node, Scalar) or not isinstance(node.value, str) or not node.value.strip():
            self.wrong(node, "expected text" + (f"; put it in quotes: '{unquoted}'" if (unquoted := _unquoted(node)) else ""))
            return None
        text = node.value.strip()
        if is_line and not text.isprintable():
            self.wrong(node, "expected one line of printable text")
            return None
        if len(text) > longest:
            self.wrong(node, f"has {len(text)} characters; expected at most {longest}")
            return None
        return text

    def name(self, node: Node, *, expected: str = "a name") -> str | None:
        if self._is_secret(node, expected):
            return None
        if not isinstance(node, Scalar) or not isinstance(node.value, str) or not node.value:
            self.wrong(node, f"expected {expected}")
            return None
        return node.value

    def flag(self, node: Node | None) -> bool | None:
        if node is None:
            return None
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        self.wrong(node, "expected true or false")
        return None

    def one_of(self, node: Node, name: str, valid: Iterable[str], *, what: str) -> bool:
        names = tuple(valid)
        if name not in names:
            self.problems.add(node, not_one_of(name, names, what=what))
        return name in names

    def table(self, node: Node, keys: Mapping[str, str], *, required: Sequence[str], what: str) -> dict[str, Node] | None:
        """The values of a mapping by key, after unknown and missing keys have been reported. *keys* say what each expects."""
        if not isinstance(node, Pairs):
            self.wrong(node, f"expected {what}")
            return None
        self.keys(node, keys, required=required)
        return {key.text: value for key, value in node.pairs if key.text in keys}

    def keys(self, node: Node, keys: Mapping[str, str], *, required: Iterable[str]) -> None:
        """Report keys that are unknown or missing. A misspelt key is reported once: the one that was meant is not missing too."""
        given = node.pairs if isinstance(node, Pairs) else ()
        names = sorted(keys)
        unknown = [key for key, _ in given if key.text not in keys]
        for key in unknown:
            self.problems.add(key, not_one_of(key.text, names, what="a key here"), where=node.where)
        there = {key.text for key, _ in given} | {nearest(key.text, names) for key in unknown}
        for name in required:
            if name not in there:
                self.problems.add(node, f"{name!r} is missing; expected {keys[name]}")

    def pairs(self, node: Node | None, expected: str) -> tuple[tuple[Scalar, Node], ...]:
        if node is None:
            return ()
        if isinstance(node, Pairs) and node.pairs:
            return node.pairs
        self.wrong(node, f"expected {expected}")
        return ()

    def items(self, node: Node | None, expected: str) -> tuple[Node, ...]:
        if node is None:
            return ()
        if isinstance(node, Items):
            return node.nodes
        self.wrong(node, f"expected {expected}")
        return ()

    def _is_secret(self, node: Node, expected: str) -> bool:
        """Whether it is a secret where none may be; it is reported then."""
        if not isinstance(node, Scalar) or not node.secret:
            return False
        self.problems.add(
            node, f"a secret stands where {expected} is expected, which the record must show; only text and options can be secret"
        )
        return True

    def look_up(self, node: Node, call: Callable[[A], T], asked: A) -> T | None:
        """What *call* finds; its refusal (no such name, a part that cannot be loaded) is a problem at *node*."""
        try:
            return call(asked)
        except ChaoskitError as error:
            self.problems.add(node, str(error))
            return None

    def wrong(self, node: Node, expected: str) -> None:
        """Report what *node* holds and what was expected; a message that begins with a verb follows the value directly."""
        given = ""
        if isinstance(node, Scalar):
            given = shown(node.value) if isinstance(node.value, str) else node.text[:80]
            given = f"!secret {node.secret}" if node.secret else given
        if isinstance(node, Scalar) and node.value is None:
            given = "it is empty" if expected.startswith("expected") else "an empty value"
        elif isinstance(node, Items):
            given = "a list" if node.nodes else "an empty list"
        elif isinstance(node, Pairs):
            given = "a mapping" if node.pairs else "an empty mapping"
        self.problems.add(node, f"{given}{'; ' if expected.startswith('expected') else ' '}{expected}")


def _unquoted(node: Node) -> str | None:
    """What was written, if quotes would make it text: a number, true or false."""
    return node.text if isinstance(node, Scalar) and isinstance(node.value, int | float) else None
