"""Values that must never be seen again: not in the record, not in a log, a report or an error.

They are replaced wherever text leaves a run, not where it is made: nobody who writes a fault or a service has to think of it.
Numbers of the record are left alone, so what could be one is no secret here.
"""

from __future__ import annotations

import base64
import dataclasses
import enum
import html
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar, cast
from urllib.parse import quote, quote_plus, unquote

T = TypeVar("T")

MARK = "***"
"""What stands in the place of a secret."""
SHORTEST = 4
"""Three characters stand in the middle of ordinary words: replacing them would spoil the record."""
SHORTEST_NUMBER = 8
"""Shorter numbers are amounts, counts and times as well; eight digits are Rp 10,000,000 and more in one transfer."""
CUT = 12
"""Messages quote the beginning of long answers. Of a secret that was cut off by that, so much is known for it."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Replaces secret values in text and in plain data. False when there is none, and then nothing costs anything."""

    values: tuple[str, ...] = ()
    _forms: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        forms = {form for value in self.values for form in forms_of(value)}
        # The longest first: a secret may be a part of another one, as a password is of its URL.
        object.__setattr__(self, "_forms", tuple(sorted(forms, key=lambda form: (-len(form), form))))

    def __bool__(self) -> bool:
        return bool(self.values)

    def __repr__(self) -> str:
        return f"<{len(self.values)} secrets>"

    def redact(self, text: str) -> str:
        """*text* with `***` for every secret in it, also one in quotes of URL, JSON, HTML, Python or base64."""
        for form in self._forms:
            text = text.replace(form, MARK)
        for form in self._forms:
            if form[:CUT] in text:
                text = _without_cut(text, form)
        return text

    def redact_bytes(self, data: bytes) -> bytes:
        """The same for whole lines of a file, whatever else is in them. A secret has no end of a line in it."""
        for form in self._forms:
            data = data.replace(form.encode(), MARK.encode())
        return data

    def redacted(self, value: T) -> T:
        """The same data with every text in it redacted: mappings with their keys, lists, tuples and dataclasses."""
        return cast("T", self._walk(value)) if self.values else value

    def scrub(self, error: BaseException) -> None:
        """Redact an error that is on its way out, and those that it was raised from."""
        met: set[int] = set()
        rest: list[BaseException | None] = [error] if self.values else []
        while rest:
            one = rest.pop()
            if one is None or id(one) in met:
                continue
            met.add(id(one))
            one.args = self.redacted(one.args)
            vars(one).update(self.redacted(vars(one)))  # what some errors make their text of, and notes
            if isinstance(one, OSError) and isinstance(one.filename, str):
                one.filename = self.redact(one.filename)
            rest += [one.__cause__, one.__context__, *(one.exceptions if isinstance(one, BaseExceptionGroup) else ())]

    def _walk(self, value: object) -> object:
        if isinstance(value, enum.Enum):
            return value
        if isinstance(value, str):
            return self.redact(value)
        if isinstance(value, Mapping):
            return {self._walk(key): self._walk(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._walk(one) for one in value]
        if isinstance(value, tuple):
            return tuple(self._walk(one) for one in value)
        if isinstance(value, int) and str(value) in self.values:
            return MARK
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = (one.name for one in dataclasses.fields(value) if one.init)
            return dataclasses.replace(value, **{name: self._walk(getattr(value, name)) for name in fields})
        return value


NO_SECRETS = Secrets()


def why_unfit(value: str) -> str:
    """Why *value* cannot be kept out of a record, and what to do; "" when it can."""
    if len(value.strip()) < SHORTEST:
        return f"is shorter than {SHORTEST} characters, which are a part of ordinary words as well; use a longer one"
    if re.fullmatch(r"[\W\d_]*", value, re.ASCII) and len(value) < SHORTEST_NUMBER:
        return (
            f"has no letter and could be an amount or a time of the record; use one with letters or of {SHORTEST_NUMBER} characters"
        )
    if not value.isprintable():
        return "has more than one line or characters that cannot be printed; use one line of printable text"
    return ""


def url_passwords(text: str) -> tuple[str, ...]:
    """The passwords of the URLs in *text*, as they stand there."""
    return tuple(dict.fromkeys(match["password"] for match in _URL.finditer(text)))


def without_url_passwords(text: str) -> str:
    """*text* with `***` for the password of every URL in it: for messages about a text whose secrets are not known yet."""
    return _URL.sub(lambda match: f"{match['before']}{MARK}@", text)


def forms_of(value: str) -> Iterator[str]:
    """*value* as it looks in URLs, JSON, HTML, Python, a shell and base64, and without the blanks around it."""
    for plain in dict.fromkeys((value, value.strip(), unquote(value))):
        if len(plain) < SHORTEST:
            continue
        yield plain
        for quoted in (quote(plain), quote(plain, safe=""), quote_plus(plain)):
            yield quoted
            yield re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), quoted)
        yield json.dumps(plain)[1:-1]
        yield json.dumps(plain, ensure_ascii=False)[1:-1]
        yield repr(plain)[1:-1]
        yield repr(plain.encode())[2:-1]
        yield html.escape(plain)
        yield html.escape(plain, quote=False)
        yield plain.replace("'", "'\"'\"'")
        yield from _base64(plain.encode())


def _base64(data: bytes) -> Iterator[str]:
    """The characters that *data* alone decides, for each of the three places where it may begin (as in `user:password`)."""
    for before in range(3):
        coded = base64.b64encode(bytes(before) + data).decode()
        own = coded[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        if len(own) > SHORTEST:
            yield own
            yield own.replace("+", "-").replace("/", "_")


def _without_cut(text: str, form: str) -> str:
    """*text* without the beginning of a secret where somebody has cut it off: before dots, or at the end."""
    start = 0
    while (start := text.find(form[:CUT], start)) >= 0:
        end = start + sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(text[start:], form, strict=False)))
        if _IS_CUT.match(text, end):
            text, end = text[:start] + MARK + text[end:], start
        start = end + 1
    return text


_IS_CUT = re.compile(r"\.\.\.|…|['\"]?$")
_URL = re.compile(r"(?P<before>[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s/?#:@\"]*:)(?P<password>[^\s/?#\"]+)@")
"""Up to the last `@` before the path: a password may hold one that nobody has quoted."""
