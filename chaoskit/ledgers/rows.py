"""Rows of a query, read strictly: every value has the type that the ledger needs, or an error names its query, column and row.

A number that is not exact is never rounded. SQLite alone would hand out the same column as whole, as binary fraction and as text.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any, Protocol
from uuid import UUID

from chaoskit.model.errors import UnreadableLedger

STATES = ("applied", "refused", "tombstone", "open")
"""What became of a key; `open` when that may still change."""


class Cursor(Protocol):
    """What is used of a DB-API 2 cursor (PEP 249)."""

    @property
    def description(self) -> Sequence[Sequence[Any]] | None: ...
    def execute(self, operation: Any, parameters: Any = ..., /) -> object: ...
    def fetchall(self) -> Sequence[Sequence[Any]]: ...
    def close(self) -> object: ...


class Connection(Protocol):
    """What is used of a DB-API 2 connection (PEP 249)."""

    def cursor(self) -> Any: ...
    def commit(self) -> object: ...
    def rollback(self) -> object: ...
    def close(self) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query and its columns by name: true for those that it must have."""

    name: str
    text: str
    columns: Mapping[str, bool]


def run(
    connection: Connection, query: str, text: str, parameters: tuple[str, ...] = ()
) -> tuple[tuple[str, ...], Sequence[Sequence[object]]] | None:
    """Carry out one statement. Returns the names of its columns and its rows; None when it is one that gives none."""
    cursor: Cursor = connection.cursor()
    try:
        if parameters:
            cursor.execute(text, parameters)
        else:
            cursor.execute(text)
        if cursor.description is None:
            return None
        # Some databases shout the names of columns.
        return tuple(str(column[0]).lower() for column in cursor.description), cursor.fetchall()
    except Exception as error:  # each driver has errors of its own
        if any(kind.__name__ == "ProgrammingError" for kind in type(error).__mro__):
            raise UnreadableLedger(f"query {query}: the database does not take it: {error}; mend the query") from error
        error.add_note(f"in query {query}")
        raise
    finally:
        cursor.close()


def fetch(connection: Connection, query: Query, *, minor_digits: int | None) -> Table | None:
    """What a query gives now; None when it was left out. Raises `UnreadableLedger` for columns that are missing or unknown."""
    if not query.text:
        return None
    found = run(connection, query.name, query.text)
    if found is None:
        raise UnreadableLedger(f"query {query.name}: it gives no rows; expected a SELECT: mend the query")
    columns, rows = found
    table = Table(query=query.name, columns=columns, rows=rows, minor_digits=minor_digits)
    problems = [f"no column {name!r}" for name, is_needed in query.columns.items() if is_needed and name not in columns]
    for name in dict.fromkeys(columns):
        if name not in query.columns:
            near = difflib.get_close_matches(name, query.columns, n=1)
            problems.append(f"a column {name!r} that means nothing here{f' (did you mean {near[0]!r}?)' if near else ''}")
        elif columns.count(name) > 1:
            problems.append(f"column {name!r} twice")
    if problems:
        raise table.strange(" and ".join(problems), f"columns of {', '.join(query.columns)}: name them with AS")
    return table


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The rows that one query gave. Each value is checked when it is taken; a column that is not there has its default."""

    query: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[object]]
    minor_digits: int | None = None

    def text(self, row: int, column: str, *, default: str = "") -> str:
        """A name: text, a whole number or a UUID."""
        if column not in self.columns:
            return default
        value = self._value(row, column)
        if isinstance(value, str):
            return value
        if isinstance(value, UUID) or (isinstance(value, int) and not isinstance(value, bool)):
            return str(value)
        raise self.strange(repr(value), "text", row=row, column=column)

    def whole(self, row: int, column: str) -> int:
        """A whole number; 0 without the column."""
        return self._number(row, column, digits=0, expected="a whole number")

    def amount(self, row: int, column: str) -> int:
        """An amount in minor units; 0 without the column."""
        digits = self.minor_digits
        expected = "whole minor units" if digits is None else f"an exact number with at most {digits} decimals"
        return self._number(row, column, digits=digits or 0, expected=expected)

    def amount_or_none(self, row: int, column: str) -> int | None:
        """The same; None for NULL and without the column."""
        if column not in self.columns or self.rows[row][self.columns.index(column)] is None:
            return None
        return self.amount(row, column)

    def strange(self, given: str, expected: str, *, row: int | None = None, column: str = "") -> UnreadableLedger:
        """The error for what makes no sense, with its place."""
        place = f"query {self.query}" + (f", column {column}" if column else "") + ("" if row is None else f", row {row + 1}")
        whole = "" if row is None else f" in {tuple(self.rows[row])!r:.200}"
        return UnreadableLedger(f"{place}: {given} was given{whole}; expected {expected}: mend the query")

    def _value(self, row: int, column: str) -> object:
        value = self.rows[row][self.columns.index(column)]
        if value is None:
            raise self.strange("NULL", "a value in every row", row=row, column=column)
        return value

    def _number(self, row: int, column: str, *, digits: int, expected: str) -> int:
        if column not in self.columns:
            return 0
        value = self._value(row, column)
        scale = int(10**digits)
        if isinstance(value, int) and not isinstance(value, bool):
            return value * scale
        if isinstance(value, float):
            raise self.strange(
                f"the binary fraction {value!r}", f"{expected}; cast it to text or to a decimal", row=row, column=column
            )
        if isinstance(value, (str, Decimal)):
            try:
                exact = Fraction(Decimal(value)) * scale
            except (InvalidOperation, OverflowError, ValueError):  # no number at all
                raise self.strange(repr(value), expected, row=row, column=column) from None
            if exact.denominator == 1:
                return exact.numerator
        raise self.strange(repr(value), expected, row=row, column=column)
