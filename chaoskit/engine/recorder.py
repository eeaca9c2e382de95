"""Writes the runner's events into `history.jsonl` and reads back what all writers have put there so far.

Whole lines are appended with one `write` each, so that the load process may append to the same file.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from chaoskit.model.errors import CannotRecord
from chaoskit.model.history import Event, History, HistoryReader
from chaoskit.model.secrets import NO_SECRETS, Secrets


class JsonLines:
    """Appends JSON lines to a file, with `***` for every one of *secrets* in them. Safe to call from several threads.

    Raises `CannotRecord` for every write that did not succeed in full, from the first one on. *observe* is told of each event that
    was written, from the thread that wrote it; what it raises is kept in `observer_errors` and disturbs nobody.
    """

    def __init__(
        self, path: Path, *, secrets: Secrets = NO_SECRETS, observe: Callable[[Event], None] = lambda _event: None
    ) -> None:
        self._path = path
        self._observe = observe
        self.observer_errors: list[Exception] = []
        self._secrets = secrets
        self._lock = threading.Lock()
        self._failed = False
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise CannotRecord(f"{path}: cannot be written ({error.strerror})") from error

    def append(self, *events: Event, sync: bool = False) -> None:
        """Write *events*, each as one line. With *sync* they are on the disk when this returns."""
        events = self._secrets.redacted(events)  # before they are JSON: what is replaced afterwards may be no JSON any more
        data = b"".join(json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode() + b"\n" for event in events)
        with self._lock:
            try:
                written = os.write(self._file, data)
                if sync:
                    os.fsync(self._file)
            except OSError as error:
                self._failed = True
                raise CannotRecord(f"{self._path}: no more records could be written ({error.strerror}); free the disk") from error
            if written != len(data):
                self._failed = True
                raise CannotRecord(f"{self._path}: a record was cut short, the disk is full; free it and run again")
        for event in events:
            try:
                self._observe(event)
            except Exception as error:
                self.observer_errors.append(error)

    def close(self) -> None:
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class LiveHistory:
    """Follows `history.jsonl` while it grows. For one thread: the runner's."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader = HistoryReader()
        self._offset = 0
        self._rest = b""

    def read(self) -> History:
        """The history up to now. A last line without its end is left for the next call."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except OSError as error:
            raise CannotRecord(f"{self._path}: cannot be read back ({error.strerror})") from error
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._reader.feed_line(line)
        return self._reader.history()
