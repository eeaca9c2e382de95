"""Name -> part: one table of built-ins, entry points for other teams' parts. The only module that names `chaoskit.bank`.

Nothing is imported before it is asked for, and installed distributions are searched only for a name that is not built in.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from chaoskit.model.errors import ChaoskitError, UsageError
from chaoskit.model.experiment import Step
from chaoskit.model.protocols import Checker, Fault
from chaoskit.model.secrets import without_url_passwords
from chaoskit.model.topology import Topology

if TYPE_CHECKING:
    from chaoskit.bank.defect import Defect

_TABLE: Mapping[str, Mapping[str, str]] = {
    "faults": {
        "kill": "chaoskit.faults.kill:Kill",
        "pause": "chaoskit.faults.pause:Pause",
        "partition": "chaoskit.faults.partition:Partition",
        "refuse": "chaoskit.faults.refuse:Refuse",
        "reset": "chaoskit.faults.reset:Reset",
        "stall": "chaoskit.faults.stall:Stall",
        "latency": "chaoskit.faults.latency:Latency",
        "saturate": "chaoskit.faults.saturate:Saturate",
        "crash": "chaoskit.faults.crash:Crash",
        "detach": "chaoskit.faults.detach:Detach",
        "squeeze-cpu": "chaoskit.faults.squeeze_cpu:SqueezeCpu",
        "squeeze-memory": "chaoskit.faults.squeeze_memory:SqueezeMemory",
        "fill-disk": "chaoskit.faults.fill_disk:FillDisk",
        "packet-loss": "chaoskit.faults.packet_loss:PacketLoss",
        "bandwidth": "chaoskit.faults.bandwidth:Bandwidth",
    },
    "checks": {
        "availability": "chaoskit.checkers.availability:Availability",
        "latency": "chaoskit.checkers.latency:Latency",
        "takeover": "chaoskit.checkers.takeover:Takeover",
        "recovery": "chaoskit.checkers.recovery:Recovery",
        "error-rate": "chaoskit.checkers.error_rate:ErrorRate",
        "exercised": "chaoskit.checkers.exercised:Exercised",
        "login": "chaoskit.checkers.login:Login",
        "ack-durable": "chaoskit.checkers.money.ack_durable:AckDurable",
        "at-most-once": "chaoskit.checkers.money.at_most_once:AtMostOnce",
        "no-refused-effect": "chaoskit.checkers.money.no_refused_effect:NoRefusedEffect",
        "no-phantom": "chaoskit.checkers.money.no_phantom:NoPhantom",
        "double-entry": "chaoskit.checkers.money.double_entry:DoubleEntry",
        "conserved": "chaoskit.checkers.money.conserved:Conserved",
        "balance-is-ledger": "chaoskit.checkers.money.balance_is_ledger:BalanceIsLedger",
        "version-chain": "chaoskit.checkers.money.version_chain:VersionChain",
        "no-overdraft": "chaoskit.checkers.money.no_overdraft:NoOverdraft",
        "reconciled": "chaoskit.checkers.money.reconciled:Reconciled",
        "cash": "chaoskit.checkers.money.cash:Cash",
        "order": "chaoskit.checkers.money.order:Order",
        "answer-stable": "chaoskit.checkers.money.answer_stable:AnswerStable",
        "observed-stays": "chaoskit.checkers.money.observed_stays:ObservedStays",
        "read-window": "chaoskit.checkers.money.read_window:ReadWindow",
        "snapshot": "chaoskit.checkers.money.snapshot:Snapshot",
        "session": "chaoskit.checkers.money.session:Session",
        "staleness": "chaoskit.checkers.money.staleness:Staleness",
    },
    "environments": {"bank": "chaoskit.bank.topology:topology"},
    "places": {
        "process": "chaoskit.environments.process:ProcessEnvironment",
        "docker": "chaoskit.environments.docker:DockerEnvironment",
    },
    "profiles": dict.fromkeys(("steady", "lebaran"), "chaoskit.loads.profile:steps_of"),
    "probes": {"role": "chaoskit.probes.role:Role", "host": "chaoskit.probes.host:Host"},
}

MONEY = (
    "ack-durable",
    "at-most-once",
    "no-refused-effect",
    "no-phantom",
    "double-entry",
    "conserved",
    "balance-is-ledger",
    "version-chain",
    "no-overdraft",
    "reconciled",
    "cash",
    "order",
    "answer-stable",
    "observed-stays",
    "read-window",
    "snapshot",
)
"""What `money` stands for in a document: every money checker but those for copies that may be behind."""

_PROFILES = {
    "steady": "The normal rate all along.",
    "lebaran": "The Indonesian holiday: the normal rate, pay day, the last working days, the record of 4.2 times, and after.",
}
"""Profiles are rows of one table, which has no docstring of each."""

_GROUPS = {"faults": "chaoskit.faults", "checks": "chaoskit.checks", "environments": "chaoskit.environments"}
"""The entry-point group of each kind that other teams can add to."""

_ONE = {
    "faults": "fault",
    "checks": "check",
    "environments": "environment",
    "places": "place",
    "profiles": "profile",
    "probes": "probe",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One line of the table. `target` is a `module:name` reference, or the part itself; `origin` says who brought it."""

    kind: str
    name: str
    target: object
    origin: str = "chaoskit"

    def load(self) -> object:
        """The part itself. Raises `UsageError` that names its origin when it cannot be imported."""
        if not isinstance(self.target, str):
            return self.target
        module, _, name = self.target.partition(":")
        try:
            found: object = importlib.import_module(module)
            for step in name.split("."):
                found = getattr(found, step)
        except Exception as error:  # any code may run in an import
            if self.origin == "chaoskit":
                todo = "install what it needs: pip install 'chaoskit[all]'"
            else:
                todo = f"mend or remove {self.origin}"
            raise UsageError(
                f"{_ONE[self.kind]} {self.name!r} of {self.origin}: {self.target!r} cannot be loaded"
                f" ({type(error).__name__}: {error}); {todo}"
            ) from error
        return found

    def says(self) -> str:
        """What it does, by the first paragraph of its docstring."""
        return summary(self.load())


