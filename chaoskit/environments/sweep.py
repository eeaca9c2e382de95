"""Removes everything of one run: `python sweep.py RUN ENGINE RECORDS LOG PARENT` waits until the run has ended, then does it.

What is removed carries the run's label; what was done to containers that are not ours is in RECORDS, and another process undoes it.
Standard library only and no imports of ours, hence one file: it is started by its path, is there in milliseconds, and outlives its
parent.
It speaks to the engine's socket itself, since loading a client library takes longer than all of its work.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

LABEL = "chaoskit"
RUN_LABEL = "chaoskit.run"
RUN_VARIABLE = "CHAOSKIT_RUN"
"""A process on the host that was started with this variable belongs to that run and is ended with it."""

WITHIN_S = 25.0  # a run that was killed has left nothing 30 s later: this, and up to PARENT_CHECK_S before it is noticed
CALL_S = 10.0  # the engine takes 0.3 s to remove a container, and ten times that on a starved machine
REPLAY = "chaoskit.environments.replay"
REPLAY_S = 15.0  # a second to load the engine's client library, and up to some seconds for each fault on a starved machine
GROUPS_S = 2.0  # the kernel lets go of a group within milliseconds of its last process
SETTLE_S = 1.0  # a container whose creation the engine had begun for a killed client appears within this
AGAIN_S = 0.2  # between two tries; the engine needs this long to let go of a network after its last container
PARENT_CHECK_S = 0.5  # a forked copy of the run may keep our input open after its death; the parent's number tells all the same


class EngineError(Exception):
    """The engine did not do what was asked, or did not answer. The message says what and where."""


@dataclass(slots=True)
class Swept:
    """What a sweep did. `problems` empty means that nothing is left, whether anything was there or not."""

    done: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        if self.problems:
            return f"could not undo: {'; '.join(self.problems)}"
        return "; ".join(self.done) or "nothing was left to undo"


class Engine:
    """A container engine at `unix:///path` or `tcp://host:port`. One connection a call, so that no call waits for another."""

    def __init__(self, address: str, *, timeout_s: float = CALL_S) -> None:
        self.address = address
        self._timeout_s = timeout_s
        if urlsplit(address).scheme not in ("unix", "tcp", "http"):
            raise EngineError(f"engine {address!r}: expected unix:///path or tcp://host:port")

    def call(self, method: str, path: str, *, missing: object = None, body: object = None, **query: object) -> object:
        """The answer of one call, with *body* as JSON; *missing* when what it names is not there.

        Raises `EngineError` for every other failure.
        """
        import http.client

        where = f"engine {self.address}: {method} {path}"
        if query:
            path += "?" + "&".join(f"{key}={quote(json.dumps(value))}" for key, value in query.items())
        parts = urlsplit(self.address)
        connection = http.client.HTTPConnection(parts.hostname or "localhost", parts.port or 2375, timeout=self._timeout_s)
        try:
            if parts.scheme == "unix":
                connection.sock = socket.socket(socket.AF_UNIX)
                connection.sock.settimeout(self._timeout_s)
                connection.sock.connect(parts.path)
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, {} if sent is None else {"Content-Type": "application/json"})
            answer = connection.getresponse()
            status, said = answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise EngineError(f"{where}: {type(error).__name__}: {error}") from error
        finally:
            connection.close()
        if status == 404:
            return missing
        if status >= 300:
            raise EngineError(f"{where}: answered {status}: {said.decode(errors='replace').strip()}")
        return json.loads(said) if said else {}

    def containers(self, *labels: str) -> list[Mapping[str, object]]:
        """Every container that carries all *labels*, ended ones too."""
        return _rows(self.call("GET", "/containers/json", all=True, filters={"label": list(labels)}), labels)

    def networks(self, *labels: str) -> list[Mapping[str, object]]:
        return _rows(self.call("GET", "/networks", filters={"label": list(labels)}), labels)

    def volumes(self, *labels: str) -> list[Mapping[str, object]]:
        answer = self.call("GET", "/volumes", filters={"label": list(labels)})
        return _rows(answer.get("Volumes") if isinstance(answer, dict) else None, labels)

    def pid(self, container: str) -> int | None:
        """The number of a container's first process now; None when it does not run or is gone."""
        state = self.call("GET", f"/containers/{quote(container, safe='')}/json")
        found = state.get("State") if isinstance(state, dict) else None
        return (int(found["Pid"]) or None) if isinstance(found, dict) and found.get("Running") else None


