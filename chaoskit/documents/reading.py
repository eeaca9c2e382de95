"""An experiment document -> a frozen `Experiment`, or one `InvalidDocument` with every mistake and its place.

Names are checked against what the registry says of the environment; nothing is started. The methods of `_Reader` return
None for what is wrong, after they have added the problem, and stand in the order of a document.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from chaoskit.documents.fields import LONGEST_TEXT, Fields
from chaoskit.documents.limits import WHAT as LIMITS_WHAT
from chaoskit.documents.limits import hold_to_limits, read_limits
from chaoskit.documents.matrix import WHAT as MATRIX_WHAT
from chaoskit.documents.matrix import Entry, entries
from chaoskit.documents.parts import Parts, Scope
from chaoskit.documents.secrets import SecretValues
from chaoskit.documents.tree import SECRET, Items, Node, Pairs, Problems, Scalar, Tree, parse, written_out
from chaoskit.model.errors import InvalidDocument, Problem
from chaoskit.model.experiment import EnvironmentChoice, Experiment, LoadShape, Step, Unanswered
from chaoskit.model.journey import Habit
from chaoskit.model.secrets import Secrets, without_url_passwords
from chaoskit.model.topology import Topology
from chaoskit.model.units import Unit
from chaoskit.registry import Registry, nearest, not_one_of

VERSION = 1

LARGEST_FILE = 1 << 20
"""The reference experiments have about 2 KiB; what is larger than 1 MiB is some other file."""

LISTED = 20
"""Entries of a matrix that a message names: there may be hundreds."""

DOCUMENT = {
    "chaoskit": "1, the version of the format",
    "title": "one line of text",
    "reason": "text: why this is tried, in plain language",
    "incident": "the name of a published incident, such as gocardless-2017",
    "production": "true or false: whether this must be allowed by name, with --allow production",
    "marks": "a list of marks for pytest, such as [slow]",
    "environment": "a name such as bank, {use: …, on: …, options: {…}}, or {fixture: …}",
    "load": "{arrivals_per_s: …, duration: …, mix: {…}}",
    "steady_state": "a list of checks",
    "faults": "a list of faults",
    "expect": "a list of checks, such as [money]: without expectations a run shows nothing",
    "abort_if": "a list of checks",
    "limits": LIMITS_WHAT,
    "secrets": "a list of environment variables whose values must never be shown, such as [CORE_TOKEN]",
    "matrix": MATRIX_WHAT,
}
ENVIRONMENT = {
    "use": "the name of an environment, or 'module:name'",
    "on": "the name of a place, such as process",
    "options": "a mapping of options to their values",
    "fixture": "the name of a pytest fixture that gives an environment which is up",
}
LOAD = {
    "arrivals_per_s": "a number per second",
    "duration": "a duration such as 250ms, 5s or 1m30s",
    "mix": "a mapping of journeys to their weights, such as {balance: 5, transfer: 3}",
    "profile": "a name such as steady, or a list of {at: …, times: …}",
    "warned": "ok or info: what an answer counts as that says done with a warning",
    "unanswered": "tombstone or re-send: what is done at the end about what had no clear answer",
    "habits": "a mapping of habits to the shares of the customers that have them, such as {double-tap: 5%}",
}
STEP = {"at": "a duration such as 250ms, 5s or 1m30s", "times": "a number of times"}
MARK = "[A-Za-z_][A-Za-z0-9_]*"
REQUIRED = ("chaoskit", "title", "environment", "load", "expect")
LOAD_REQUIRED = ("arrivals_per_s", "duration", "mix")


def read(
    path: Path | str,
    *,
    registry: Registry,
    variables: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    on: str | None = None,
    entry: str = "",
    topology: Topology | None = None,
    environ: Mapping[str, str] | None = os.environ,
) -> Experiment:
    """Read the document in a file. *options* and *on* are the command line's: they go before what the document says.

    *entry* chooses one of a document with a matrix. *topology* is what an environment at hand consists of: names are checked
    against it. *environ* has the values of secrets; None is for a document that is judged and not run: `***` then stands for each.
    Raises `InvalidDocument` with every mistake; a file that cannot be read is one too.
    """
    return read_text(
        _experiment_text(path),
        file=str(path),
        registry=registry,
        variables=variables,
        options=options,
        on=on,
        entry=entry,
        topology=topology,
        environ=environ,
    )


def expand(
    path: Path | str,
    *,
    registry: Registry,
    variables: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    on: str | None = None,
    topology: Topology | None = None,
    environ: Mapping[str, str] | None = os.environ,
) -> tuple[Experiment, ...]:
    """Every entry of the document's matrix, in order; the one experiment of a document without a matrix. Otherwise as `read`."""
    sources = _Sources(registry, str(path), variables or {}, options or {}, on, topology, environ)
    return sources.experiments(_experiment_text(path))[0]