class Registry:
    """Looks parts up by name. *extra* parts go before the built-in ones: a way in for parts that are in no distribution."""

    def __init__(self, extra: Iterable[Part] = ()) -> None:
        self._parts: dict[str, dict[str, Part]] = {
            kind: {name: Part(kind=kind, name=name, target=target) for name, target in table.items()}
            for kind, table in _TABLE.items()
        }
        for part in extra:
            self._parts[part.kind][part.name] = part
        self._installed: dict[str, dict[str, Part]] = {}

    def parts(self, kind: str) -> tuple[Part, ...]:
        """Every part of a kind (`faults`, `checks`, `environments`, `places`, `profiles`, `probes`), installed ones last."""
        return (*self._parts[kind].values(), *self._entry_points(kind).values())

    def names(self, kind: str) -> tuple[str, ...]:
        """Every valid name of a kind; for checks `money` too."""
        return tuple(part.name for part in self.parts(kind)) + (("money",) if kind == "checks" else ())

    def part(self, kind: str, name: str) -> Part:
        """One part. Raises `UsageError` with the valid names and the nearest one."""
        found = self._parts[kind].get(name) or self._entry_points(kind).get(name)
        if found is None:
            raise UsageError(
                not_one_of(name, self.names(kind), what=f"a {_ONE[kind]}" if kind != "environments" else "an environment")
            )
        return found

    def fault(self, name: str) -> type[Fault]:
        """The class of a fault. Raises `UsageError`."""
        # The shape is checked by _class; methods are the contract suite's to check.
        return cast("type[Fault]", _class(self.part("faults", name), "kind"))

    def checks(self, name: str) -> tuple[type[Checker], ...]:
        """The classes that a check's name stands for: one, or all money checkers for `money`. Raises `UsageError`."""
        names = MONEY if name == "money" else (name,)
        return tuple(cast("type[Checker]", _class(self.part("checks", one), "name")) for one in names)

    def topology(self, use: str) -> Topology:
        """What an environment consists of: by name, or by a `module:name` reference. Starts nothing. Raises `UsageError`."""
        if ":" in use:
            part = Part(kind="environments", name=use, target=use, origin="that module")
        else:
            part = self.part("environments", use)
        found = part.load()
        if callable(found):
            try:
                found = found()
            except Exception as error:  # other people's code
                raise UsageError(
                    f"environment {use!r} of {part.origin}: {part.target!r} raised {type(error).__name__}: {error}"
                ) from error
        if not isinstance(found, Topology):
            raise UsageError(
                f"environment {use!r} of {part.origin} is {found!r}; expected a Topology or a function that returns one"
            )
        return found

    def profile(self, name: str) -> Callable[[float], tuple[Step, ...]]:
        """The function that gives a profile's steps for a duration in seconds. Raises `UsageError`."""
        steps_of = cast("Callable[[str, float], tuple[Step, ...]]", self.part("profiles", name).load())
        return functools.partial(steps_of, name)

    def place(self, name: str | None) -> Callable[..., object]:
        """What builds the environment at a place (`process`); None is the default one. Raises `UsageError`."""
        return cast("Callable[..., object]", self.part("places", name or self.names("places")[0]).load())

    def described(self, kind: str) -> tuple[tuple[str, str], ...]:
        """Name and one line of description of every part, for a list. A part that cannot be loaded is described by its error."""
        lines = []
        for part in self.parts(kind):
            try:
                lines.append((part.name, _PROFILES.get(part.name, "") if kind == "profiles" else part.says()))
            except ChaoskitError as error:
                lines.append((part.name, f"broken: {error}"))
        if kind == "checks":
            lines.append(("money", f"Every money checker: {', '.join(MONEY)}."))
        return tuple(lines)

    def _entry_points(self, kind: str) -> Mapping[str, Part]:
        """What installed distributions add. Two that claim one name are an error of the one who installed both."""
        if kind not in _GROUPS:
            return {}
        if kind not in self._installed:
            from importlib.metadata import entry_points

            found: dict[str, Part] = {}
            for point in entry_points(group=_GROUPS[kind]):
                origin = f"distribution {point.dist.name!r}" if point.dist else "an unknown distribution"
                part = Part(kind=kind, name=point.name, target=point.value, origin=origin)
                other = self._parts[kind].get(point.name) or found.get(point.name)
                if other is not None and other.target != part.target:
                    raise UsageError(
                        f"{_ONE[kind]} {point.name!r} comes from {other.origin} and from {origin}; rename one or uninstall {origin}"
                    )
                found[point.name] = part
            self._installed[kind] = found
        return self._installed[kind]


