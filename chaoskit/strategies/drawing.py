"""Draws faults, schedules and loads that a system can suffer. They shrink to fewer, shorter and later faults and to less load.

Values are drawn from few steps: a find is then read and compared easily, and shrinking it takes few runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from hypothesis import reject
from hypothesis import strategies as st

from chaoskit.documents.parameters import Parameter, parameters
from chaoskit.engine.blast import breaches
from chaoskit.engine.guard import LOAD_CAPABILITIES
from chaoskit.engine.schedule import plan
from chaoskit.model.errors import UsageError
from chaoskit.model.experiment import EnvironmentChoice, Experiment, Injection, LoadShape, Step
from chaoskit.model.policy import Limits
from chaoskit.model.protocols import Environment, Fault
from chaoskit.model.topology import Topology
from chaoskit.model.units import Kind, Unit
from chaoskit.registry import Registry

STEPS = 40
"""Into how many steps the time for faults is cut: a second or less of the usual load, about what a takeover is told apart by."""
WEIGHTS = 3
"""The largest weight of a journey: enough that one is far more frequent than another."""
TRIED: Mapping[Unit, Sequence[float]] = {
    Unit.DURATION: (0.05, 0.25, 1.0, 4.0),
    Unit.SHARE: (0.1, 0.5, 1.0),
    Unit.SIZE: (1 << 20, 1 << 16, 1 << 12),
    Unit.RATE: (1.0, 10.0, 100.0),
    Unit.COUNT: (1, 2, 5),
    Unit.FACTOR: (2.0, 4.0),
}
"""What a parameter is tried with, the mildest first: few values, far enough from each other that systems act differently."""
TRIED_BY_FIELD: Mapping[tuple[str, str], Sequence[float]] = {
    ("squeeze-cpu", "cores"): (0.5, 0.1),
    ("squeeze-memory", "size"): (1 << 28, 1 << 27),
}
"""Where the unit alone does not say which values hurt at all."""


def faults(
    system: Environment | Topology,
    *,
    kinds: Sequence[str] | None = None,
    capabilities: frozenset[str] | None = None,
    registry: Registry | None = None,
) -> st.SearchStrategy[Fault]:
    """Faults that *system* can suffer: of its services, roles and links, and of what its environment is capable of.

    *kinds* None means every kind of *registry* that fits. A kind is left out that needs a text which nobody knows, such as the path
    of `fill-disk`. A topology can do nothing by itself: *capabilities* says what can be done to it, None is everything.
    Raises `UsageError` when no kind fits.
    """
    topology = system if isinstance(system, Topology) else system.topology
    if not isinstance(system, Topology):
        capabilities = system.capabilities if capabilities is None else capabilities & system.capabilities
    able = None if capabilities is None else capabilities | LOAD_CAPABILITIES
    registry = registry or Registry()
    names = [part.name for part in registry.parts("faults")] if kinds is None else list(kinds)
    fitting = [strategy for name in names if (strategy := _of_kind(registry.fault(name), topology, able)) is not None]
    if not fitting:
        raise UsageError(
            f"faults: none of {', '.join(names) or 'no kinds'} can be done to {topology.name} "
            f"(capabilities: {', '.join(sorted(able)) if able is not None else 'all'}); choose other kinds or another environment"
        )
    return st.one_of(fitting)


@st.composite
def schedules(
    draw: st.DrawFn,
    system: Environment | Topology,
    *,
    load: LoadShape | None = None,
    within_s: float | None = None,
    not_before_s: float | None = None,
    not_after_s: float | None = None,
    at_least: int = 1,
    at_most: int = 4,
    longest_s: float | None = None,
    limits: Limits | None = None,
    fault: st.SearchStrategy[Fault] | None = None,
) -> tuple[Injection, ...]:
    """What goes wrong and when, in order of time, within a load that lasts *within_s*, or within *load*.

    The first tenth and the last quarter of the load stay without faults (*not_before_s*, *not_after_s*), so that the system is seen
    healthy before and after. No two faults touch the same service or link at the same time: healing one would heal the other.
    A fault that would break *limits* is left out, and so is one that would touch what is hurt already. *longest_s* is the longest
    time of any fault, *fault* what is drawn; None is `faults(system)`.
    """
    topology = system if isinstance(system, Topology) else system.topology
    lasts_s = within_s if load is None else load.duration_s
    if lasts_s is None or (load is not None and within_s not in (None, load.duration_s)):
        raise UsageError("schedules: expected the time of the load: either load or within_s")
    begin_s = lasts_s / 10 if not_before_s is None else not_before_s
    end_s = lasts_s * 3 / 4 if not_after_s is None else not_after_s
    if not 0 <= begin_s < end_s <= lasts_s or not 0 <= at_least <= at_most:
        raise UsageError(
            f"schedules: faults from {begin_s:g} s to {end_s:g} s of {lasts_s:g} s, {at_least} to {at_most} of them; "
            "expected a time within the load, and at_least not above at_most"
        )
    limits = limits or Limits()
    step_s = (end_s - begin_s) / STEPS
    if step_s < 0.01:
        raise UsageError(
            f"schedules: {end_s - begin_s:g} s is too short for faults that can be told apart; expected {0.01 * STEPS:g} s or more"
        )
    most_s = min([end_s - begin_s, *(most for most in (longest_s, limits.for_s) if most is not None)])
    longest = min(STEPS, int(most_s / step_s + 1e-9))
    if longest < 1:
        raise UsageError(f"schedules: a fault lasts at least {step_s:g} s here; expected more for longest_s and limits.for_s")
    one = _timed(faults(system) if fault is None else fault, begin_s, step_s, longest, most_s)
    kept: list[Injection] = []
    for injection in draw(st.lists(one, min_size=at_least, max_size=at_most)):
        more = sorted((*kept, injection), key=lambda each: each.at_s)
        if not _overlaps(injection, kept, topology) and not _breaks(more, limits, topology, lasts_s):
            kept = more
    if len(kept) < at_least:
        reject()
    return tuple(kept)


@st.composite
def loads(
    draw: st.DrawFn,
    system: Environment | Topology,
    *,
    arrivals_per_s: tuple[int, int] = (5, 50),
    duration_s: tuple[int, int] = (10, 30),
    at_most_times: int = 4,
    journeys: Sequence[str] | None = None,
) -> LoadShape:
    """How customers come: the rate and the time between two bounds, a mix of *journeys* (None is all), and perhaps one rush.

    They shrink to few customers for a short time who all do the first thing, at a steady rate.
    """
    topology = system if isinstance(system, Topology) else system.topology
    names = topology.journey_names if journeys is None else tuple(journeys)
    if not names or (unknown := set(names) - set(topology.journey_names)):
        wrong = ", ".join(sorted(unknown)) if names else "no journey"
        raise UsageError(
            f"loads: {wrong} of {topology.name}; expected some of {', '.join(topology.journey_names) or 'none: it has none'}"
        )
    rate, lasts_s = draw(st.integers(*arrivals_per_s)), draw(st.integers(*duration_s))
    first = draw(st.integers(0, len(names) - 1))
    mix = {name: float(draw(st.integers(1 if name == names[first] else 0, WEIGHTS))) for name in names}
    steps = [Step(at_s=0.0, times=1.0)]
    if (rush := draw(st.integers(0, 9))) and at_most_times > 1:
        steps.append(Step(at_s=lasts_s * rush / 10, times=float(draw(st.integers(2, at_most_times)))))
    profile = "" if len(steps) > 1 else "steady"
    return LoadShape(arrivals_per_s=float(rate), duration_s=float(lasts_s), mix=mix, steps=tuple(steps), profile=profile)


@st.composite
def _timed(
    draw: st.DrawFn, fault: st.SearchStrategy[Fault], begin_s: float, step_s: float, longest: int, most_s: float
) -> Injection:
    """A fault at its time. Both numbers shrink to 0: to one step, the last one."""
    hit = draw(fault)
    lasting = 1 + draw(st.integers(0, longest - 1))
    earlier = draw(st.integers(0, STEPS - lasting))
    at = STEPS - lasting - earlier
    at_s, ends_s = round(begin_s + at * step_s, 3), round(begin_s + (at + lasting) * step_s, 3)
    for_s = min(round(ends_s - at_s, 3), most_s)
    # 0.1 + 0.2 is more than 0.3; a document would be refused for that.
    return Injection(fault=hit, at_s=at_s, for_s=for_s if at_s + for_s <= ends_s else round(for_s - 0.001, 3))


def _of_kind(kind: type[Fault], topology: Topology, able: frozenset[str] | None) -> st.SearchStrategy[Fault] | None:
    """Faults of one class; None when there is nothing in the system that they could hit, or they need what it cannot do."""
    required: dict[str, st.SearchStrategy[object]] = {}
    optional: dict[str, st.SearchStrategy[object]] = {}
    for parameter in parameters(kind):
        strategy = _values(kind, parameter, topology)
        if strategy is not None:
            (required if parameter.is_required else optional)[parameter.field] = strategy
        elif parameter.is_required:
            return None
    needs: object = kind.needs
    # A property on the class: what it needs depends on its parameters, and is asked of each fault.
    if able is not None and isinstance(needs, frozenset) and not needs <= able:
        return None
    return _made(kind, required, optional, able)


@st.composite
def _made(
    draw: st.DrawFn,
    kind: type[Fault],
    required: dict[str, st.SearchStrategy[object]],
    optional: dict[str, st.SearchStrategy[object]],
    able: frozenset[str] | None,
) -> Fault:
    """A fault with some of its options. Where they do not go together, or not here, it is the one without any."""
    values = {name: draw(strategy) for name, strategy in required.items()}
    chosen = {name: draw(strategy) for name, strategy in optional.items() if draw(st.booleans())}
    make = cast("Any", kind)  # every fault is a dataclass, each with fields of its own
    for given in ({**values, **chosen}, values):
        try:
            fault = cast("Fault", make(**given))
        except (UsageError, ValueError, TypeError):
            continue
        if able is None or fault.needs <= able:
            return fault
    return reject()


def _values(kind: type[Fault], parameter: Parameter, topology: Topology) -> st.SearchStrategy[object] | None:
    """What one parameter may be; None when nothing is known that it could be."""
    tried: Sequence[object]
    if parameter.is_pair:
        tried = [(link.client, link.service) for link in topology.links]
    elif parameter.naming is not None:
        tried = {
            Kind.SERVICE: (*topology.service_names, *topology.role_names),
            Kind.GROUP: tuple(group.name for group in topology.groups),
            Kind.JOURNEY: topology.journey_names,
        }[parameter.naming]
    elif parameter.unit is not None:
        tried = TRIED_BY_FIELD.get((kind.kind, parameter.field), TRIED[parameter.unit])
    elif parameter.words:
        tried = parameter.words
    else:
        tried = (True,) if parameter.plain is bool else ()
    return st.sampled_from(tried) if tried else None


def _overlaps(injection: Injection, others: Sequence[Injection], topology: Topology) -> bool:
    touched = set(_touched(injection.fault, topology))
    return any(
        _ends_s(other) > injection.at_s
        and _ends_s(injection) > other.at_s
        and touched.intersection(_touched(other.fault, topology))
        for other in others
    )


def _ends_s(injection: Injection) -> float:
    return float("inf") if injection.for_s is None else injection.at_s + injection.for_s


def _touched(fault: Fault, topology: Topology) -> Iterator[str]:
    """What healing the fault restores: services, whichever member of a group it will be, links, or the load."""
    named = [parameter for parameter in parameters(type(fault)) if parameter.naming is Kind.SERVICE]
    if not named:
        yield "load"
    for parameter in named:
        value = getattr(fault, parameter.field)
        if parameter.is_pair:
            ends = [set(_members(one, topology)) for one in value]
            yield from (f"{a} - {b}" for one in ends[0] for other in ends[1] for a, b in (sorted((one, other)),))
        elif value:
            yield from _members(value, topology)


def _members(name: str, topology: Topology) -> tuple[str, ...]:
    group = topology.group_of(name.partition(".")[0])
    return group.members if group and name not in topology.service_names else (name,)


def _breaks(injections: Sequence[Injection], limits: Limits, topology: Topology, lasts_s: float) -> bool:
    experiment = Experiment(
        title="drawn",
        environment=EnvironmentChoice(use=topology.name),
        load=LoadShape(arrivals_per_s=1.0, duration_s=lasts_s, mix={}),
        faults=tuple(injections),
    )
    return bool(breaches(plan(experiment, seed=0), topology, limits))