def bind(
    experiment: Experiment,
    topology: Topology,
    *,
    registry: Registry,
    variables: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = os.environ,
) -> Experiment:
    """The experiment of a document, its names checked against the environment that is at hand.

    Its document is read once more, so *variables* are the ones that it was read with. Raises `InvalidDocument`.
    """
    return read(
        experiment.source, registry=registry, variables=variables, entry=experiment.entry, topology=topology, environ=environ
    )


def read_text(
    text: str,
    *,
    registry: Registry,
    file: str = "",
    variables: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    on: str | None = None,
    entry: str = "",
    topology: Topology | None = None,
    environ: Mapping[str, str] | None = os.environ,
) -> Experiment:
    """The same for a document that is at hand as text. *file* is what messages call it."""
    sources = _Sources(registry, file, variables or {}, options or {}, on, topology, environ)
    experiments, matrix = sources.experiments(text)
    for experiment in experiments:
        if experiment.entry == entry:
            return experiment
    ids = [experiment.entry for experiment in experiments]
    if matrix is None:
        message = "the document has no matrix, so it has no entries; leave it out"
        raise InvalidDocument((Problem(message=message, file=file, where=f"entry {entry}"),))
    if entry:
        raise InvalidDocument((Problem(message=not_one_of(entry, ids, what="an entry of the matrix"), file=file, where="entry"),))
    more = f" and {len(ids) - LISTED} more" if len(ids) > LISTED else ""
    message = (
        f"there are {len(ids)} entries ({', '.join(ids[:LISTED])}{more}); "
        f"choose one by its id: chaos.run(…, entry={ids[0]!r}), and chaos.entries(…) gives all of them"
    )
    raise InvalidDocument((Problem(message=message, file=file, line=matrix.line, column=matrix.column, where="matrix"),))


@dataclass(frozen=True, slots=True)
class _Sources:
    """All that is read besides the text itself."""

    registry: Registry
    file: str
    variables: Mapping[str, str]
    options: Mapping[str, str]
    on: str | None
    topology: Topology | None
    environ: Mapping[str, str] | None

    def experiments(self, text: str) -> tuple[tuple[Experiment, ...], Node | None]:
        """Every entry, and the matrix; it is None when there is none. Raises `InvalidDocument` with the mistakes of all of them."""
        problems = Problems(file=self.file)
        secrets = SecretValues(self.environ, problems)
        tree = parse(text, variables=self.variables, problems=problems, secret_of=secrets.named)
        matrix = None
        experiments, told = [], dict[Problem, list[str]]()
        if tree.root is not None:
            matrix = self._matrix(tree.root)
            found = entries(tree.root, Fields(problems), size=len(text), secrets=self._known_secrets(tree.root, secrets))
            for one in found:
                own = Problems(file=self.file, settled=set(problems.settled))
                reader = _Reader(self.registry, own, secrets.again(own), self)
                experiment = reader.experiment(tree, one)
                for problem in own.found:
                    told.setdefault(_shown(problem, reader.secrets), []).append(one.id)
                if experiment is not None:
                    experiments.append(experiment)
            for name in sorted(set(self.variables) - tree.variables):
                message = not_one_of(name, tree.variables, what="a variable of the document")
                problems.found.append(Problem(message=message, file=self.file, where=f"--var {name}=…"))
            problems.found += (_of_some(problem, dict.fromkeys(ids), len(found)) for problem, ids in told.items())
        if problems.found:
            in_order = sorted(problems.found, key=lambda p: (p.line or 0, p.column or 0))
            raise InvalidDocument(tuple(_shown(problem, secrets) for problem in in_order))
        return tuple(experiments), matrix

    def _matrix(self, root: Node) -> Node | None:
        return next((value for key, value in root.pairs if key.text == "matrix"), None) if isinstance(root, Pairs) else None

    def _known_secrets(self, root: Node, secrets: SecretValues) -> Secrets:
        """Also those that the document only names: none may get into the id of an entry. What is wrong with them is told later."""
        known = secrets.again(Problems(file=self.file))
        for key, value in root.pairs if isinstance(root, Pairs) else ():
            for item in value.nodes if key.text == "secrets" and isinstance(value, Items) else ():
                if isinstance(item, Scalar):
                    known.named(item, item.text)
        return known.secrets


