"""The runner's side of the supervisor: start, kill, pause and resume services of which nothing is left when the runner dies."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from chaoskit.environments import supervisor
from chaoskit.model.errors import ChaoskitError

CALL_S = supervisor.END_WITHIN_S + 5.0  # the supervisor's own limit for ending something, and time to say so
START_S = 10.0  # a bare interpreter starts in 20 ms; a starved machine may need a hundred times that


class SupervisorError(ChaoskitError):
    """The supervisor did not do what was asked. Look at its log, `supervisor.log`, and at what the message says is left."""


class SupervisorRefused(SupervisorError):
    """The supervisor answered that it could not. The message has its reason."""


class SupervisorGone(SupervisorError):
    """The supervisor has ended or did not answer in time, so the services may be gone or running. Take the environment down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessState:
    """One process of a service; `state` is the letter that /proc shows (`T` is frozen, `Z` has ended)."""

    pid: int
    state: str
    name: str


class Supervisor:
    """One supervisor process with its services. Calls may come from any thread; each is bounded and one is done at a time.

    *work* is removed when it ends. *keep_open* are descriptors that live as long as it does.
    """

    def __init__(self, *, work: Path, logs: Path, keep_open: tuple[int, ...] = ()) -> None:
        self._lock = threading.Lock()
        self._logs = logs
        self._count = 0
        self._unread = b""
        with (logs / "supervisor.log").open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-I", "-S", supervisor.__file__, str(work)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                cwd="/",
                pass_fds=keep_open,
            )

    @property
    def pid(self) -> int:
        return self._child.pid

    def start(self, service: str, argv: tuple[str, ...], *, variables: Mapping[str, str], folder: Path) -> int:
        """Start *service* in *folder*; its output is appended to `<service>.log`. Returns the process's number."""
        reply = self._call(
            "start",
            service,
            timeout_s=START_S,
            argv=list(argv),
            variables=dict(variables),
            folder=str(folder),
            log=str(self.log(service)),
        )
        pid = reply["pid"]
        assert isinstance(pid, int)
        return pid

    def kill(self, service: str) -> None:
        """SIGKILL to every process of it. Returns when none is left."""
        self._call("kill", service)

    def pause(self, service: str) -> None:
        """SIGSTOP to every process of it. Returns when all are frozen."""
        self._call("pause", service)

    def resume(self, service: str) -> None:
        """SIGCONT to every process of it."""
        self._call("resume", service)

    def processes(self, service: str) -> tuple[ProcessState, ...]:
        """The processes of a service that was started, () when all have ended."""
        rows = self._call("processes", service)["processes"]
        assert isinstance(rows, list)
        return tuple(ProcessState(pid=pid, state=state, name=name) for pid, state, name in rows)

    def log(self, service: str) -> Path:
        return self._logs / f"{service}.log"

    def is_there(self) -> bool:
        return self._child.poll() is None

    def close(self) -> None:
        """End every service and the supervisor, and remove the work folder. May be called twice. Raises if anything is left."""
        if self._child.stdin is None or self._child.stdin.closed:
            return
        try:
            self._call("close", "")
        finally:
            with self._lock:
                self._end()

    def _end(self) -> None:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it is gone already, which the call before has told
            self._child.stdin.close()
        try:
            self._child.wait(timeout=CALL_S)
        except subprocess.TimeoutExpired:
            # Its services die with it: they were started with a parent death signal.
            self._child.kill()
            self._child.wait()
        self._child.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, do: str, service: str, *, timeout_s: float = CALL_S, **more: object) -> Mapping[str, object]:
        deadline = time.monotonic() + timeout_s
        with self._lock:
            self._count += 1
            request = {"id": self._count, "do": do, "service": service, **more}
            assert self._child.stdin is not None
            try:
                os.write(self._child.stdin.fileno(), json.dumps(request).encode() + b"\n")
            except (OSError, ValueError) as error:
                raise SupervisorGone(f"{do} {service}: the supervisor (pid {self.pid}) is gone; {self._hint()}") from error
            while True:
                reply = json.loads(self._line(f"{do} {service}".strip(), deadline, timeout_s))
                if reply["id"] == self._count:  # an answer to an earlier call that was given up is dropped
                    break
        if "error" in reply:
            raise SupervisorRefused(f"{do} {service}: {reply['error']}; {self._hint()}")
        answer = reply["ok"]
        assert isinstance(answer, dict)
        return answer

    def _line(self, what: str, deadline: float, timeout_s: float) -> bytes:
        assert self._child.stdout is not None
        output = self._child.stdout.fileno()
        while b"\n" not in self._unread:
            readable, _, _ = select.select([output], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                raise SupervisorGone(
                    f"{what}: no answer from the supervisor (pid {self.pid}) within {timeout_s:g} s; {self._hint()}"
                )
            data = os.read(output, 65536)
            if not data:
                raise SupervisorGone(f"{what}: the supervisor (pid {self.pid}) ended while it was asked; {self._hint()}")
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _hint(self) -> str:
        return f"see {self._logs / 'supervisor.log'}"
