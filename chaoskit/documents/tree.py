"""YAML text -> nodes that know their place. YAML 1.2 with what a document does not need left out.

Aliases, anchors, tags other than `!secret` and second documents are refused: they are what turns a small file into a huge value.
Scalars are resolved here, by the core schema, since `${NAME}` must be filled in first and then be read as if its value had been
written there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from chaoskit.model.errors import Problem
from chaoskit.registry import shown

SECRET = "!secret"
"""The one tag of documents: the value of an environment variable, which is never shown."""
DEEPEST = 12
"""A document needs six levels; the limit keeps a hostile one from exhausting the stack."""
MOST_NODES = 3_000
"""Keys and values of one file; the reference experiments have about a hundred. Reading so many takes a third of a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """`line` and `column` count from 1; `start` and `end` are offsets into the text."""

    where: str
    line: int
    column: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar(Node):
    """`value` is `text` resolved: a plain `5` is a number, a quoted one is text."""

    value: str | int | float | bool | None
    text: str
    secret: str = ""
    """The environment variable that it comes from, if it was written `!secret NAME`: it is then always text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Items(Node):
    """A list."""

    nodes: tuple[Node, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs(Node):
    """A mapping. Keys are text, each once."""

    pairs: tuple[tuple[Scalar, Node], ...]


@dataclass(slots=True)
class Problems:
    """Collects mistakes, so that all of them are reported at once."""

    file: str
    found: list[Problem] = field(default_factory=list)
    settled: set[int] = field(default_factory=set)
    """Offsets of values that are known to be wrong: nothing more is said of them."""

    def add(self, node: Node, message: str, *, where: str | None = None) -> None:
        if node.start in self.settled and isinstance(node, Scalar):
            return
        self.found.append(
            Problem(
                message=message, file=self.file, line=node.line, column=node.column, where=node.where if where is None else where
            )
        )

    def add_at(self, message: str, *, line: int | None = None, column: int | None = None) -> None:
        self.found.append(Problem(message=message, file=self.file, line=line, column=column))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """`root` is None when the text is no YAML document. `changes` are (start, end, new text) of scalars with variables."""

    root: Node | None
    text: str
    changes: tuple[tuple[int, int, str], ...]
    variables: frozenset[str]
    """The variables that it names."""

    def resolved(self, *, instead: Mapping[Node, str] | None = None) -> str:
        """The text with its variables filled in, and with the text given in *instead* at the place of a node."""
        replaced = [(node.start, node.end, new) for node, new in (instead or {}).items()]
        kept = [change for change in self.changes if not any(start <= change[0] < end for start, end, _ in replaced)]
        parts, done = [], 0
        for start, end, new in sorted(kept + replaced):
            parts += [self.text[done:start], new]
            done = end
        return "".join((*parts, self.text[done:]))


def parse(
    text: str,
    *,
    variables: Mapping[str, str],
    problems: Problems,
    secret_of: Callable[[Node, str], str] | None = None,
    expected: str = "an experiment, beginning with 'chaoskit: 1'",
) -> Tree:
    """The tree of *text*. Mistakes of form and of variables are added to *problems*; *expected* is what should be there.

    *secret_of* gives the value of `!secret NAME`; None refuses the tag.
    """
    builder = _Builder(text, variables, problems, secret_of, expected)
    root = builder.build()
    return Tree(root=root, text=text, changes=tuple(builder.changes), variables=frozenset(builder.named))


def written(node: Node) -> str:
    """A value in one line, as it can stand in a document: its variables are filled in, its secrets are named."""
    if isinstance(node, Items):
        return f"[{', '.join(written(one) for one in node.nodes)}]"
    if isinstance(node, Pairs):
        return f"{{{', '.join(f'{_key_written(key)}: {written(value)}' for key, value in node.pairs)}}}"
    assert isinstance(node, Scalar)
    if node.secret:
        return f"{SECRET} {node.secret}"
    is_plain = not isinstance(node.value, str) or isinstance(_resolved(node.text), str)
    return _as_written(node.text, is_plain=is_plain)


def written_out(root: Pairs) -> str:
    """A whole document: one line for each key, and for each entry of its lists."""
    lines = []
    for key, value in root.pairs:
        if isinstance(value, Items) and value.nodes:
            lines += [f"{_key_written(key)}:", *(f"  - {written(one)}" for one in value.nodes)]
        else:
            lines.append(f"{_key_written(key)}: {written(value)}")
    return "".join(f"{line}\n" for line in lines)


class _Stop(Exception):
    """The rest of the text cannot be read sensibly; the problem has been added."""


class _Builder:
    def __init__(
        self,
        text: str,
        variables: Mapping[str, str],
        problems: Problems,
        secret_of: Callable[[Node, str], str] | None,
        expected: str,
    ) -> None:
        self._text = text
        self._secret_of = secret_of
        self._expected = expected
        self._variables = variables
        self._problems = problems
        self.changes: list[tuple[int, int, str]] = []
        self.named: set[str] = set()
        self._nodes = 0

    def build(self) -> Node | None:
        from ruamel.yaml import YAML
        from ruamel.yaml.error import MarkedYAMLError

        try:
            return self._document(YAML(typ="safe", pure=True).parse(_VARIABLE.sub(_masked, self._text)))
        except _Stop:
            return None
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            message = _unmasked(" ".join(part for part in (error.context, error.problem) if part))
            self._problems.add_at(
                f"not YAML: {message}", line=mark.line + 1 if mark else None, column=mark.column + 1 if mark else None
            )
        except MemoryError:
            raise
        except Exception as error:  # the parser answers some strange input with errors of other kinds
            position = getattr(error, "position", None)
            before = self._text[:position] if isinstance(position, int) else None
            line = before.count("\n") + 1 if before is not None else None
            column = len(before) - before.rfind("\n") if before is not None else None
            reason = getattr(error, "reason", None) or f"{type(error).__name__}: {error}"
            self._problems.add_at(f"not YAML: {reason}", line=line, column=column)
        return None

    # ruamel's events have no type information worth having, hence Any.
    def _document(self, events: Iterator[Any]) -> Node | None:
        root = None
        for event in events:
            kind = type(event).__name__
            if kind == "DocumentStartEvent":
                if root is not None:
                    self._stop(event, "a second document begins; expected one document in a file")
                if event.version not in (None, (1, 2)) or event.tags:
                    self._stop(event, "expected no directives: documents are YAML 1.2")
                root = self._node(next(events), events, where="", depth=0)
        if root is None:
            self._problems.add_at(f"the file is empty; expected {self._expected}", line=1, column=1)
        return root

    def _node(self, event: Any, events: Iterator[Any], *, where: str, depth: int) -> Node:
        kind = type(event).__name__
        if kind == "AliasEvent" or event.anchor is not None:
            self._stop(event, "anchors and aliases (& and *) are not part of documents; write the value out", where)
        known = ("!", SECRET) if self._secret_of is not None else ("!",)
        if event.tag is not None and not (kind == "ScalarEvent" and str(event.tag) in known):
            self._stop(event, f"tags such as {str(event.tag)[:40]!r} are not part of documents; leave it out", where)
        if depth > DEEPEST:
            self._stop(event, f"nested more than {DEEPEST} levels deep", where)
        self._nodes += 1
        if self._nodes > MOST_NODES:
            self._stop(event, f"more than {MOST_NODES:,} keys and values; divide it into several files", where)
        place = {
            "where": where,
            "line": event.start_mark.line + 1,
            "column": event.start_mark.column + 1,
            "start": event.start_mark.index,
        }
        if kind == "ScalarEvent":
            return self._scalar(event, place)
        if kind == "SequenceStartEvent":
            nodes: list[Node] = []
            while type(event := next(events)).__name__ != "SequenceEndEvent":
                nodes.append(self._node(event, events, where=f"{where}[{len(nodes)}]", depth=depth + 1))
            return Items(**place, end=_end(nodes, event), nodes=tuple(nodes))
        pairs: dict[str, tuple[Scalar, Node]] = {}
        last: list[Node] = []
        while type(event := next(events)).__name__ != "MappingEndEvent":
            key = self._key(event, where)
            value = self._node(next(events), events, where=key.where, depth=depth + 1)
            if isinstance(value, Scalar) and value.start == value.end:
                # The parser places a value that is not there at the next thing in the file.
                value = replace(value, line=key.line, column=key.column)
            last = [value]
            if key.text in pairs:
                first = pairs[key.text][0]
                self._problems.add(key, f"the key {key.text!r} is given twice; it stands in line {first.line} already", where=where)
            else:
                pairs[key.text] = (key, value)
        return Pairs(**place, end=_end(last, event), pairs=tuple(pairs.values()))

    def _key(self, event: Any, where: str) -> Scalar:
        if type(event).__name__ != "ScalarEvent" or event.anchor is not None or event.tag is not None:
            self._stop(event, "expected a key of plain text", where)
        self._nodes += 1
        mark = event.start_mark
        text = _unmasked(str(event.value))
        name = text if re.fullmatch(r"[\w-]{1,40}", text) else shown(text)
        return Scalar(
            where=f"{where}.{name}" if where else name,
            line=mark.line + 1,
            column=mark.column + 1,
            start=mark.index,
            end=event.end_mark.index,
            value=text,
            text=text,
        )

    def _scalar(self, event: Any, place: Mapping[str, Any]) -> Scalar:
        written, is_plain = _unmasked(str(event.value)), event.style is None
        end = event.end_mark.index
        if self._secret_of is not None and event.tag is not None and str(event.tag) == SECRET:
            # Its slice stays what was written: a value is never put into the stored document.
            node = Scalar(**place, end=end, value=written, text=written)
            value = self._secret_of(node, written)
            return replace(node, value=value, text=value, secret=written)
        node = Scalar(**place, end=end, value=_resolved(written) if is_plain else written, text=written)
        if not _is_text(written):
            self._problems.add(node, f"{shown(written)} holds half of a surrogate pair; expected text")
        if "${" not in written:
            return node
        before = len(self._problems.found)
        text = self._filled(node)
        if len(self._problems.found) > before:
            self._problems.settled.add(node.start)
        # A block scalar's slice runs to the next line, which must stay one.
        tail = "\n" if self._text[node.start : end].endswith("\n") else ""
        self.changes.append((node.start, end, _as_written(text, is_plain=is_plain) + tail))
        return Scalar(**place, end=end, value=_resolved(text) if is_plain else text, text=text)

    def _filled(self, node: Scalar) -> str:
        def fill(match: re.Match[str]) -> str:
            if match["escaped"]:
                return "${"
            if match["name"] is None:
                self._problems.add(
                    node, f"{match[0]!r} is not a variable; expected ${{NAME}} or ${{NAME:-default}}, or $${{ for the text itself"
                )
                return match[0]
            self.named.add(match["name"])
            default: str | None = match["default"]
            value = self._variables.get(match["name"]) if match["name"] in self._variables else default
            if value is None:
                names = ", ".join(sorted(self._variables)) or "none are"
                self._problems.add(
                    node, f"the variable {match['name']!r} is not defined ({names}); give it a value with --var {match['name']}=…"
                )
                return match[0]
            if not value.isprintable():
                self._problems.add(node, f"the variable {match['name']!r} is {value!r}; expected printable text of one line")
            return value

        return _VARIABLE.sub(fill, node.text)

    def _stop(self, event: Any, message: str, where: str = "") -> None:
        mark = event.start_mark
        self._problems.found.append(
            Problem(message=message, file=self._problems.file, line=mark.line + 1, column=mark.column + 1, where=where)
        )
        raise _Stop


_VARIABLE = re.compile(r"(?P<escaped>\$\$\{)|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}\n]*))?\}|\$\{[^}\n]{0,40}\}?")
# In `{at: ${AT}}` the braces would be YAML's. So the parser is shown characters for private use in their place, as many
# as there were.
_OPEN, _CLOSE = "\ue000\ue000", "\ue001"
_SAFE_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.%/+-]*")
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: Mapping[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
}


def _resolved(text: str) -> str | int | float | bool | None:
    """A plain scalar by YAML's core schema, but for octal and hexadecimal numbers, which stay text."""
    if text in _WORDS:
        return _WORDS[text]
    # More digits than a float can tell apart become a float, however many: never a slow conversion.
    if len(text) <= 15 and _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _key_written(key: Scalar) -> str:
    """A key. It is text however it is written, and `${` stays in it."""
    return key.text if _SAFE_PLAIN.fullmatch(key.text) else _quoted(key.text)


def _as_written(text: str, *, is_plain: bool) -> str:
    """A scalar's text with `${` escaped, and in quotes where it would be read as something else without."""
    escaped = text.replace("${", "$${")
    if is_plain and (_SAFE_PLAIN.fullmatch(escaped) is not None or not isinstance(_resolved(text), str)):
        return escaped or "~"
    return _quoted(escaped)


def _quoted(text: str) -> str:
    # YAML allows these in quotes only as escapes, and JSON does not escape them.
    return re.sub(r"[\x7f-\x9f\ufeff\ufffe\uffff]", lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False))


def _masked(match: re.Match[str]) -> str:
    return f"{_OPEN}{match[0][2:-1]}{_CLOSE}" if match["name"] else match[0]


def _unmasked(text: str) -> str:
    return text.replace(_OPEN, "${").replace(_CLOSE, "}")


def _is_text(text: str) -> bool:
    """Whether it can be written to a file: half of a surrogate pair, which YAML can write as an escape, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _end(nodes: list[Node], event: Any) -> int:
    """Where a list or mapping really ends: a block one's own mark is at the next key, behind comments."""
    is_flow = event.end_mark.index > event.start_mark.index
    return int(event.end_mark.index) if is_flow or not nodes else nodes[-1].end
