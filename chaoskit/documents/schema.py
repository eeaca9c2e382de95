"""The JSON Schema (2020-12) of experiment documents, for editors: made from the same annotations as the reader.

It knows the form of a document but no environment, so it takes any name of a service or journey; the reader does not.
"""

from __future__ import annotations

from collections.abc import Mapping

from chaoskit.documents.fields import LONGEST_TEXT
from chaoskit.documents.limits import LIMITS
from chaoskit.documents.matrix import MOST_ENTRIES
from chaoskit.documents.parameters import Parameter, parameters
from chaoskit.documents.quantities import LARGEST, PATTERNS
from chaoskit.documents.reading import DOCUMENT, ENVIRONMENT, LOAD, LOAD_REQUIRED, MARK, REQUIRED, STEP, VERSION
from chaoskit.model.experiment import Unanswered
from chaoskit.model.journey import Habit
from chaoskit.model.units import Kind, Unit
from chaoskit.registry import Registry, summary

Schema = Mapping[str, object]

_VARIABLE = r"\$\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\}"
"""Wherever a value is expected a variable may stand."""


def schema(registry: Registry | None = None) -> dict[str, object]:
    """The schema as plain values, ready for `json.dumps`. Raises `UsageError` for a part that cannot be loaded."""
    registry = registry or Registry()
    faults = {part.name: registry.fault(part.name) for part in registry.parts("faults")}
    checks = {part.name: registry.checks(part.name)[0] for part in registry.parts("checks")}
    definitions: dict[str, object] = {
        **{unit.name.lower(): _quantity(unit) for unit in Unit},
        "text": {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT},
        **{f"fault-{name}": _fault(name, part) for name, part in faults.items()},
        **{f"check-{name}": _check(name, part) for name, part in checks.items()},
        "fault": _by_name("fault", tuple(faults)),
        "check": {"anyOf": [{"enum": [*registry.names("checks")]}, _variable(), _by_name("check", tuple(checks))]},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "chaoskit experiment",
        **_object(DOCUMENT, _properties(registry), required=REQUIRED),
        "$defs": definitions,
    }


def _properties(registry: Registry) -> dict[str, Schema]:
    checks: Schema = {"type": "array", "items": _ref("check")}
    option: Schema = {"type": ["string", "number", "boolean"]}
    choice = _object(
        {key: says for key, says in ENVIRONMENT.items() if key != "fixture"},
        {
            "use": _ref("text"),
            "on": {"anyOf": [{"enum": [*registry.names("places")]}, _variable()]},
            "options": {"type": "object", "minProperties": 1, "additionalProperties": option},
        },
        required=("use",),
    )
    fixture = _object({"fixture": ENVIRONMENT["fixture"]}, {"fixture": _ref("text")}, required=("fixture",))
    step = _object(STEP, {"at": _ref("duration"), "times": _ref("factor")}, required=tuple(STEP))
    profiles: Schema = {
        "anyOf": [{"enum": [*registry.names("profiles")]}, _variable(), {"type": "array", "minItems": 1, "items": step}]
    }
    habits: Schema = {
        "type": "object",
        "minProperties": 1,
        "properties": {habit.value: _ref("share") for habit in Habit},
        "additionalProperties": False,
    }
    load = _object(
        LOAD,
        {
            "arrivals_per_s": _ref("rate"),
            "duration": _ref("duration"),
            "mix": {"type": "object", "minProperties": 1, "additionalProperties": _ref("factor")},
            "profile": profiles,
            "warned": {"anyOf": [{"enum": ["ok", "info"]}, _variable()]},
            "unanswered": {"anyOf": [{"enum": [one.value for one in Unanswered]}, _variable()]},
            "habits": habits,
        },
        required=LOAD_REQUIRED,
    )
    limits = _object(LIMITS, {"services": _ref("count"), "share_of_group": _ref("share"), "for": _ref("duration")}, required=())
    return {
        "chaoskit": {"const": VERSION},
        "title": {**_ref("text"), "maxLength": LONGEST_TEXT // 20},
        "reason": _ref("text"),
        "incident": _ref("text"),
        "production": {"anyOf": [{"type": "boolean"}, _variable()]},
        "marks": {"type": "array", "items": {"anyOf": [{"type": "string", "pattern": f"^(?:{MARK})$"}, _variable()]}},
        "environment": {"anyOf": [_ref("text"), choice, fixture]},
        "load": load,
        "steady_state": checks,
        "faults": {"type": "array", "items": _ref("fault")},
        "expect": {**checks, "minItems": 1},
        "abort_if": checks,
        "limits": {**limits, "minProperties": 1},
        "secrets": {"type": "array", "items": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}},
        "matrix": _matrix(),
    }


