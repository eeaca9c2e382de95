"""A machine's policy: YAML in, frozen policies out, or every mistake with its place. A file that is not there forbids nothing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from chaoskit.documents.fields import Fields
from chaoskit.documents.limits import WHAT, read_limits
from chaoskit.documents.reading import VERSION, check_version, text_of
from chaoskit.documents.tree import Node, Problems, parse
from chaoskit.model.errors import InvalidDocument, Problem
from chaoskit.model.policy import ChangeWindow, Permission, Policy, moment
from chaoskit.registry import shown

POLICY = {
    "chaoskit": f"{VERSION}, the version of the format",
    "limits": WHAT,
    "production": "true or false: whether this machine is part of production",
    "never_allow": f"a list of {', '.join(Permission)}",
    "change_windows": "a list of {from: …, until: …, why: …}",
}
WINDOW = {
    "from": "a time with its offset, such as 2026-11-25T08:00:00Z",
    "until": "a time with its offset, such as 2026-11-25T08:00:00Z",
    "why": "one line of text: what whoever is refused is told",
}
EXPECTED = "a policy, beginning with 'chaoskit: 1'"


def read_policies(paths: Iterable[Path]) -> tuple[Policy, ...]:
    """The policies in *paths*; one that does not exist is left out. Raises `InvalidDocument` with every mistake of all of them.

    A file that is there and cannot be read is a mistake: what it forbids is not known.
    """
    policies, problems = [], []
    for path in paths:
        if not _is_missing(path):
            policy, found = _read(path)
            problems += found
            policies.append(policy)
    if problems:
        raise InvalidDocument(tuple(problems))
    return tuple(policies)


def _is_missing(path: Path) -> bool:
    """Whether there is nothing at *path*. A link that leads nowhere is something: it was meant to lead to a policy."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:  # a folder that may not be looked into: reading it will say so
        return False
    return False


def _read(path: Path) -> tuple[Policy, list[Problem]]:
    problems = Problems(file=str(path))
    policy = Policy(source=str(path))
    try:
        tree = parse(text_of(path, problems, expected="a policy"), variables={}, problems=problems, expected=EXPECTED)
    except InvalidDocument as error:
        return policy, list(error.problems)
    if tree.root is not None:
        policy = _policy(tree.root, Fields(problems), str(path))
    return policy, sorted(problems.found, key=lambda problem: (problem.line or 0, problem.column or 0))


def _policy(root: Node, fields: Fields, source: str) -> Policy:
    given = fields.table(root, POLICY, required=("chaoskit",), what=EXPECTED) or {}
    check_version(given.get("chaoskit"), fields)
    return Policy(
        source=source,
        limits=read_limits(given.get("limits"), fields, source=source),
        production=fields.flag(given.get("production")) or False,
        never_allow=_permissions(given.get("never_allow"), fields),
        change_windows=_windows(given.get("change_windows"), fields),
    )


def _permissions(node: Node | None, fields: Fields) -> frozenset[Permission]:
    found = set()
    for item in fields.items(node, POLICY["never_allow"]):
        name = fields.name(item, expected=f"one of {', '.join(Permission)}")
        if name is not None and fields.one_of(item, name, [one.value for one in Permission], what="something that can be allowed"):
            found.add(Permission(name))
    return frozenset(found)


def _windows(node: Node | None, fields: Fields) -> tuple[ChangeWindow, ...]:
    windows = []
    for item in fields.items(node, POLICY["change_windows"]):
        given = fields.table(item, WINDOW, required=tuple(WINDOW), what="a window {from: …, until: …, why: …}") or {}
        begins, ends = _moment(given.get("from"), fields), _moment(given.get("until"), fields)
        why = fields.text(given.get("why"), longest=200, is_line=True)
        if begins is not None and ends is not None and begins >= ends:
            fields.wrong(given["until"], "is not after 'from'; expected a time after it")
        elif begins is not None and ends is not None and why is not None:
            windows.append(ChangeWindow(begins=begins, ends=ends, why=why))
    return tuple(windows)


def _moment(node: Node | None, fields: Fields) -> datetime | None:
    text = fields.text(node)
    if node is None or text is None:
        return None
    try:
        return moment(text)
    except ValueError as error:
        fields.problems.add(node, f"{shown(text)} ({error}); expected {WINDOW['from']}")
        return None
