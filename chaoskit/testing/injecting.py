"""One fault for the length of a `with` block, for suites that drive their system themselves.

The same care as in an experiment: an effect that is not seen is an error, and so is one that is still there after the undo.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn, Protocol, runtime_checkable

from chaoskit.model.errors import CannotHeal, CannotInject, Unsupported
from chaoskit.model.protocols import Aim, Environment, Fault, Sign, Stage, Undo

EFFECT_WITHIN_S = 3.0  # two looks of the slowest sign, a second each, on a busy machine
HEALED_WITHIN_S = 15.0  # a database that was killed needs some seconds until it answers again
LOOK_AGAIN_S = 0.05


@runtime_checkable
class Remembering(Protocol):
    """An environment whose reaper undoes what is remembered, should this process die in the block."""

    def remember(self, name: str, undo: tuple[Undo, ...]) -> None: ...
    def forget(self, name: str) -> None: ...


@contextmanager
def injected(fault: Fault, environment: Environment, *, effect_within_s: float = EFFECT_WITHIN_S) -> Iterator[Sign]:
    """Inject *fault* and see its effect, then run the block, then undo it and see that it is gone, whatever the block did.

    Gives what was seen. Raises `Unsupported` when the environment cannot do it, `CannotInject` when no effect was seen (it is
    undone and the block is not run), `CannotHeal` when it may still be there. An error of the block stays the first one.
    """
    missing = fault.needs - environment.capabilities
    if missing:
        raise Unsupported(f"{fault.kind} needs {', '.join(sorted(missing))}, which environment {environment.name} cannot do here")
    stage = Stage(environment, _NoLoad())
    aim = fault.aim(stage)
    environment.permit(aim.targets)
    name = f"{fault.kind} of {', '.join(aim.targets)} ({secrets.token_hex(4)})"
    if isinstance(environment, Remembering):
        environment.remember(name, aim.undo)
    try:
        fault.inject(stage, aim)
        sign = _look(fault, stage, aim, is_wanted=True, within_s=effect_within_s)
        if not sign.present:
            raise CannotInject(f"{fault.kind} of {', '.join(aim.targets)} was applied and had no effect: {sign.evidence}")
        yield sign
    except BaseException as error:
        try:
            _heal(fault, stage, aim, name)
        except Exception as second:
            error.add_note(f"and it may still be there: {second}")
        raise
    _heal(fault, stage, aim, name)


def _heal(fault: Fault, stage: Stage, aim: Aim, name: str) -> None:
    problems = []
    for undo in reversed(aim.undo):
        try:
            stage.environment.undo(undo)
        except Exception as error:  # one that fails must not keep the others from being done
            problems.append(f"{undo.verb} {undo.target}: {error}")
    if not problems:
        sign = _look(fault, stage, aim, is_wanted=False, within_s=HEALED_WITHIN_S)
        if sign.present:
            problems.append(f"its effect is still there {HEALED_WITHIN_S:g} s after the undo: {sign.evidence}")
    if problems:
        raise CannotHeal(f"{fault.kind} of {', '.join(aim.targets)} may still be there: {'; '.join(problems)}")
    if isinstance(stage.environment, Remembering):
        stage.environment.forget(name)


def _look(fault: Fault, stage: Stage, aim: Aim, *, is_wanted: bool, within_s: float) -> Sign:
    """The first sign that says what is wanted, or the last one at the deadline."""
    deadline = time.monotonic() + within_s
    while (sign := fault.observe(stage, aim)).present is not is_wanted and time.monotonic() < deadline:
        time.sleep(LOOK_AGAIN_S)  # between two looks, until the deadline
    return sign


class _NoLoad:
    """The suite is the load, and nobody can make it come faster."""

    def surge(self, times: float) -> NoReturn:
        raise Unsupported(
            f"{times:g} times the load: the load is your suite's own here; use an experiment to let more customers come"
        )

    def sent_per_s(self, *, over_s: float) -> float:
        return self.surge(over_s)

    def planned_per_s(self) -> float:
        return self.surge(1.0)
