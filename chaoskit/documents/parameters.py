"""What a part's fields look like in a document, read from their annotations: the reader and the JSON Schema share it.

A field's key is its name, without the trailing `_s` when it is a duration: `within_s` is written `within: 30s`.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing

from chaoskit.model.errors import UsageError
from chaoskit.model.units import Kind, Naming, Unit


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One field. Exactly one of `unit`, `naming`, `words` and `plain` says what it holds; a pair has two names of `naming`."""

    key: str
    field: str
    is_required: bool
    unit: Unit | None = None
    naming: Kind | None = None
    is_pair: bool = False
    words: tuple[str, ...] = ()
    plain: type | None = None
    """`str` or `bool`."""

    @property
    def expected(self) -> str:
        """What to write, as messages say it."""
        if self.unit:
            return f"a {self.unit.value}"
        if self.naming:
            one = f"the name of a {self.naming.value}"
            return f"a list of two {self.naming.value}s" if self.is_pair else one
        return f"one of {', '.join(self.words)}" if self.words else ("text" if self.plain is str else "true or false")


@functools.cache
def parameters(part: type) -> tuple[Parameter, ...]:
    """The parameters of a fault or check. Raises `UsageError` for a field whose type has no form in a document."""
    hints = typing.get_type_hints(part, include_extras=True)
    return tuple(_parameter(part, field, hints[field.name]) for field in dataclasses.fields(part) if field.init)


def _parameter(part: type, field: dataclasses.Field[object], hint: object) -> Parameter:
    is_required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        others = [one for one in typing.get_args(hint) if one is not type(None)]
        hint = others[0] if len(others) == 1 else hint
    key, name = field.name, field.name
    if typing.get_origin(hint) is typing.Annotated:
        base, *marks = typing.get_args(hint)
        for mark in marks:
            if isinstance(mark, Unit):
                key = key.removesuffix("_s") if mark is Unit.DURATION else key
                return Parameter(key=key, field=name, is_required=is_required, unit=mark)
            if isinstance(mark, Naming):
                is_pair = typing.get_origin(base) is tuple
                return Parameter(key=key, field=name, is_required=is_required, naming=mark.kind, is_pair=is_pair)
        hint = base
    if typing.get_origin(hint) is typing.Literal and all(isinstance(word, str) for word in typing.get_args(hint)):
        return Parameter(key=key, field=name, is_required=is_required, words=typing.get_args(hint))
    if hint is str or hint is bool:
        return Parameter(key=key, field=name, is_required=is_required, plain=hint)
    raise UsageError(
        f"{part.__module__}.{part.__qualname__}.{name}: a document cannot hold {hint!r};"
        " annotate it with a type of chaoskit.model.units, a Literal of words, str or bool"
    )
