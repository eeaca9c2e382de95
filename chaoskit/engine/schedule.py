"""When what is done: the whole timeline of a run, fixed before anything starts. Pure; the same seed gives the same schedule."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from chaoskit.model.experiment import Experiment, Injection
from chaoskit.model.protocols import LoadPlan
from chaoskit.model.topology import Topology


class Act(enum.StrEnum):
    INJECT = "inject"
    HEAL = "heal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One act of the timeline. `fault` is the name that history, verdict and messages use for it."""

    at_s: float
    act: Act
    fault: str
    injection: Injection


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """Entries by due time. Faults without an end are healed when the load ends, the last one first."""

    seed: int
    entries: tuple[Entry, ...]
    ends_s: float


def plan(experiment: Experiment, *, seed: int) -> Schedule:
    """The timeline of *experiment*. Entries due at the same moment keep the order of the document, healing first."""
    entries = []
    for index, injection in enumerate(experiment.faults):
        name = f"faults[{index}] {injection.fault.kind}"
        entries.append(Entry(at_s=injection.at_s, act=Act.INJECT, fault=name, injection=injection))
        if injection.for_s is not None:
            entries.append(Entry(at_s=injection.at_s + injection.for_s, act=Act.HEAL, fault=name, injection=injection))
    entries.sort(key=lambda entry: (entry.at_s, entry.act is Act.INJECT))
    return Schedule(seed=seed, entries=tuple(entries), ends_s=experiment.load.duration_s)


def load_plan(experiment: Experiment, topology: Topology, *, seed: int, url: str, history: str) -> LoadPlan:
    """What the load process is told. Everything about who arrives when is in it, but for surges."""
    shape = experiment.load
    return LoadPlan(
        url=url,
        journeys=topology.journeys,
        options=experiment.environment.options,
        seed=seed,
        arrivals_per_s=shape.arrivals_per_s,
        duration_s=shape.duration_s,
        mix=shape.mix,
        steps=tuple((step.at_s, step.times) for step in shape.steps),
        history=history,
        secrets=experiment.secrets.values,
        warned=shape.warned,
        unanswered=shape.unanswered.value,
        habits={habit.value: share for habit, share in shape.habits.items()},
    )
