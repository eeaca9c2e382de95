"""Injects and heals. Every act is recorded before it is done, looked at after it was done, and undone whatever happens.

The look goes on in a thread of its own, so that the next fault is not late because the last one is being observed.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from chaoskit.engine.recorder import JsonLines
from chaoskit.engine.schedule import Entry
from chaoskit.engine.undo import UndoLedger
from chaoskit.model.errors import CannotHeal, CannotInject, CannotRecord, ChaoskitError, LoadFailed
from chaoskit.model.protocols import Aim, Fault, Stage

EFFECT_WITHIN_S = 3.0
"""Long enough for two looks of the slowest sign (a second each) on a busy machine."""
HEALED_WITHIN_S = 15.0
"""A killed database node needs some seconds until it answers again."""
LOOK_AGAIN_S = 0.05


@dataclass(slots=True)
class _Open:
    """A fault that has been injected, or may have been, and is not healed."""

    fault: Fault
    aim: Aim
    look: threading.Thread | None = None
    is_healing: threading.Event = field(default_factory=threading.Event)


class Conductor:
    """Carries out the schedule's entries. For one thread, the runner's; its own threads are joined by `heal_all`.

    `errors` collects what could not be healed or recorded, in order.
    """

    def __init__(self, stage: Stage, recorder: JsonLines, undo: UndoLedger) -> None:
        self._stage = stage
        self._recorder = recorder
        self._undo = undo
        self._open: dict[str, _Open] = {}
        self._looks: list[threading.Thread] = []
        self.errors: list[ChaoskitError] = []

    @property
    def injected(self) -> tuple[str, ...]:
        """The names of the faults that may still be there."""
        return tuple(self._open)

    def inject(self, entry: Entry) -> None:
        """Inject one fault. Raises `CannotInject` if it may not have been applied, `CannotRecord` if it may not be recorded."""
        fault, name = entry.injection.fault, entry.fault
        try:
            aim = fault.aim(self._stage)
        except ChaoskitError as error:
            raise self._not_injected(name, error) from error
        # Neither the undo ledger nor the history may be written after the act: no record, no injection.
        self._undo.injecting(name, aim)
        self._record("injecting", name, targets=list(aim.targets))
        self._open[name] = opened = _Open(fault, aim)
        try:
            fault.inject(self._stage, aim)
        except Exception as error:
            raise self._not_injected(name, error) from error
        at_ns = time.monotonic_ns()
        self._undo.injected(name)
        opened.look = self._start(f"look-{name}", lambda: self._see_effect(name, opened, at_ns))

    def heal(self, name: str) -> None:
        """Undo one fault and see to it that its effect is gone; what goes wrong is in `errors`. Does nothing if it is healed."""
        opened = self._open.pop(name, None)
        if opened is None:
            return
        opened.is_healing.set()
        if opened.look is not None:
            opened.look.join()
        self._try(name, lambda: self._record("healing", name))
        failed = False
        for undo in reversed(opened.aim.undo):
            try:
                if undo.target == "load":
                    # A load that has died has taken its surge along: nothing is left to undo, and its death is told elsewhere.
                    with contextlib.suppress(LoadFailed):
                        self._stage.load.surge(float(undo.details["times"]))
                else:
                    self._stage.environment.undo(undo)
            except Exception as error:
                failed = True
                self._not_healed(name, f"{undo.verb} {undo.target}: {error}")
        if not failed:
            at_ns = time.monotonic_ns()
            self._start(f"heal-{name}", lambda: self._see_gone(name, opened, at_ns))

    def heal_all(self) -> None:
        """Heal what is left, last first, and wait for all looks. One failure does not keep the others from being healed."""
        for name in reversed(tuple(self._open)):
            self.heal(name)
        for thread in self._looks:
            thread.join(HEALED_WITHIN_S + EFFECT_WITHIN_S)
        self._looks.clear()

    def _see_effect(self, name: str, opened: _Open, at_ns: int) -> None:
        deadline = time.monotonic() + EFFECT_WITHIN_S
        while True:
            sign = opened.fault.observe(self._stage, opened.aim)
            if sign.present or opened.is_healing.is_set() or time.monotonic() >= deadline:
                break
            opened.is_healing.wait(LOOK_AGAIN_S)
        self._record("injected", name, at_ns=at_ns, effect_seen=sign.present, evidence=sign.evidence, seen_ns=time.monotonic_ns())

    def _see_gone(self, name: str, opened: _Open, at_ns: int) -> None:
        deadline = time.monotonic() + HEALED_WITHIN_S
        while (sign := opened.fault.observe(self._stage, opened.aim)).present:
            if time.monotonic() >= deadline:
                self._not_healed(name, f"its effect is still there {HEALED_WITHIN_S:g} s after the undo: {sign.evidence}")
                return
            time.sleep(LOOK_AGAIN_S)  # a pause between two looks at the live system, bounded by the deadline above
        self._undo.healed(name)
        self._record("healed", name, at_ns=at_ns, evidence=sign.evidence, seen_ns=time.monotonic_ns())

    def _start(self, name: str, work: Callable[[], None]) -> threading.Thread:

        def guarded() -> None:
            self._try(name, work)

        thread = threading.Thread(target=guarded, name=f"chaoskit-{name}")
        self._looks.append(thread)
        thread.start()
        return thread

    def _try(self, name: str, work: Callable[[], None]) -> None:
        try:
            work()
        except CannotRecord as error:
            self.errors.append(error)
        except Exception as error:
            self.errors.append(CannotHeal(f"{name}: while looking at its effect: {type(error).__name__}: {error}"))

    def _not_injected(self, name: str, error: Exception) -> CannotInject:
        text = f"{name} may not have been applied: {error}"
        self._recorder.append({"event": "not-injected", "fault": name, "at_ns": time.monotonic_ns(), "error": text})
        return CannotInject(text)

    def _not_healed(self, name: str, text: str) -> None:
        whole = f"{name} may still be there: {text}"
        self.errors.append(CannotHeal(whole))
        self._try(name, lambda: self._record("not-healed", name, error=whole))

    def _record(self, event: str, name: str, **more: object) -> None:
        self._recorder.append({"event": event, "fault": name, "at_ns": time.monotonic_ns(), **more})