def defects() -> Mapping[str, Defect]:
    """The bank's defects by name."""
    from chaoskit.bank.defects import DEFECTS

    return DEFECTS


def experiments() -> Mapping[str, Path]:
    """The experiments that come with chaoskit, by name: `experiments/` of a checkout, `chaoskit/experiments/` when installed."""
    here = Path(__file__).parent
    folder = next((f for f in (here / "experiments", here.parent / "experiments") if f.is_dir()), None)
    return {p.name.removesuffix(SUFFIX): p for p in sorted(folder.glob("*" + SUFFIX))} if folder else {}


SUFFIX = ".chaos.yaml"


def not_one_of(given: str, valid: Iterable[str], *, what: str) -> str:
    """A message: *given* is not *what*, with every valid name and the nearest one."""
    names = sorted(valid)
    listed = ", ".join(names) if names else "there is none"
    near = nearest(given, names)
    return f"{shown(given)} is not {what} ({listed})" + (f". Did you mean {near!r}?" if near else "")


def nearest(given: str, names: Sequence[str]) -> str | None:
    """The one of *names* that was probably meant; None when none is near. Case, `-` and `_` do not count for much."""
    import difflib

    near = difflib.get_close_matches(given.lower().replace("_", "-"), names, n=1) or difflib.get_close_matches(given, names, n=1)
    return near[0] if near else None


def shown(given: object) -> str:
    """A value as messages quote it: `repr` without passwords of URLs, cut where a reader has seen enough."""
    text = without_url_passwords(repr(given))
    return text if len(text) <= 80 else text[:76] + "...'"


def summary(part: object) -> str:
    """The first paragraph of a part's docstring in one line; "" when it has none of its own."""
    doc = getattr(part, "__doc__", None) or ""
    # A dataclass without a docstring is given its signature as one.
    if dataclasses.is_dataclass(part) and doc.startswith(f"{getattr(part, '__name__', '')}("):
        return ""
    return " ".join(str(doc).strip().partition("\n\n")[0].split())


def _class(part: Part, name_attribute: str) -> type:
    """The part, checked to be a dataclass that calls itself by the name it is registered under."""
    found = part.load()
    if not (isinstance(found, type) and dataclasses.is_dataclass(found)):
        raise UsageError(f"{_ONE[part.kind]} {part.name!r} of {part.origin} is {found!r}; expected a frozen dataclass")
    if getattr(found, name_attribute, None) != part.name:
        raise UsageError(
            f"{_ONE[part.kind]} {part.name!r} of {part.origin}: its {name_attribute!r} is {getattr(found, name_attribute, None)!r};"
            f" expected {part.name!r}. Register it under its own name"
        )
    return found
