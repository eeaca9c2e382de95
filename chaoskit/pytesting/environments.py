"""Environments as fixtures: brought up when the first test asks, taken down whatever happens."""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypeVar, overload

import pytest

from chaoskit.model.errors import CannotHeal, UsageError
from chaoskit.model.protocols import Environment
from chaoskit.pytest_plugin import session_of
from chaoskit.pytesting.lookup import MADE_BY_US

E = TypeVar("E", bound=Environment)
Scope = Literal["session", "package", "module", "class", "function"]
LOG = logging.getLogger("chaoskit")


@contextlib.contextmanager
def running(
    environment: E, *, is_stopping: Callable[[], bool] = lambda: False, say: Callable[[str], None] = LOG.info
) -> Iterator[E]:
    """The environment is up inside the block, and down afterwards, also when it did not come up. Works without a test.

    Raises `CannotHeal` when something of it is left.
    """
    try:
        environment.up(is_stopping=is_stopping, say=say)
        yield environment
    except BaseException as error:
        try:
            environment.down()
        except CannotHeal as left:  # it must not hide why this was left
            error.add_note(f"CannotHeal: {left}")
        raise
    environment.down()


@overload
def environment_fixture(build: Callable[..., Environment], /) -> Callable[..., object]: ...


@overload
def environment_fixture(
    *,
    scope: Scope | Callable[[str, pytest.Config], Scope] = "function",
    name: str | None = None,
    params: Sequence[object] | None = None,
    ids: Sequence[str] | None = None,
    once: bool = False,
) -> Callable[[Callable[..., Environment]], Callable[..., object]]: ...


def environment_fixture(
    build: Callable[..., Environment] | None = None,
    /,
    *,
    scope: Scope | Callable[[str, pytest.Config], Scope] = "function",
    name: str | None = None,
    params: Sequence[object] | None = None,
    ids: Sequence[str] | None = None,
    once: bool = False,
) -> Callable[..., object]:
    """Makes a fixture of a function that builds an environment, which asks for fixtures by its arguments as any fixture does.

        @environment_fixture(scope="module")
        def payments(tmp_path_factory):
            env = ContainerEnvironment(logs=tmp_path_factory.mktemp("logs"))
            env.add("payments", DockerContainer("acme/payments"), ports=(8080,))
            return env

    The function only builds it: the fixture brings it up, and takes it down also when a later set-up fails, on Ctrl-C and SIGTERM.
    Each worker of pytest-xdist has a copy of its own, whatever the scope. With *once*, which takes the scope `session`, the first
    worker that asks brings it up for all, and takes it down after the last one; the function is called in each, and must declare
    the same. The other arguments are those of `pytest.fixture`.
    """
    if once:
        from chaoskit.pytesting import once as _  # noqa: F401 - loaded, so that the plugin counts the workers before any test begins

    def make(build: Callable[..., Environment]) -> Callable[..., object]:
        wants = inspect.signature(build)
        place = f"{inspect.getsourcefile(build)}:{inspect.getsourcelines(build)[1]}"
        if once and scope != "session":
            raise UsageError(
                f"{place}: environment fixture {build.__name__!r} has once=True and scope={scope!r}; expected scope='session': "
                "it is up until the last worker needs it no more"
            )

        def fixture(request: pytest.FixtureRequest, **given: object) -> Iterator[Environment]:
            session = session_of(request.config)
            if "request" in wants.parameters:
                given["request"] = request
            environment = build(**given)
            if not (callable(getattr(environment, "up", None)) and callable(getattr(environment, "down", None))):
                raise UsageError(
                    f"{place}: environment fixture {build.__name__!r} returned {environment!r}; "
                    "expected an environment that is not up yet (return it, do not yield it)"
                )
            with session.up_once(environment, request, place=place) if once else session.up(environment):
                yield environment

        functools.update_wrapper(fixture, build)
        del fixture.__wrapped__  # type: ignore[attr-defined]
        setattr(fixture, MADE_BY_US, True)
        asked = inspect.Parameter("request", inspect.Parameter.KEYWORD_ONLY)
        others = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for key, one in wants.parameters.items() if key != "request"]
        fixture.__signature__ = inspect.Signature([asked, *others])  # type: ignore[attr-defined]
        made: Callable[..., object] = pytest.fixture(scope=scope, name=name, params=params, ids=ids)(fixture)
        return made

    return make if build is None else make(build)
