"""Which fixtures a test can ask for, so that one that is missing is told when tests are collected, before any is run.

pytest has no public way to ask, so this looks at the session's fixture manager. Where a pytest has none, every fixture counts as
there, and pytest says at set-up what is missing: nothing but the moment changes.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

EXPECTED = "expected one that gives an environment which is up (pytest --fixtures lists those that there are)"
MADE_BY_US = "brings_up_an_environment_of_its_own"
"""The attribute of fixtures that `environment_fixture` has made: nobody else has what they give."""


def missing(item: pytest.Item, name: str) -> str:
    """What to say when there is no fixture *name* for *item*; "" when there is one."""
    found = _definitions(item, name)
    return f"there is no fixture {name!r} for this file; {EXPECTED}" if found is not None and not found else ""


def is_of_the_suite(item: pytest.Item, name: str) -> bool:
    """Whether *item* gets a fixture of that name which is not the plugin's own."""
    return any(one.func.__module__ != "chaoskit.pytest_plugin" for one in (_definitions(item, name) or ())[-1:])


def may_be_shared(item: pytest.Item, name: str) -> tuple[str, str] | None:
    """Where the fixture *name* stands, and its scope, when it serves several tests and may give what is not this process's own."""
    for one in (_definitions(item, name) or ())[-1:]:
        if one.scope != "function" and not _is_ours(item, name, seen=set()):
            code = getattr(one.func, "__code__", None)
            return (f"{code.co_filename}:{code.co_firstlineno}" if code else str(item.path)), one.scope
    return None


def _is_ours(item: pytest.Item, name: str, *, seen: set[str]) -> bool:
    """Whether it was made by `environment_fixture`, or asks for one that was."""
    seen.add(name)
    return any(
        hasattr(one.func, MADE_BY_US) or any(_is_ours(item, asked, seen=seen) for asked in one.argnames if asked not in seen)
        for one in (_definitions(item, name) or ())[-1:]
    )


def _definitions(item: pytest.Item, name: str) -> Sequence[pytest.FixtureDef[object]] | None:
    """Those that *item* sees, the one that it gets last; None where pytest does not let us look."""
    look = getattr(getattr(item.session, "_fixturemanager", None), "getfixturedefs", None)
    found: Sequence[pytest.FixtureDef[object]] | None = () if look is None else look(name, item)
    return None if look is None else found or ()
