"""An experiment: a frozen value that says what is broken, when, under which load, and what must still be true.

Built by `documents` from YAML or by hand in Python; it never changes while it runs.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from chaoskit.model.journey import Habit
from chaoskit.model.policy import Limits
from chaoskit.model.protocols import Checker, Fault
from chaoskit.model.secrets import NO_SECRETS, Secrets


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentChoice:
    """Which system to use and where to run it. `on` None means the environment's default place.

    With `fixture`, a pytest fixture gives an environment that is up. `use` is then "" until the names of the experiment were
    checked against what that environment consists of: before that, nothing may be started.
    """

    use: str
    on: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    fixture: str = ""


class Unanswered(enum.StrEnum):
    """What is done, after the load and once everything is healed, about operations that had no clear answer."""

    TOMBSTONE = "tombstone"
    """Nothing is asked for again. What has had no effect is refused from then on."""
    RE_SEND = "re-send"
    """Each is sent again under its key, until it is answered; what still is not gets its tombstone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """From `at_s` on, arrivals come at `times` the normal rate, until the next step."""

    at_s: float
    times: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadShape:
    """How customers arrive. `steps` starts at 0 s; `profile` is the name they came from, "" when written out."""

    arrivals_per_s: float
    duration_s: float
    mix: Mapping[str, float]
    steps: tuple[Step, ...] = (Step(at_s=0.0, times=1.0),)
    profile: str = "steady"
    habits: Mapping[Habit, float] = field(default_factory=dict)
    """Which share of the customers has which habit, at most one each."""
    warned: Literal["ok", "info"] = "ok"
    """What an answer counts as that says "done" with a warning: as done, or as unknown."""
    unanswered: Unanswered = Unanswered.TOMBSTONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection:
    """A fault on the timeline. `for_s` None means until the load ends."""

    fault: Fault
    at_s: float
    for_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """The whole experiment. `steady_state` gates the first injection, `expect` is judged at the end, `abort_if` all along."""

    title: str
    environment: EnvironmentChoice
    load: LoadShape
    reason: str = ""
    incident: str = ""
    steady_state: tuple[Checker, ...] = ()
    faults: tuple[Injection, ...] = ()
    expect: tuple[Checker, ...] = ()
    abort_if: tuple[Checker, ...] = ()
    limits: Limits = field(default_factory=Limits)
    """What it may hurt by its own word; a machine's policy may allow less."""
    production: bool = False
    """Whether it must be allowed by name: it hurts, or may reach, what real customers use."""
    marks: tuple[str, ...] = ()
    """Marks for the test that it is under pytest."""
    entry: str = ""
    """Which entry of the document's matrix it is, such as `for=5s,defect=none`; "" without a matrix."""
    source: str = ""
    """Where it was read from, for messages and for `reproduce`."""
    document: str = field(default="", repr=False)
    """The document with its variables filled in and its secrets left out, as it goes into the run folder."""
    secrets: Secrets = field(default=NO_SECRETS, repr=False)
    """What must never be shown, wherever it turns up."""
