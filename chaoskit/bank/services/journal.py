"""What the switch between banks has credited at other banks, on disk: the receiving side's book."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import ClassVar

Entry = tuple[str, str, int, int]
"""Key, creditor, amount, and how often it was delivered."""


class Journal:
    """Knows every key once, however often it is delivered. For one thread at a time, since each write waits for the disk."""

    table: ClassVar[str] = (
        "CREATE TABLE IF NOT EXISTS credits"
        " (key TEXT PRIMARY KEY, creditor TEXT NOT NULL, amount INTEGER NOT NULL, deliveries INTEGER NOT NULL)"
    )
    insert: ClassVar[str] = (
        "INSERT INTO credits VALUES (?, ?, ?, 1) ON CONFLICT (key) DO UPDATE SET deliveries = deliveries + 1"
        " RETURNING creditor, amount"
    )

    def __init__(self, path: Path) -> None:
        self._file = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # A credit that was confirmed must survive a power cut, not only a kill.
        self._file.execute("PRAGMA synchronous = FULL")
        self._file.execute(self.table)

    def close(self) -> None:
        self._file.close()

    def write(self, key: str, creditor: str, amount: int) -> tuple[str, int]:
        """Write the credit down once, count its deliveries, and return what is written."""
        row = self._file.execute(self.insert, (key, creditor, amount)).fetchone()
        return str(row[0]), int(row[1])

    def read(self) -> list[Entry]:
        return self._file.execute("SELECT key, creditor, amount, deliveries FROM credits ORDER BY key").fetchall()
