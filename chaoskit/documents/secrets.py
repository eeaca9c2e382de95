"""The secrets of a document: what `!secret NAME` stands for, and what else of it must not be shown.

A stored document is read again long after its variables are gone: then `***` stands for each secret, as it does in its record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from chaoskit.documents.tree import Items, Node, Pairs, Problems, Scalar, Tree, parse
from chaoskit.model.errors import Problem
from chaoskit.model.history import EVENTS
from chaoskit.model.secrets import MARK, Secrets, url_passwords, why_unfit, without_url_passwords
from chaoskit.model.topology import Topology
from chaoskit.model.verdict import Result
from chaoskit.registry import Registry, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    value: str
    what: str
    node: Node | None
    where: str


class SecretValues:
    """Collects the secret values of one document, with the place of each. *environ* None is for a stored document."""

    def __init__(self, environ: Mapping[str, str] | None, problems: Problems) -> None:
        self._environ = environ
        self._problems = problems
        self._found: list[_Found] = []

    @property
    def secrets(self) -> Secrets:
        return Secrets(tuple(dict.fromkeys(one.value for one in self._found if one.value != MARK)))

    def again(self, problems: Problems) -> SecretValues:
        """The same values for another reading, whose mistakes go to *problems*."""
        made = SecretValues(self._environ, problems)
        made._found = list(self._found)
        return made

    def named(self, node: Node, name: str) -> str:
        """The value of the environment variable *name*; `***` when it has none, which is then a problem at *node*."""
        if self._environ is None:
            return MARK
        if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is None:
            return self._refused(node, f"{shown(name)} is not the name of an environment variable; expected one such as CORE_TOKEN")
        value = self._environ.get(name, "")
        if not value:
            how = "is empty" if name in self._environ else "is not set"
            return self._refused(node, f"the environment variable {name} of a secret {how}; set it where chaoskit is started")
        self._take(value, f"the value of {name}", node)
        return value

    def _refused(self, node: Node, message: str) -> str:
        self._problems.add(node, message)
        self._problems.settled.add(node.start)
        return MARK

    def look_through(self, root: Node, options: Mapping[str, str]) -> None:
        """Find the passwords of URLs in the document and in the options of the command line."""
        for node in _scalars(root):
            for password in url_passwords(node.text):
                self._take(password, f"a password of {node.secret}" if node.secret else "the password of this URL", node)
        for name, text in options.items():
            for password in url_passwords(text):
                self._take(password, "the password of this URL", None, where=f"--option {name}=…")

    def hold_against(self, registry: Registry, topology: Topology | None) -> None:
        """Report what cannot be replaced without spoiling the record: what is too short, and what is a part of a name in it."""
        names = _names_of_records(registry, topology)
        for one in self._found:
            unfit = why_unfit(one.value)
            if not unfit and any(one.value in name for name in names):
                unfit = "is a part of a name that the record needs, of a service, a journey, a fault or the like; use another value"
            if unfit:
                place = (one.node.line, one.node.column) if one.node else (None, None)
                self._problems.found.append(
                    Problem(
                        message=f"{one.what} {unfit}", file=self._problems.file, line=place[0], column=place[1], where=one.where
                    )
                )

    def stored(self, tree: Tree, instead: Mapping[Node, str]) -> str:
        """The document as it goes into the run folder, with *instead* at the place of nodes: it can be read again."""
        assert tree.root is not None
        secrets, replaced = self.secrets, dict(instead)
        for node in _scalars(tree.root):
            shown = secrets.redact(node.text)
            if shown == node.text or node.secret or any(other.start <= node.start < other.end for other in instead):
                continue
            # In quotes: a plain *** would be an alias. A block scalar's place runs to the next line, which must stay one.
            tail = "\n" if tree.text[node.start : node.end].endswith("\n") else ""
            replaced[node] = json.dumps(shown, ensure_ascii=False).replace("${", "$${") + tail
        text = tree.resolved(instead=replaced)
        stored = without_url_passwords(secrets.redact(text))  # comments, too
        if stored != text and _shape(stored) != _shape(text):
            message = "a secret stands in a key or between values; it cannot be replaced there without changing the document"
            self._problems.add(tree.root, message, where="")
        return stored

    def _take(self, value: str, what: str, node: Node | None, *, where: str = "") -> None:
        if self._environ is not None and value != MARK:
            self._found.append(_Found(value=value, what=what, node=node, where=node.where if node else where))


def _scalars(node: Node) -> Iterator[Scalar]:
    if isinstance(node, Scalar):
        yield node
    elif isinstance(node, Items):
        for one in node.nodes:
            yield from _scalars(one)
    elif isinstance(node, Pairs):
        for _, one in node.pairs:
            yield from _scalars(one)


def _shape(text: str) -> object:
    """The keys of a document and the number of its values; None when it cannot be read."""
    problems = Problems(file="")
    tree = parse(text, variables={}, problems=problems, secret_of=lambda _node, _name: MARK)

    def shape(node: Node | None) -> object:
        if isinstance(node, Pairs):
            return [(key.text, shape(value)) for key, value in node.pairs]
        return [shape(one) for one in node.nodes] if isinstance(node, Items) else ""

    return None if problems.found else shape(tree.root)


def _names_of_records(registry: Registry, topology: Topology | None) -> Iterable[str]:
    """What history and verdict are understood by."""
    yield from EVENTS
    yield from Result
    yield from registry.names("checks")
    yield from registry.names("places")
    yield from registry.names("probes")
    yield from (f"faults[0] {kind}" for kind in registry.names("faults"))
    if topology is not None:
        yield from (topology.name, *topology.service_names, *topology.role_names, *topology.journey_names)
        yield from (f"{link.client} -> {link.service}" for link in topology.links)
