"""The undo ledger: what must be undone is on the disk before anything is done. No record, no injection.

Plain data, one line an act, so that another process can heal after this one has died.
"""

from __future__ import annotations

import time
from pathlib import Path

from chaoskit.engine.recorder import JsonLines
from chaoskit.model.protocols import Aim


class UndoLedger:
    """Writes `undo.jsonl`: `injecting` before the act, `injected` after it, `healed` when its undo was verified.

    Every call returns with the line on the disk and raises `CannotRecord` otherwise.
    """

    def __init__(self, path: Path) -> None:
        self._lines = JsonLines(path)

    def injecting(self, fault: str, aim: Aim) -> None:
        undo = [{"verb": undo.verb, "target": undo.target, "details": dict(undo.details)} for undo in aim.undo]
        self._write("injecting", fault, undo=undo)

    def injected(self, fault: str) -> None:
        self._write("injected", fault)

    def healed(self, fault: str) -> None:
        self._write("healed", fault)

    def close(self) -> None:
        self._lines.close()

    def _write(self, state: str, fault: str, **more: object) -> None:
        self._lines.append({"state": state, "fault": fault, "at_ns": time.monotonic_ns(), **more}, sync=True)
