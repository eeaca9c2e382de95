"""A process beside this one that outlives it, holding one end of a pipe: when the pipe closes without a word, its master has died.

It says `ready` when it watches. It is asked to end by `close`, which tells it that the master ended by itself.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Self

from chaoskit.model.errors import MissingPart

END_S = 10.0  # it has nothing to do any more when it is asked to end


class Detached:
    """Not for several threads at once."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child

    @classmethod
    def start(
        cls, what: str, arguments: Sequence[str], *, within_s: float, cwd: str | None = None, inherits: Sequence[int] = ()
    ) -> Self:
        """Start this interpreter with *arguments*; wait until it watches. Raises `MissingPart`, with *what*, when it does not.

        *inherits* are open files that it has under the same numbers.
        """
        child = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # no Ctrl-C and no closed terminal ends it
            cwd=cwd,
            pass_fds=tuple(inherits),
        )
        detached = cls(child)
        if detached._line(within_s) != b"ready\n":
            child.kill()
            detached._end()
            raise MissingPart(f"{what}: {sys.executable} did not start it within {within_s:g} s; nothing was started")
        return detached

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def is_closed(self) -> bool:
        return self._child.stdin is None or self._child.stdin.closed

    def close(self, *, answer_within_s: float = 0.0) -> bytes:
        """Ask it to end, and wait. Returns what it says within *answer_within_s*, b"" for nothing. May be called twice."""
        if self.is_closed:
            return b""
        assert self._child.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            os.write(self._child.stdin.fileno(), b"close\n")
        line = self._line(answer_within_s) if answer_within_s else b""
        self._end()
        return line

    def _line(self, timeout_s: float) -> bytes:
        """The next line it says; b"" when it ends or says nothing in time."""
        assert self._child.stdout is not None
        deadline = time.monotonic() + timeout_s
        said = b""
        while not said.endswith(b"\n"):
            readable, _, _ = select.select([self._child.stdout], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self._child.stdout.fileno(), 65536) if readable else b""
            if not data:
                return b""
            said += data
        return said

    def _end(self) -> None:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.close()
        try:
            self._child.wait(END_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child.stdout.close()
