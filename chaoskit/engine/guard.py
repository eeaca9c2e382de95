"""What may keep a run from starting, and what ends it early."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from chaoskit.engine.judge import findings_of
from chaoskit.model.errors import Stopped, Unsupported
from chaoskit.model.experiment import Experiment
from chaoskit.model.history import History
from chaoskit.model.protocols import Checker, Environment
from chaoskit.model.verdict import Finding, Result

LOOK_S = 0.2
"""How often it is looked for a request from another process: it is acted on within a second."""

LOAD_CAPABILITIES = frozenset({"surge"})
"""What a load can do by itself, wherever the system runs."""


class StopFlag:
    """Asks a run to stop. `request` may be called from any thread and from a signal handler.

    Another process asks by writing its reason into the file *asked*, which the run's folder has for that.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._reason = ""
        self.asked: Path | None = None

    @property
    def reason(self) -> str:
        """Why; the first reason counts."""
        return self._reason

    def request(self, reason: str) -> None:
        """Stop as soon as what is injected is healed."""
        self._reason = self._reason or reason
        self._event.set()

    def is_set(self) -> bool:
        if not self._event.is_set() and self.asked is not None and self.asked.exists():
            self.request(self.asked.read_text(encoding="utf-8", errors="replace").strip() or "asked from outside")
        return self._event.is_set()

    def wait(self, seconds: float) -> None:
        """Wait *seconds*. Raises `Stopped` at once when the run is to stop, within `LOOK_S` when another process asks for it."""
        deadline = time.monotonic() + seconds
        while not self.is_set():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return
            self._event.wait(min(LOOK_S, left_s))
        raise Stopped(self.reason)


def check_capabilities(experiment: Experiment, environment: Environment) -> None:
    """Raises `Unsupported`, naming every fault that this environment cannot do, and why where it says so. Nothing is started."""
    able = environment.capabilities | LOAD_CAPABILITIES
    why: Mapping[str, str] = getattr(environment, "lacks", {})  # environments that can do all they ever will have none
    problems = [
        f"faults[{index}] {injection.fault.kind} needs "
        + ", ".join(f"{one} ({why[one]})" if one in why else one for one in sorted(missing))
        for index, injection in enumerate(experiment.faults)
        if (missing := injection.fault.needs - able)
    ]
    if problems:
        raise Unsupported(
            f"{experiment.source or experiment.title}: environment {environment.topology.name!r} on {environment.name!r} cannot do "
            f"{'; '.join(problems)}; it can {', '.join(sorted(able))}: choose another place with --on or another fault"
        )


def not_steady(checks: Iterable[Checker], history: History) -> tuple[Finding, ...]:
    """What speaks against injecting now: the findings of the steady state that did not pass."""
    return tuple(f for check in checks for f in findings_of(check, history) if f.outcome is not Result.PASSED)


def reason_to_abort(rules: Iterable[Checker], history: History) -> str:
    """Why the run must end now, "" if it need not: the first rule that the history breaks.

    A rule that itself breaks watches nothing any more: what it raises ends the run as an ERROR.
    """
    for rule in rules:
        for finding in rule.check(history):
            if finding.outcome is Result.FAILED:
                return f"abort_if {finding.checker}: {finding.summary}"
    return ""