def sweep(
    run: str,
    engine: Engine | None,
    records: Path | None = None,
    *,
    within_s: float = WITHIN_S,
    settle_s: float = 0.0,
    say: Callable[[str], None] = lambda _line: None,
) -> Swept:
    """Remove what there is of *run*. May be done twice, and while somebody else does it. Blocks up to about *within_s*.

    *engine* None leaves containers alone. With *settle_s* it looks again after that time, for what was still being made.
    """
    swept = Swept()
    deadline = time.monotonic() + within_s

    def did(text: str) -> None:
        swept.done.append(text)
        say(text)

    # Processes first, so that none of them makes anything new; what was done to others before what is only ours.
    problems = {"processes": end_processes(run, did, deadline=deadline), "undos": undo_recorded(engine, records, did)}
    settled_at = time.monotonic() + settle_s
    while engine is not None:
        try:
            problems["engine"], found = remove_all(run, engine, did)
        except EngineError as error:
            problems["engine"], found = [str(error)], True
        now = time.monotonic()
        if (not found and now >= settled_at) or now >= deadline:
            break
        time.sleep(AGAIN_S)
    problems["groups"] = remove_groups(run, did)
    for found_problems in problems.values():
        for problem in found_problems:
            swept.problems.append(problem)
            say(f"could not undo: {problem}")
    if records is not None and not problems["undos"]:
        records.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # another run's records are there, or nothing at all
            records.parent.rmdir()
    return swept


def remove_all(run: str, engine: Engine, did: Callable[[str], None]) -> tuple[list[str], bool]:
    """One pass over containers, then networks and volumes. Returns what could not be removed and whether anything was there."""
    problems, found = [], False
    labels = (LABEL, f"{RUN_LABEL}={run}")
    kinds = (
        ("container", engine.containers, "/containers/{}?force=true&v=true", "Id"),
        ("network", engine.networks, "/networks/{}", "Id"),
        ("volume", engine.volumes, "/volumes/{}?force=true", "Name"),
    )
    for kind, look, path, key in kinds:
        for row in look(*labels):
            found = True
            try:
                if kind == "network":
                    let_go(engine, row, did)
                gone = object()
                if engine.call("DELETE", path.format(quote(str(row[key]), safe="")), missing=gone) is not gone:
                    did(f"removed {kind} {name_of(row)}")
            except EngineError as error:  # a removal that is under way is refused, and is done by the next look
                problems.append(f"{kind} {name_of(row)}: {error}")
    return problems, found


def let_go(engine: Engine, network: Mapping[str, object], did: Callable[[str], None]) -> None:
    """Take containers that are not ours off a network of ours, which cannot be removed with them on it. They stay as they are."""
    path = f"/networks/{quote(str(network['Id']), safe='')}"
    found = engine.call("GET", path)
    attached = found.get("Containers") if isinstance(found, dict) else None
    for one, row in (attached or {}).items():
        engine.call("POST", f"{path}/disconnect", body={"Container": one, "Force": True})
        did(f"let go of container {row.get('Name') or one}")


def end_processes(run: str, did: Callable[[str], None], *, deadline: float) -> list[str]:
    """SIGKILL to every process that was started for the run. Returns what is still there at the deadline."""
    seen: set[int] = set()
    while left := list(processes_of(run)):
        if time.monotonic() > deadline:
            return [f"process {pid} did not end" for pid in left]
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            if pid not in seen:
                did(f"ended process {pid}")
            seen.add(pid)
        time.sleep(0.01)  # a killed process is gone in milliseconds
    return []


def processes_of(run: str) -> Iterable[int]:
    """Living processes that were started with the run's variable, this one apart. Those of other users cannot be seen."""
    mark = f"{RUN_VARIABLE}={run}".encode()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):  # it has ended or is another user's
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    yield int(entry.name)


