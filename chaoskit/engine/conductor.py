"""Injects and heals. Every act is recorded before it is done, looked at after it was done, and undone whatever happens.

Each fault has a thread of its own for its injection, for the look at its effect, and for its healing, so that none waits for
another: not the next injection for the last look, not a healing for one that hangs. Only faults of the same target, and those
that a limit keeps apart, take turns.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from chaoskit.engine.blast import Blast
from chaoskit.engine.recorder import JsonLines
from chaoskit.engine.schedule import Entry
from chaoskit.engine.undo import UndoLedger
from chaoskit.model.errors import CannotHeal, CannotInject, CannotRecord, ChaoskitError, LoadFailed
from chaoskit.model.protocols import Aim, Fault, Sign, Stage

EFFECT_WITHIN_S = 3.0
"""Long enough for two looks of the slowest sign (a second each) on a busy machine."""
HEALED_WITHIN_S = 15.0
"""A killed database node needs some seconds until it answers again."""
LOOK_AGAIN_S = 0.05
MEANWHILE_S = 0.1
"""How often somebody else is let look around while an injection blocks."""
INJECTED_WITHIN_S = 30.0
"""Killing, the slowest, gives itself 10 s. What takes three times as long hangs, and is undone without waiting for it any more."""
HEAL_WITHIN_S = 90.0
"""All that healing may take together: escalating through a restart of Toxiproxy takes 15 s, starting a database up to a minute."""


@dataclass(slots=True, eq=False)
class _Act:
    """A fault that has been injected, or may have been, and what is under way for it."""

    name: str
    fault: Fault
    aim: Aim
    injection: threading.Thread | None = None
    at_ns: int = 0
    error: Exception | None = None
    look: threading.Thread | None = None
    healing: threading.Thread | None = None
    is_healing: threading.Event = field(default_factory=threading.Event)
    is_gone: bool = False
    """Whether its effect was seen to be gone: until then it counts against the limits."""


class Conductor:
    """Carries out the schedule's entries. For one thread, the runner's; its own threads are joined by `heal_all`.

    `errors` collects what could not be healed or recorded, in order.
    """

    def __init__(
        self,
        stage: Stage,
        recorder: JsonLines,
        undo: UndoLedger,
        *,
        blast: Blast | None = None,
        injected_within_s: float = INJECTED_WITHIN_S,
    ) -> None:
        self._stage = stage
        self._blast = blast or Blast((), stage.environment.topology)
        self._recorder = recorder
        self._undo = undo
        self._injected_within_s = injected_within_s
        self._open: dict[str, _Act] = {}
        self._healing: list[_Act] = []
        self.errors: list[ChaoskitError] = []

    @property
    def injected(self) -> tuple[str, ...]:
        """The names of the faults that may still be there and are not being healed."""
        return tuple(self._open)

    def inject(self, entry: Entry, *, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Inject one fault. Blocks until it is done, and calls *meanwhile* ten times a second, which may raise to give up waiting.

        Raises `CannotInject` if it may not have been applied, `CannotRecord` if it may not be recorded. Whatever is raised, it is
        healed by `heal_all`.
        """
        fault, name = entry.injection.fault, entry.fault
        try:
            aim = fault.aim(self._stage)
            self._stage.environment.permit(aim.targets)
        except ChaoskitError as error:
            raise self._not_injected(name, error) from error
        for other in self._healing:
            if other.healing is None or not (_share_a_target(other.aim, aim) or self._why_too_much(aim)):
                continue
            if not _wait(other.healing, HEAL_WITHIN_S, meanwhile):
                raise self._not_injected(name, TimeoutError(f"{other.name} is still being healed on the same target"))
        if too_much := self._why_too_much(aim):
            raise self._not_injected(name, too_much) from too_much
        # Neither the undo ledger nor the history may be written after the act: no record, no injection.
        self._undo.injecting(name, aim)
        self._record("injecting", name, targets=list(aim.targets))
        self._open[name] = act = _Act(name, fault, aim)
        act.injection = _thread(f"inject-{name}", lambda: self._inject(act))
        if not _wait(act.injection, self._injected_within_s, meanwhile):
            raise self._not_injected(name, TimeoutError(f"its injection did not end within {self._injected_within_s:g} s"))
        if act.error is not None:
            raise self._not_injected(name, act.error) from act.error
        self._undo.injected(name)
        act.look = _thread(f"look-{name}", lambda: self._try(name, lambda: self._see_effect(act)))

    def heal(self, name: str) -> None:
        """Begin to undo one fault and to see that its effect is gone; what goes wrong is in `errors`. Does not wait for it.

        Does nothing for a fault that is healed, or is being healed.
        """
        act = self._open.pop(name, None)
        if act is None:
            return
        # Of two on the same target, the one that was injected last is undone first.
        later = [one for one in self._healing if _share_a_target(one.aim, act.aim)]
        self._healing.append(act)
        act.is_healing.set()
        act.healing = _thread(f"heal-{name}", lambda: self._try(name, lambda: self._heal(act, later)))

    def wait_healed(self, name: str) -> None:
        """Wait until the healing of a fault has ended, well or badly. Bounded by `HEAL_WITHIN_S`."""
        for act in self._healing:
            if act.name == name and act.healing is not None:
                act.healing.join(HEAL_WITHIN_S)

    def wait_seen(self, name: str) -> None:
        """Wait until it is known whether an injected fault has an effect. Bounded by `EFFECT_WITHIN_S`."""
        act = self._open.get(name)
        if act is not None and act.look is not None:
            act.look.join(2 * EFFECT_WITHIN_S)

    def heal_all(self) -> None:
        """Heal what is left, last first, and wait for it. One failure does not keep the others from being healed.

        Blocks up to `HEAL_WITHIN_S` for all of them together.
        """
        for name in reversed(tuple(self._open)):
            self.heal(name)
        deadline = time.monotonic() + HEAL_WITHIN_S
        for act in self._healing:
            assert act.healing is not None
            if not _wait(act.healing, deadline - time.monotonic(), lambda: None):
                self._not_healed(act.name, f"its undo did not end within {HEAL_WITHIN_S:g} s")
        self._healing.clear()

    def _why_too_much(self, aim: Aim) -> CannotInject | None:
        """Why a limit forbids it now; None when it may be injected."""
        acts = (*self._open.values(), *(act for act in self._healing if not act.is_gone))
        try:
            self._blast.check(aim.targets, [target for act in acts for target in act.aim.targets])
        except CannotInject as error:
            return error
        return None

    def _inject(self, act: _Act) -> None:
        try:
            act.fault.inject(self._stage, act.aim)
        except Exception as error:
            act.error = error
        act.at_ns = time.monotonic_ns()

    def _heal(self, act: _Act, later: list[_Act]) -> None:
        for other in later:
            if other.healing is not None:
                other.healing.join(HEAL_WITHIN_S)
        assert act.injection is not None
        if act.look is not None:
            act.look.join()
        self._try(act.name, lambda: self._record("healing", act.name))
        problems = self._undo_all(act)
        if act.injection.is_alive():
            # What it has done so far is undone now; what it does from here on is undone when it has ended.
            act.injection.join(self._injected_within_s)
            problems = self._undo_all(act)
            if act.injection.is_alive():
                problems.append("its injection hangs and may come after its undo")
        for problem in problems:
            self._not_healed(act.name, problem)
        if not problems:
            self._see_gone(act, time.monotonic_ns())

    def _undo_all(self, act: _Act) -> list[str]:
        """Do every undo of a fault, the last first. Returns what went wrong."""
        problems = []
        for undo in reversed(act.aim.undo):
            try:
                if undo.target == "load":
                    # A load that has died has taken its surge along: nothing is left to undo, and its death is told elsewhere.
                    with contextlib.suppress(LoadFailed):
                        self._stage.load.surge(float(undo.details["times"]))
                else:
                    self._stage.environment.undo(undo)
            except Exception as error:
                problems.append(f"{undo.verb} {undo.target}: {error}")
        return problems

    def _see_effect(self, act: _Act) -> None:
        deadline = time.monotonic() + EFFECT_WITHIN_S
        while True:
            sign = self._look(act, otherwise=False)
            if sign.present or act.is_healing.is_set() or time.monotonic() >= deadline:
                break
            act.is_healing.wait(LOOK_AGAIN_S)
        self._record(
            "injected", act.name, at_ns=act.at_ns, effect_seen=sign.present, evidence=sign.evidence, seen_ns=time.monotonic_ns()
        )

    def _see_gone(self, act: _Act, at_ns: int) -> None:
        deadline = time.monotonic() + HEALED_WITHIN_S
        while (sign := self._look(act, otherwise=True)).present:
            if time.monotonic() >= deadline:
                self._not_healed(act.name, f"its effect is still there {HEALED_WITHIN_S:g} s after the undo: {sign.evidence}")
                return
            time.sleep(LOOK_AGAIN_S)  # a pause between two looks at the live system, bounded by the deadline above
        act.is_gone = True
        self._undo.healed(act.name)
        self._record("healed", act.name, at_ns=at_ns, evidence=sign.evidence, seen_ns=time.monotonic_ns())

    def _look(self, act: _Act, *, otherwise: bool) -> Sign:
        """The fault's sign. One that is neither yes nor no says *otherwise*: it shows no effect, and no healing either."""
        sign: object = act.fault.observe(self._stage, act.aim)  # other people's code
        if isinstance(sign, Sign) and isinstance(sign.present, bool):
            return sign
        return Sign(present=otherwise, evidence=f"observe() gave {sign!r:.200}, which is neither yes nor no")

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


def _share_a_target(one: Aim, other: Aim) -> bool:
    return not set(one.targets).isdisjoint(other.targets)


def _thread(name: str, work: Callable[[], None]) -> threading.Thread:
    """A started thread. One that hangs for ever, which is reported, must not keep the process from ending."""
    thread = threading.Thread(target=work, name=f"chaoskit-{name}", daemon=True)
    thread.start()
    return thread


def _wait(thread: threading.Thread, within_s: float, meanwhile: Callable[[], None]) -> bool:
    """Whether *thread* ended in time."""
    deadline = time.monotonic() + within_s
    while thread.is_alive() and (left_s := deadline - time.monotonic()) > 0:
        thread.join(min(MEANWHILE_S, left_s))
        if thread.is_alive():
            meanwhile()
    return not thread.is_alive()
