"""The load as the runner sees it: a process of its own, spoken to over pipes.

Of its own, so that neither the conductor nor a fault's library can delay an arrival; in a session of its own, so that Ctrl-C stops
the run in order instead of killing the load first.
"""

from __future__ import annotations

import bisect
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict
from typing import IO, NamedTuple

from chaoskit.loads import again
from chaoskit.model.errors import LoadFailed
from chaoskit.model.experiment import Unanswered
from chaoskit.model.history import LoadCounts
from chaoskit.model.protocols import LoadPlan
from chaoskit.model.secrets import Secrets

BEGIN_AHEAD_NS = 50_000_000
"""Time for the word to begin to reach the process; a hundred times what it takes on an idle machine."""
ANSWER_LIMIT_S = 10.0
"""How much longer than the drain the end may take: cutting off open visits, the last write, leaving."""
_PROGRESS_KEPT = 6000
"""Ten minutes of progress at ten a second: the longest time over which a rate can be asked for."""


class OpenLoop:
    """Implements `chaoskit.model.protocols.Load`. *loop* chooses the event loop: `auto`, `asyncio` or `uvloop`."""

    def __init__(self, *, loop: str = "auto") -> None:
        self._loop_name = loop
        self._plan: LoadPlan | None = None
        self._begin_ns: int | None = None
        self._reader: _Reader | None = None
        self._errors: IO[bytes] | None = None

    def start(self, plan: LoadPlan, *, timeout_s: float) -> None:
        """Start the process and wait until its journeys are loaded. Raises `LoadFailed`."""
        assert self._reader is None, "a load is started once"
        self._plan = plan
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by close()
        self._reader = _Reader(loop=self._loop_name, errors=self._errors)
        self._reader.start()
        try:
            mappings = {"options": dict(plan.options), "mix": dict(plan.mix), "habits": dict(plan.habits)}
            self._say({**asdict(plan), **mappings})
            self._wait("ready", timeout_s=timeout_s, doing="loading its journeys")
        except LoadFailed:
            self.close()
            raise

    def begin(self) -> int:
        """Let customers in. Returns the monotonic time in ns that the profile's 0 s means."""
        self._begin_ns = time.monotonic_ns() + BEGIN_AHEAD_NS
        self._say({"begin": self._begin_ns})
        return self._begin_ns

    def surge(self, times: float) -> None:
        """Multiply the arrival rate by *times* from now on; 1 is normal. Raises `LoadFailed`."""
        self._say({"surge": times})

    def sent_per_s(self, *, over_s: float) -> float:
        """Arrivals begun per second over the last *over_s* seconds; 0 before the first one."""
        return self._reader.sent_per_s(over_s=over_s) if self._reader else 0.0

    def planned_per_s(self) -> float:
        """The rate that the profile asks for now, without any surge; 0 before and after the load."""
        if self._plan is None or self._begin_ns is None:
            return 0.0
        at_s = (time.monotonic_ns() - self._begin_ns) / 1e9
        if not 0 <= at_s < self._plan.duration_s:
            return 0.0
        index = bisect.bisect_right([start for start, _ in self._plan.steps], at_s) - 1
        return self._plan.arrivals_per_s * self._plan.steps[index][1]

    def is_running(self) -> bool:
        """Whether arrivals are still to come or visits still open. False when the process has died: `finish` says why."""
        reader, plan = self._reader, self._plan
        if reader is None or plan is None or reader.has_ended:
            return False
        if self._begin_ns is None or time.monotonic_ns() < self._begin_ns + int(plan.duration_s * 1e9):
            return True
        latest = reader.latest
        # Progress from before the last arrival does not know of it.
        return latest.at_ns < self._begin_ns + int(plan.duration_s * 1e9) or latest.sent > latest.finished

    def finish(self, *, drain_s: float) -> LoadCounts:
        """No more arrivals; wait up to *drain_s* for open visits, write the trailer, end the process. Raises `LoadFailed`.

        What had no clear answer is sent again before the trailer, for up to twenty seconds, if the plan asks for it.
        """
        asks_again = self._plan is not None and self._plan.unanswered == Unanswered.RE_SEND
        limit_s = drain_s + ANSWER_LIMIT_S + (again.WITHIN_S if asks_again else 0.0)
        try:
            self._say({"finish": drain_s})
            counts = self._wait("finished", timeout_s=limit_s, doing="finishing")["finished"]
            assert isinstance(counts, dict), "the load process says counts"
            return LoadCounts(**counts)
        finally:
            self.close()

    def close(self) -> None:
        """End the process if it is still there. May be called at any time and twice, from the thread that started it."""
        if self._reader is not None:
            self._reader.end()
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    def _say(self, what: Mapping[str, object]) -> None:
        if self._reader is None:
            raise LoadFailed("load: it was not started; call start() first")
        try:
            self._reader.say(json.dumps(what).encode() + b"\n")
        except OSError as error:
            raise LoadFailed(self._obituary(f"it took no more commands ({error.strerror})")) from None

    def _wait(self, name: str, *, timeout_s: float, doing: str) -> Mapping[str, object]:
        assert self._reader is not None, "a load is started before it is waited for"
        said = self._reader.wait(name, timeout_s=timeout_s)
        if said is not None:
            return said
        if self._reader.has_ended:
            raise LoadFailed(self._obituary(f"it ended while {doing}"))
        raise LoadFailed(self._obituary(f"it did not answer within {timeout_s:g} s while {doing}"))

    def _obituary(self, what: str) -> str:
        assert self._reader is not None, "a load is started before it fails"
        # An answer such as "disk full" may be on its way when the pipe breaks; it is the better reason.
        said = self._reader.wait("error", timeout_s=1.0)
        if said is not None:
            return f"load process: {said['error']}"
        last_words = ""
        if self._errors is not None:
            size = os.fstat(self._errors.fileno()).st_size
            # The end of a traceback. More is read than is told, lest a secret be cut in two and not be known for one.
            text = os.pread(self._errors.fileno(), 64_000, max(0, size - 64_000)).decode(errors="replace")
            last_words = Secrets(self._plan.secrets if self._plan else ()).redact(text)[-2000:].strip()
        return (
            f"load process: {what}"
            + (f"; exit {self._reader.exit_code}" if self._reader.has_ended else "")
            + (f". Its last words:\n{last_words}" if last_words else "")
        )