def undo_recorded(engine: Engine | None, records: Path | None, did: Callable[[str], None]) -> list[str]:
    """Have every recorded undo done that was not, by a process that knows how. Returns those that may not have worked."""
    if records is None or not (faults := open_faults(records)):
        return []
    if engine is None:
        return [f"{fault}: no engine is there to ask for its container" for fault in faults]
    package = Path(__file__).parents[2]  # this file was started by its path, so where its package is may be known to nobody else
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH"))))}
    command = [sys.executable, "-m", REPLAY, str(records), engine.address]
    try:
        done = subprocess.run(command, capture_output=True, timeout=REPLAY_S, check=False, env=variables, text=True, cwd="/")
    except (OSError, subprocess.TimeoutExpired) as error:
        return [f"{fault} may still be there: {error}" for fault in faults]
    problems = []
    for fault in open_faults(records):
        line = next((line for line in done.stdout.splitlines() if line.startswith(f"{fault} may ")), None)
        problems.append(line or f"{fault} may still be there: {done.stderr.strip()[-500:] or 'nothing was said of it'}")
    for line in done.stdout.splitlines():
        if line not in problems:
            did(line)
    return problems


def open_faults(records: Path) -> list[str]:
    """What an undo ledger (`chaoskit.model.undo`) has open. A torn line was never acted on: it is written before the act."""
    faults: dict[str, None] = {}
    try:
        lines = records.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if record["state"] == "injecting":
            faults[record["fault"]] = None
        elif record["state"] == "healed":
            faults.pop(record["fault"], None)
    return list(faults)


def remove_groups(run: str, did: Callable[[str], None]) -> list[str]:
    """Remove the run's own control groups, which the engine makes for containers and leaves behind. Only empty ones can be."""
    problems = []
    deadline = time.monotonic() + GROUPS_S
    for group in sorted(Path("/sys/fs/cgroup").glob(f"*/{LABEL}-{run}")):
        while group.exists():  # the same one may be there by two names
            try:
                # An engine that died has left the groups of its containers inside; the last ones first.
                for folder, _, _ in os.walk(group, topdown=False):
                    Path(folder).rmdir()
                did(f"removed control group {group}")
            except FileNotFoundError:
                break
            except PermissionError:
                did(f"left the empty control group {group}, which only root can remove and which does no harm")
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    problems.append(f"control group {group}: {error}")
                    break
                time.sleep(AGAIN_S)
    return problems


def name_of(row: Mapping[str, object]) -> str:
    """What the engine calls a container, network or volume."""
    names = row.get("Names")
    return str(names[0]).lstrip("/") if isinstance(names, list) and names else str(row.get("Name") or row.get("Id"))


def labels_of(row: Mapping[str, object]) -> Mapping[str, str]:
    labels = row.get("Labels")
    return {str(key): str(value) for key, value in labels.items()} if isinstance(labels, dict) else {}


def _rows(answer: object, labels: tuple[str, ...]) -> list[Mapping[str, object]]:
    """The rows that really carry the labels: what is removed is not left to the engine's filter alone."""
    rows = answer if isinstance(answer, list) else []
    wanted = [label.partition("=") for label in labels]
    return [
        row
        for row in rows
        if all(key in labels_of(row) and (not equals or labels_of(row)[key] == value) for key, equals, value in wanted)
    ]


def wait_ended(parent: int) -> bool:
    """Wait until the run has ended. True when it asked for the end, false when it died."""
    while os.getppid() == parent:
        readable, _, _ = select.select([0], [], [], PARENT_CHECK_S)
        if readable:
            return os.read(0, 64).startswith(b"close")
    return False


def main(run: str, address: str, records: str, log: str, parent: str) -> None:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # whoever ends the whole run ends its input, and then there is work to do here

    def say(line: str) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        with contextlib.suppress(OSError), Path(log).open("a", encoding="utf-8") as file:  # a full disk must not keep rules alive
            file.write(f"{now}Z {line}\n")

    os.write(1, b"ready\n")
    asked = wait_ended(int(parent))
    say(f"run {run} {'asked for its end' if asked else 'died'}")
    try:
        swept = sweep(run, Engine(address), Path(records), settle_s=0.0 if asked else SETTLE_S, say=say)
    except BaseException as error:
        swept = Swept(problems=[f"{type(error).__name__}: {error}"])
        say(str(swept))
        raise
    finally:
        with contextlib.suppress(OSError):  # nobody listens when the run died
            os.write(1, json.dumps({"done": swept.done, "problems": swept.problems}).encode() + b"\n")
    say("nothing is left" if not swept.problems else f"{len(swept.problems)} could not be undone: chaoskit gc --run {run}")


if __name__ == "__main__":
    main(*sys.argv[1:])