def _experiment_text(path: Path | str) -> str:
    return text_of(Path(path), Problems(file=str(path)), expected="an experiment document such as database_failover.chaos.yaml")


def _of_some(problem: Problem, ids: Mapping[str, object], of: int) -> Problem:
    """A mistake that not every entry makes says which ones do."""
    if len(ids) == of:
        return problem
    more = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
    return replace(problem, message=f"{problem.message} (in the entry {next(iter(ids))}{more})")


def _shown(problem: Problem, secrets: SecretValues) -> Problem:
    """The problem as it may be seen: a part's refusal may quote what it was given."""
    redacted = secrets.secrets.redacted(problem)
    return replace(
        redacted, message=without_url_passwords(redacted.message), where=without_url_passwords(redacted.where), file=problem.file
    )


def text_of(path: Path, problems: Problems, *, expected: str) -> str:
    """The text of a file, which must be a small one in UTF-8. Raises `InvalidDocument` for any other."""
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
            problems.add_at(f"is {kind}; expected {expected}")
        else:
            with path.open("rb") as file:
                content = file.read(LARGEST_FILE + 1)
            if len(content) <= LARGEST_FILE:
                return content.decode("utf-8-sig")
            problems.add_at(f"is larger than {LARGEST_FILE >> 20} MiB; expected {expected}")
    except UnicodeDecodeError as error:
        before = error.object[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        problems.add_at(f"byte {error.object[error.start]:#04x} is not UTF-8; save the file as UTF-8", line=line, column=column)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        problems.add_at(f"cannot be read: {getattr(error, 'strerror', None) or error}; expected {expected}")
    raise InvalidDocument(tuple(problems.found))


def check_version(node: Node | None, fields: Fields) -> None:
    """Report a version other than ours; that it is missing is reported elsewhere."""
    if node is not None and not (isinstance(node, Scalar) and node.value == VERSION and not isinstance(node.value, bool)):
        fields.wrong(node, f"is not a version of the format; expected {VERSION}")


class _Reader:
    def __init__(self, registry: Registry, problems: Problems, secrets: SecretValues, sources: _Sources) -> None:
        self._registry = registry
        self.secrets = secrets
        self._tags: dict[str, str] = {}
        self._fields = Fields(problems)
        self._options = sources.options
        self._on = sources.on
        self._at_hand = sources.topology

    def experiment(self, tree: Tree, entry: Entry) -> Experiment | None:
        given = self._fields.table(entry.root, DOCUMENT, required=REQUIRED, what="an experiment, beginning with 'chaoskit: 1'")
        if given is None:
            return None
        check_version(given.get("chaoskit"), self._fields)
        title = self._fields.text(given.get("title"), longest=LONGEST_TEXT // 20, is_line=True)
        reason = self._fields.text(given.get("reason"))
        incident = self._fields.text(given.get("incident"), longest=LONGEST_TEXT // 20, is_line=True)
        production = self._fields.flag(given.get("production"))
        marks = self._marks(given.get("marks"))
        environment, topology = self._environment(given.get("environment"))
        load, mix, duration_s = self._load(given.get("load"), topology)
        parts = Parts(self._registry, self._fields, Scope(topology=topology, mix=mix, duration_s=duration_s))
        steady_state = parts.checks(given.get("steady_state"))
        faults = parts.faults(given.get("faults"))
        expect = parts.checks(given.get("expect"), is_empty_allowed=False)
        abort_if = parts.checks(given.get("abort_if"))
        limits = read_limits(given.get("limits"), self._fields, source=self._fields.problems.file)
        for item in self._fields.items(given.get("secrets"), DOCUMENT["secrets"]):
            name = self._fields.name(item, expected="the name of an environment variable")
            if name is not None:
                self.secrets.named(item, name)
        self.secrets.look_through(entry.root, self._options)
        self.secrets.hold_against(self._registry, topology)
        secrets = self.secrets.secrets
        if title is None or environment is None or load is None or not expect:
            return None
        if not any(check.name == "exercised" for check in expect):
            (exercised,) = self._registry.checks("exercised")
            expect = (*expect, exercised())
        experiment = Experiment(
            title=secrets.redact(title),
            reason=secrets.redact(reason or ""),
            incident=secrets.redact(incident or ""),
            environment=environment,
            load=load,
            steady_state=steady_state,
            faults=faults,
            expect=expect,
            abort_if=abort_if,
            source=self._fields.problems.file,
            document=self._stored(tree, entry, environment),
            secrets=secrets,
            limits=limits,
            production=production or False,
            marks=marks,
            entry=entry.id,
        )
        # With a fault left out for another mistake, the others would be called by the wrong number.
        if topology is not None and "limits" in given and not self._fields.problems.found:
            hold_to_limits(experiment, topology, given["limits"], self._fields)
        return experiment

    def _marks(self, node: Node | None) -> tuple[str, ...]:
        marks = []
        for item in self._fields.items(node, DOCUMENT["marks"]):
            name = self._fields.name(item, expected="the name of a mark, such as slow")
            if name is not None and not re.fullmatch(MARK, name):
                self._fields.wrong(item, "is not the name of a mark; expected letters, digits and _, such as slow")
            elif name is not None:
                marks.append(name)
        return tuple(marks)

    def _stored(self, tree: Tree, entry: Entry, environment: EnvironmentChoice) -> str:
        """The document, as it can be read again: the command line's choice is in it, and of a matrix this entry only."""
        if entry.id:
            assert isinstance(entry.root, Pairs)
            text = f"# The entry {entry.id} of a matrix, written out.\n{written_out(entry.root)}"
            spoilt, unknown = Problems(file=""), self.secrets.again(Problems(file=""))
            tree = parse(text, variables={}, problems=spoilt, secret_of=unknown.named)
            if spoilt.found:  # half of a surrogate pair cannot be written, and that is told already
                return ""
        root, instead = tree.root, {}
        if self._on is not None or self._options:
            assert isinstance(root, Pairs)
            instead = {value: _written(environment, self._tags) for key, value in root.pairs if key.text == "environment"}
        return self.secrets.stored(tree, instead)

    # The environment

    def _environment(self, node: Node | None) -> tuple[EnvironmentChoice | None, Topology | None]:
        """The choice, and what it consists of; without the latter no name can be checked."""
        if node is None:
            return None, None
        use_node: Node | None = node
        given: dict[str, Node] = {}
        if isinstance(node, Pairs):
            is_fixture = any(key.text == "fixture" for key, _ in node.pairs)
            is_meant = any(nearest(key.text, tuple(ENVIRONMENT)) == "fixture" for key, _ in node.pairs)
            required = () if is_fixture or is_meant else ("use",)
            given = self._fields.table(node, ENVIRONMENT, required=required, what=DOCUMENT["environment"]) or {}
            if is_fixture:
                return self._fixture(given, node)
            use_node = given.get("use")
        use = self._fields.name(use_node, expected=DOCUMENT["environment"]) if use_node else None
        if use is None or use_node is None:
            return None, None
        topology = self._at_hand or self._fields.look_up(use_node, self._registry.topology, use)
        places = self._registry.names("places")
        what = "a place where environments run"
        on = self._fields.name(given["on"], expected=ENVIRONMENT["on"]) if "on" in given else None
        if on is not None:
            self._fields.one_of(given["on"], on, places, what=what)
        if self._on is not None and self._on not in places:
            self._fields.problems.add(node, not_one_of(self._on, places, what=what), where="--on")
        options = self._option_values(given.get("options"), node, topology)
        return EnvironmentChoice(use=use, on=self._on or on, options=options), topology

    def _fixture(self, given: Mapping[str, Node], node: Node) -> tuple[EnvironmentChoice | None, Topology | None]:
        """The environment of a fixture is up already: nothing else can be chosen."""
        for key in ("use", "on", "options"):
            if key in given:
                self._fields.problems.add(
                    given[key], f"{key!r} is for an environment that chaoskit starts; leave it or 'fixture' out"
                )
        asked = {"--on": self._on is not None, "--option": bool(self._options)}
        for option in (option for option, is_given in asked.items() if is_given):
            self._fields.problems.add(node, "the environment is up already, by a fixture; leave it out", where=option)
        name = self._fields.name(given["fixture"], expected=ENVIRONMENT["fixture"])
        if name is not None and not name.isidentifier():
            self._fields.wrong(given["fixture"], f"is not the name of a fixture; expected {ENVIRONMENT['fixture']}")
        if name is None:
            return None, None
        return EnvironmentChoice(use=self._at_hand.name if self._at_hand else "", fixture=name), self._at_hand

    def _option_values(self, node: Node | None, environment: Node, topology: Topology | None) -> Mapping[str, str]:
        values: dict[str, str] = {}
        for key, value in self._fields.pairs(node, ENVIRONMENT["options"]):
            if not isinstance(value, Scalar) or value.value is None:
                self._fields.wrong(value, "expected a value such as a word or a number")
                continue
            self._option(topology, key.text, value.text, key, value)
            values[key.text] = value.text
            if value.secret:
                self._tags[key.text] = value.secret
        for name, text in self._options.items():
            self._option(topology, name, text, environment, environment, where=f"--option {name}={text}")
            values[name] = text
            self._tags.pop(name, None)
        return values

    def _option(
        self, topology: Topology | None, name: str, value: str, name_node: Node, value_node: Node, *, where: str | None = None
    ) -> None:
        if topology is None:
            return
        allowed = topology.option_names
        if name not in allowed:
            self._fields.problems.add(
                name_node, not_one_of(name, allowed, what=f"an option of environment {topology.name!r}"), where=where
            )
        elif allowed[name] and isinstance(value_node, Scalar) and value_node.secret:
            self._fields.problems.add(value_node, f"one of {', '.join(allowed[name])} is no secret; write it out")
        elif allowed[name] and value not in allowed[name]:
            self._fields.problems.add(value_node, not_one_of(value, allowed[name], what=f"a value of option {name!r}"), where=where)

    # The load

    def _load(
        self, node: Node | None, topology: Topology | None
    ) -> tuple[LoadShape | None, Mapping[str, float] | None, float | None]:
        """The load, and its mix and duration by themselves: they are checked against also when the rest is wrong."""
        given = self._fields.table(node, LOAD, required=LOAD_REQUIRED, what=DOCUMENT["load"]) if node else None
        if node is None or given is None:
            return None, None, None
        rate = self._fields.quantity(given.get("arrivals_per_s"), Unit.RATE, is_zero_allowed=False)
        duration_s = self._fields.quantity(given.get("duration"), Unit.DURATION, is_zero_allowed=False)
        mix = self._mix(given.get("mix"), topology)
        steps, profile = self._profile(given.get("profile"), node, duration_s)
        habits = self._habits(given.get("habits"), topology)
        if rate is None or duration_s is None or mix is None:
            return None, mix, duration_s
        shape = LoadShape(
            arrivals_per_s=rate,
            duration_s=duration_s,
            mix=mix,
            steps=steps,
            profile=profile,
            habits=habits,
            warned=self._warned(given.get("warned")),
            unanswered=self._unanswered(given.get("unanswered")),
        )
        return shape, mix, duration_s

    def _warned(self, node: Node | None) -> Literal["ok", "info"]:
        word = None if node is None else self._fields.name(node, expected=LOAD["warned"])
        if node is not None and word is not None:
            self._fields.one_of(node, word, ("ok", "info"), what="what such an answer counts as")
        return "info" if word == "info" else "ok"

    def _unanswered(self, node: Node | None) -> Unanswered:
        word = None if node is None else self._fields.name(node, expected=LOAD["unanswered"])
        if node is None or word is None:
            return Unanswered.TOMBSTONE
        is_known = self._fields.one_of(node, word, [one.value for one in Unanswered], what="what can be done about it")
        return Unanswered(word) if is_known else Unanswered.TOMBSTONE

    def _mix(self, node: Node | None, topology: Topology | None) -> Mapping[str, float] | None:
        pairs = self._fields.pairs(node, LOAD["mix"])
        mix: dict[str, float] = {}
        for key, value in pairs:
            if topology:
                self._fields.one_of(key, key.text, topology.journey_names, what=f"a journey of environment {topology.name!r}")
            weight = self._fields.quantity(value, Unit.FACTOR)
            if weight is not None:
                mix[key.text] = weight
        if node is None or len(mix) < len(pairs) or not mix:
            return None
        if not any(mix.values()):
            self._fields.problems.add(node, f"no journey has a weight above 0; expected {LOAD['mix']}")
            return None
        return mix

    def _habits(self, node: Node | None, topology: Topology | None) -> Mapping[Habit, float]:
        habits: dict[Habit, float] = {}
        for key, value in self._fields.pairs(node, LOAD["habits"]):
            share = self._fields.quantity(value, Unit.SHARE, is_zero_allowed=False)
            is_habit = self._fields.one_of(key, key.text, [habit.value for habit in Habit], what="a habit of customers")
            if is_habit and topology and key.text not in topology.habit_names:
                heeded = ", ".join(topology.habit_names) or "there is none"
                what = f"a habit that any journey of environment {topology.name!r} heeds ({heeded})"
                self._fields.problems.add(key, f"{key.text!r} is not {what}; leave it out, or have a journey ask for `visit.habit`")
            if is_habit and share is not None:
                habits[Habit(key.text)] = share
        if node is not None and sum(habits.values()) > 1 + 1e-9:  # 70% and 30% must not fail by rounding
            total = f"{sum(habits.values()) * 100:g} %"
            self._fields.problems.add(
                node, f"the shares come to {total}; expected at most 100%, as a customer has one habit at most"
            )
        return habits

    def _profile(self, node: Node | None, load: Node, duration_s: float | None) -> tuple[tuple[Step, ...], str]:
        """The steps and the profile's name; the name is "" for steps that are written out."""
        if isinstance(node, Items):
            return self._steps(node, duration_s), ""
        name = "steady" if node is None else self._fields.name(node, expected=LOAD["profile"])
        if name is None or self._fields.look_up(node or load, self._registry.profile, name) is None or duration_s is None:
            return (), ""
        return self._registry.profile(name)(duration_s), name

    def _steps(self, node: Items, duration_s: float | None) -> tuple[Step, ...]:
        steps: list[Step] = []
        for item in node.nodes:
            given = self._fields.table(item, STEP, required=tuple(STEP), what="a step {at: …, times: …}")
            at_s = self._fields.quantity(given.get("at"), Unit.DURATION) if given else None
            times = self._fields.quantity(given.get("times"), Unit.FACTOR) if given else None
            if given is None or at_s is None or times is None:
                continue
            if not steps and at_s != 0:
                self._fields.wrong(given["at"], "is where the first step begins; expected 0s")
            if steps and at_s <= steps[-1].at_s:
                self._fields.wrong(
                    given["at"], f"is not after the step before ({steps[-1].at_s:g}s); expected steps in order of time"
                )
            if duration_s is not None and at_s >= duration_s:
                self._fields.wrong(given["at"], f"is not within the load, which lasts {duration_s:g}s")
            steps.append(Step(at_s=at_s, times=times))
        if not node.nodes:
            self._fields.problems.add(node, f"the list is empty; expected {LOAD['profile']}")
        elif steps and not any(step.times for step in steps):
            self._fields.problems.add(node, "every step is 0 times the rate: nobody would arrive; expected a step above 0")
        return tuple(steps)


def _written(environment: EnvironmentChoice, tags: Mapping[str, str]) -> str:
    """The choice as one line of YAML. JSON is YAML; its strings are quoted, so they stay text. *tags* are options of `!secret`."""

    def quoted(text: str) -> str:
        return json.dumps(text, ensure_ascii=False).replace("${", "$${")

    written = [f"use: {quoted(environment.use)}"]
    if environment.on is not None:
        written.append(f"on: {quoted(environment.on)}")
    if environment.options:
        options = (
            f"{quoted(name)}: {f'{SECRET} {tags[name]}' if name in tags else quoted(value)}"
            for name, value in environment.options.items()
        )
        written.append(f"options: {{{', '.join(options)}}}")
    return f"{{{', '.join(written)}}}"
