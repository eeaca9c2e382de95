"""Undoes what an undo ledger says is open, after its writer has died: `python -m chaoskit.environments.replay LEDGER ENGINE`.

Only what outlives a run needs it: what was done to containers and proxies that are not the run's own. Processes, containers and
proxies of its own are removed with it, and what was done to them goes with them.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from chaoskit.environments.proxy_link import restore_from
from chaoskit.model.errors import CannotHeal, ChaoskitError
from chaoskit.model.protocols import Undo
from chaoskit.model.undo import OpenUndo, UndoRecords, read

if TYPE_CHECKING:
    from chaoskit.environments.docker_engine import Engine


@dataclass(slots=True)
class Replayed:
    """What a replay did: one sentence for each fault. `healed` names those of which nothing is left."""

    done: list[str] = field(default_factory=list)
    healed: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def replay(records: UndoRecords, *, engine_address: str, say: Callable[[str], None] = lambda _line: None) -> Replayed:
    """Undo every open fault, the last injected first. One that cannot be undone does not keep the others from it.

    For after the run's own things are gone. May be done twice. Blocks as long as the engine takes: up to some seconds a fault.
    """
    replayed = Replayed()
    for fault in records.open:
        try:
            line = f"{fault.fault}: {_undo_fault(fault, engine_address)}"
        except ChaoskitError as error:
            line = f"{fault.fault} may still be there: {error}"
            replayed.problems.append(line)
        else:
            replayed.healed.append(fault.fault)
            replayed.done.append(line)
        say(line)
    return replayed


def read_ledger(path: Path) -> UndoRecords:
    """The records of a file. Raises `CannotHeal` when it cannot be read; a file that is not there says nothing."""
    try:
        return read(path.read_bytes().splitlines())
    except FileNotFoundError:
        return read(())
    except OSError as error:
        raise CannotHeal(f"{path}: the undo ledger cannot be read ({error.strerror}); what is in it may still be there") from error


def append_healed(path: Path, faults: list[str], *, by: str) -> None:
    """Say in the ledger what was undone, so that nobody does it again. Raises `CannotHeal`."""
    data = "".join(json.dumps({"state": "healed", "fault": fault, "by": by}) + "\n" for fault in faults)
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise CannotHeal(f"{path}: {', '.join(faults)} was undone, and the ledger cannot be told ({error.strerror})") from error


def _undo_fault(fault: OpenUndo, engine_address: str) -> str:
    """Returns what was done, in words. Raises a `ChaoskitError` when it may still be there."""
    elsewhere = [undo for undo in reversed(fault.undo) if "container" in undo.details or "toxiproxy" in undo.details]
    if not elsewhere:
        return "nothing left to undo: it ended with the run"
    words, problems = [], []
    with contextlib.ExitStack() as stack:
        engine = None
        for undo in elsewhere:
            try:
                if "toxiproxy" in undo.details:
                    words.append(restore_from(undo))
                    continue
                if engine is None:
                    engine = _engine(engine_address)
                    stack.callback(engine.client.close)
                words.append(_undo_one(engine, undo))
            except ChaoskitError as error:
                problems.append(f"{undo.verb} {undo.target}: {error}")
    if problems:
        raise CannotHeal("; ".join(problems))
    return "; ".join(words)


def _undo_one(engine: Engine, undo: Undo) -> str:
    import docker

    from chaoskit.environments.container_process import find
    from chaoskit.environments.container_undo import undo_container

    container = find(engine, undo.details["container"])
    if container is None:
        return f"nothing left to undo: the container of {undo.target} is gone"
    name = f"{undo.target} (container {container.name})"
    try:
        match undo.verb:
            case "start":
                if container.status == "running":
                    return f"nothing left to undo: {name} runs"
                container.start()
                return f"started {name}"
            case "resume":
                if container.status != "paused":
                    return f"nothing left to undo: {name} is {container.status}"
                container.unpause()
                return f"resumed {name}"
            case verb:
                if not undo_container(engine, undo):
                    raise CannotHeal(f"{verb!r} is not an undo that this version knows")
                return f"{verb} {name}"
    except docker.errors.DockerException as error:
        raise CannotHeal(f"the engine refused: {error}") from error


def _engine(address: str) -> Engine:
    """The engine at *address*, which was allowed when the run began."""
    from chaoskit.environments.docker_engine import connect

    if not address:
        raise CannotHeal("its container's engine is not named in the ledger; set DOCKER_HOST and undo it by hand")
    return connect(address=address, allow_remote=True)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(path: str, engine_address: str) -> int:
    """Replay one ledger and say in it what was undone."""
    ledger = Path(path)
    replayed = replay(read_ledger(ledger), engine_address=engine_address, say=_say)
    if replayed.healed:
        append_healed(ledger, replayed.healed, by="the reaper")
    return 5 if replayed.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
