"""A schedule as it stands in a document: what a search has found is worth keeping, as an experiment that everybody can run."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable

from chaoskit.documents.parameters import Parameter, parameters
from chaoskit.model.experiment import Injection
from chaoskit.model.units import Unit


def as_document(schedule: Iterable[Injection]) -> str:
    """The lines of `faults:` of an experiment document. What a fault has by default is left out."""
    return "faults:\n" + "".join(f"  - {{{', '.join(_fields(injection))}}}\n" for injection in schedule)


def _fields(injection: Injection) -> Iterable[str]:
    fault = injection.fault
    yield f"fault: {fault.kind}"
    defaults = {field.name: field.default for field in dataclasses.fields(fault)}  # type: ignore[arg-type]  # a dataclass by contract
    for parameter in parameters(type(fault)):
        value = getattr(fault, parameter.field)
        if value != defaults[parameter.field]:
            yield f"{parameter.key}: {_value(parameter, value)}"
    yield f"at: {_seconds(injection.at_s)}"
    if injection.for_s is not None:
        yield f"for: {_seconds(injection.for_s)}"


def _value(parameter: Parameter, value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_text(str(one)) for one in value)}]"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return json.dumps(value)
    if parameter.unit is Unit.DURATION:
        return _seconds(value)
    if parameter.unit is Unit.SHARE:
        return f"{value * 100:g}%"
    return f"{value}B" if parameter.unit is Unit.SIZE else f"{value:g}"


def _seconds(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".") + "s"


def _text(value: str) -> str:
    """Quoted, as JSON, where YAML might take it for something else."""
    return value if re.fullmatch(r"[A-Za-z][\w.-]*", value) else json.dumps(value, ensure_ascii=False)
