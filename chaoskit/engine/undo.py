"""The undo ledger: what must be undone is on the disk before anything is done. No record, no injection.

Plain data, one line an act, so that another process can heal after this one has died; `chaoskit.model.undo` has its format.
"""

from __future__ import annotations

import time
from pathlib import Path

from chaoskit.engine.recorder import JsonLines
from chaoskit.model import undo as ledger
from chaoskit.model.errors import CannotRecord
from chaoskit.model.protocols import Aim
from chaoskit.model.secrets import NO_SECRETS, Secrets


class UndoLedger:
    """Writes `undo.jsonl`. Every call returns with the line on the disk and raises `CannotRecord` otherwise. Thread-safe."""

    def __init__(self, path: Path, *, secrets: Secrets = NO_SECRETS) -> None:
        self._lines = JsonLines(path, secrets=secrets)
        self._secrets = secrets

    def opened(self, holder: ledger.Holder) -> None:
        """Whose run it is and how what it makes is found. Comes first, before anything is made."""
        self._write(ledger.opened(holder))

    def injecting(self, fault: str, aim: Aim) -> None:
        record = ledger.injecting(fault, aim.undo)
        if self._secrets.redacted(record) != record:
            raise CannotRecord(
                f"{fault}: its undo holds a secret, which must not be written down, and nobody could heal it without: "
                "nothing was injected; let the fault find what it undoes by a name or an id"
            )
        self._write(record)

    def injected(self, fault: str) -> None:
        self._write({"state": "injected", "fault": fault})

    def healed(self, fault: str, *, by: str = "the run") -> None:
        """Its undo was done and seen to have worked."""
        self._write({"state": "healed", "fault": fault, "by": by})

    def closed(self, *, by: str = "the run") -> None:
        """Nothing is left of what the environment made."""
        self._write({"state": "closed", "by": by})

    def close(self) -> None:
        self._lines.close()

    def _write(self, line: dict[str, object]) -> None:
        self._lines.append({**line, "at_ns": time.monotonic_ns()}, sync=True)