class _Progress(NamedTuple):
    at_ns: int
    sent: int
    finished: int


class _Reader:
    """Owns the process. Its thread starts it and stays for all of its life.

    The kernel's signal to a child whose parent died is tied to the *thread* that started the child: it must not be a thread of the
    runner's that comes and goes.
    """

    def __init__(self, *, loop: str, errors: IO[bytes]) -> None:
        self._command = [sys.executable, "-m", "chaoskit.loads.worker", "--loop", loop]
        self._errors = errors
        self._process: subprocess.Popen[bytes] | None = None
        self._changed = threading.Condition()
        self._said: dict[str, Mapping[str, object]] = {}
        self._progress: deque[_Progress] = deque([_Progress(0, 0, 0)], maxlen=_PROGRESS_KEPT)
        self._failure: OSError | None = None
        self.has_ended = False
        self._thread = threading.Thread(target=self._read, name="chaoskit-load-reader", daemon=True)

    @property
    def latest(self) -> _Progress:
        with self._changed:
            return self._progress[-1]

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode if self._process else None

    def start(self) -> None:
        self._thread.start()
        with self._changed:
            # Starting a process takes milliseconds; the limit is there for a machine that is out of memory.
            self._changed.wait_for(lambda: self._process is not None or self._failure is not None, timeout=30)
        if self._process is None:
            raise LoadFailed(
                f"load: {sys.executable} could not be started ({self._failure}); check the interpreter and free memory"
            )

    def say(self, line: bytes) -> None:
        """Raises OSError when the process is gone."""
        process = self._process
        if process is None or process.stdin is None or process.stdin.closed:
            raise BrokenPipeError(32, "it is gone")
        process.stdin.write(line)
        process.stdin.flush()

    def wait(self, name: str, *, timeout_s: float) -> Mapping[str, object] | None:
        """What was said under *name*; None if it ends, gives up or does not say it in time."""
        with self._changed:
            self._changed.wait_for(lambda: name in self._said or self.has_ended or "error" in self._said, timeout=timeout_s)
            return self._said.get(name)

    def sent_per_s(self, *, over_s: float) -> float:
        with self._changed:
            progress = list(self._progress)
        latest = progress[-1]
        # A process that says nothing sends nothing: count its silence.
        until_ns = max(latest.at_ns, time.monotonic_ns() - 1_000_000_000)
        from_ns = until_ns - int(over_s * 1e9)
        first = next((entry for entry in reversed(progress) if entry.at_ns <= from_ns), progress[0])
        return (latest.sent - first.sent) / over_s if over_s > 0 else 0.0

    def end(self) -> None:
        """Kill what is left and wait for the thread. The process cannot refuse, so this takes milliseconds."""
        process = self._process
        if process is not None and not self.has_ended:
            process.kill()
        if process is not None and process.stdin is not None:
            try:
                process.stdin.close()
            except BrokenPipeError:
                # A command that was never read; the process it was for is gone.
                process.stdin.close()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=10)

    def _read(self) -> None:
        # The journeys are found where the runner would find them, also when a test session has extended the path.
        variables = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=variables,
                start_new_session=True,
            )
        except OSError as error:
            with self._changed:
                self._failure = error
                self._changed.notify_all()
            return
        with self._changed:
            self._process = process
            self._changed.notify_all()
        assert process.stdout is not None, "it was asked for"
        with process.stdout as output:
            for line in output:
                self._take(line)
        process.wait()
        with self._changed:
            self.has_ended = True
            self._changed.notify_all()

    def _take(self, line: bytes) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            # Half a line of a process that was killed while it spoke: what it did not finish saying was not said.
            return
        with self._changed:
            if "at_ns" in said:
                self._progress.append(_Progress(said["at_ns"], said["sent"], said["finished"]))
            else:
                self._said.update(dict.fromkeys(said, said))
            self._changed.notify_all()