def _matrix() -> Schema:
    values: Schema = {"type": "array", "minItems": 1, "maxItems": MOST_ENTRIES, "uniqueItems": True}
    combination: Schema = {"type": "object", "minProperties": 1}
    return {
        "anyOf": [
            {"type": "object", "minProperties": 1, "additionalProperties": values},
            {"type": "array", "minItems": 1, "maxItems": MOST_ENTRIES, "uniqueItems": True, "items": combination},
        ]
    }


def _fault(name: str, part: type) -> Schema:
    timing: dict[str, Schema] = {"fault": {"const": name}, "at": _ref("duration"), "for": _ref("duration")}
    return _part(part, timing, required=("fault", "at"))


def _check(name: str, part: type) -> Schema:
    return _part(part, {"check": {"const": name}}, required=("check",))


def _part(part: type, own: Mapping[str, Schema], *, required: tuple[str, ...]) -> Schema:
    wanted = parameters(part)
    return {
        "description": summary(part),
        "type": "object",
        "properties": {**own, **{parameter.key: _value(parameter) for parameter in wanted}},
        "required": [*required, *(parameter.key for parameter in wanted if parameter.is_required)],
        "additionalProperties": False,
    }


def _value(parameter: Parameter) -> Schema:
    if parameter.unit is not None:
        return _ref(parameter.unit.name.lower())
    if parameter.is_pair:
        return {"type": "array", "items": _ref("text"), "minItems": 2, "maxItems": 2, "description": parameter.expected}
    if parameter.naming is not None:
        examples = {Kind.SERVICE: ["ledger-db.primary"], Kind.GROUP: ["ledger-db"], Kind.JOURNEY: ["transfer"]}
        return {**_ref("text"), "description": parameter.expected, "examples": examples[parameter.naming]}
    if parameter.words:
        return {"anyOf": [{"enum": [*parameter.words]}, _variable()]}
    return _ref("text") if parameter.plain is str else {"anyOf": [{"type": "boolean"}, _variable()]}


def _quantity(unit: Unit) -> Schema:
    if unit in PATTERNS:
        return {"description": unit.value, "type": "string", "pattern": f"^(?:{PATTERNS[unit]})$|{_VARIABLE}"}
    number: Schema = {"type": "integer" if unit is Unit.COUNT else "number", "minimum": 0, "maximum": LARGEST}
    return {"description": unit.value, "anyOf": [number, _variable()]}


def _by_name(key: str, names: tuple[str, ...]) -> Schema:
    """One of several mappings, told apart by *key*: an editor then complains about the one that was meant."""
    return {
        "type": "object",
        "properties": {key: {"enum": [*names]}},
        "required": [key],
        "allOf": [
            {"if": {"properties": {key: {"const": name}}, "required": [key]}, "then": _ref(f"{key}-{name}")} for name in names
        ],
    }


def _object(keys: Mapping[str, str], properties: Mapping[str, Schema], *, required: tuple[str, ...]) -> dict[str, object]:
    described = {key: {"description": keys[key], **value} for key, value in properties.items()}
    return {
        "type": "object",
        "properties": described,
        "required": [key for key in keys if key in required],
        "additionalProperties": False,
    }


def _variable() -> Schema:
    return {"type": "string", "pattern": _VARIABLE}


def _ref(name: str) -> dict[str, object]:
    return {"$ref": f"#/$defs/{name}"}
