"""The process that starts, signals and reaps all services of one environment: `python -m chaoskit.environments.supervisor WORK`.

It lives in a session of its own, so no Ctrl-C reaches it, and it adopts every orphan of its services (child subreaper). When its
standard input ends, because the runner closed it or died by whatever means, it ends all it ever started, removes WORK and exits.
Standard library only and no imports of ours: it is started by its path, before anything else is there.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn

# linux/prctl.h
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

END_WITHIN_S = 10.0  # a killed process is gone in milliseconds; one that waits for a disk may take seconds
LOOK_EVERY_S = 0.002  # a look at /proc costs about 2 ms
PARENT_CHECK_S = 0.5  # a forked copy of the runner may keep our input open after its death; the parent's number tells all the same
SETTLE_S = 0.3  # a parent that waits for its frozen child to begin (vfork) stays in state D: it is as good as frozen
FROZEN = frozenset("TtZX")

Reply = dict[str, object]


class RefusedError(Exception):
    """What was asked cannot be done; the text goes to the runner."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A process as /proc shows it."""

    pid: int
    parent: int
    session: int
    state: str
    name: str


@dataclass(slots=True)
class Service:
    """What was started under one name. `root` None means that its first process has ended and was reaped."""

    folder: str
    root: int | None
    session: int
    log: str
    is_to_end: bool = False


class Supervisor:
    def __init__(self) -> None:
        self.services: dict[str, Service] = {}

    def answer(self, request: Mapping[str, object]) -> Reply:
        service = str(request.get("service", ""))
        match request["do"]:
            case "start":
                return self.start(service, request)
            case "kill":
                self.kill(service)
            case "pause":
                self.pause(service)
            case "resume":
                self.resume(service)
            case "processes":
                return {"processes": [(one.pid, one.state, one.name) for one in self.members(service)]}
            case unknown:
                raise RefusedError(f"{unknown!r} is not a command")
        return {}

    def start(self, name: str, request: Mapping[str, object]) -> Reply:
        running = self.members(name) if name in self.services else ()
        if running:
            raise RefusedError(f"{name} still runs: {describe(running)}")
        argv, variables, folder, log = request["argv"], request["variables"], str(request["folder"]), str(request["log"])
        assert isinstance(argv, list)
        assert isinstance(variables, dict)
        pid = launch(argv, variables, folder, log)
        self.services[name] = Service(folder=os.path.realpath(folder), root=pid, session=pid, log=log)
        return {"pid": pid}

    def kill(self, name: str) -> None:
        """Freeze all members first, so that none can start another one, then SIGKILL and wait until they are gone."""
        deadline = time.monotonic() + END_WITHIN_S
        quiet = 0
        stopped: set[int] = set()
        if name in self.services:
            self.services[name].is_to_end = True
        while quiet < 2:  # twice without a new one: a fork that was under way during the first look has shown itself
            new = [one.pid for one in self.members(name) if one.pid not in stopped]
            send(new, signal.SIGSTOP)
            stopped.update(new)
            quiet = 0 if new else quiet + 1
        while left := self.members(name):
            send((one.pid for one in left), signal.SIGKILL)
            self.wait_a_little(deadline, f"{name} did not end within {END_WITHIN_S:g} s of SIGKILL", left)

    def pause(self, name: str) -> None:
        deadline = time.monotonic() + END_WITHIN_S
        settled = time.monotonic() + SETTLE_S
        if not self.members(name):
            raise RefusedError(f"{name} has no process to pause")
        while left := [one for one in self.members(name) if one.state not in FROZEN]:
            if time.monotonic() > settled and all(one.state == "D" for one in left):
                return
            send((one.pid for one in left), signal.SIGSTOP)
            self.wait_a_little(deadline, f"{name} did not freeze within {END_WITHIN_S:g} s of SIGSTOP", left)

    def resume(self, name: str) -> None:
        deadline = time.monotonic() + END_WITHIN_S
        while left := [one for one in self.members(name) if one.state in "Tt"]:
            send((one.pid for one in left), signal.SIGCONT)
            self.wait_a_little(deadline, f"{name} did not go on within {END_WITHIN_S:g} s of SIGCONT", left)

    def members(self, name: str) -> tuple[Seen, ...]:
        """The processes of a service: what descends from its root, what is in its session, and what works inside its folder.

        The last one is for processes that made a session of their own after their parent ended, as PostgreSQL under Patroni does.
        """
        self.reap()
        service = self.services.get(name)
        if service is None:
            raise RefusedError(f"{name!r} was never started here")
        table = processes()
        family = descendants(table, os.getpid())
        own = set(descendants(table, service.root)) if service.root else set()
        own |= {pid for pid in family if table[pid].session == service.session or is_inside(working_folder(pid), service.folder)}
        return tuple(table[pid] for pid in family if pid in own or pid == service.root)

    def reap(self) -> None:
        """Take the exit of every ended child, adopted ones too: a zombie's number in a pid file looks like a living process."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                for service in self.services.values():
                    if service.root == pid:
                        service.root = None
                        if not service.is_to_end:
                            note_end(service.log, status)

    def wait_a_little(self, deadline: float, complaint: str, left: Iterable[Seen]) -> None:
        if time.monotonic() > deadline:
            raise RefusedError(f"{complaint}; left: {describe(left)}")
        time.sleep(LOOK_EVERY_S)

    def end(self) -> tuple[Seen, ...]:
        """SIGKILL all descendants until there is none; whatever they fork meanwhile is a descendant too. Returns what is left."""
        deadline = time.monotonic() + END_WITHIN_S
        for service in self.services.values():
            service.is_to_end = True
        while True:
            self.reap()
            table = processes()
            left = [table[pid] for pid in descendants(table, os.getpid())]
            if not left or time.monotonic() > deadline:
                return tuple(left)
            send((one.pid for one in left), signal.SIGKILL)
            time.sleep(LOOK_EVERY_S)


def note_end(log: str, status: int) -> None:
    """Say at the end of a service's log that nobody asked it to end: a crash leaves no line of its own."""
    code = os.waitstatus_to_exitcode(status)
    how = f"with exit code {code}" if code >= 0 else f"by signal {-code} ({signal.Signals(-code).name})"
    # A full disk must not keep the others from being reaped.
    with contextlib.suppress(OSError), open(log, "a", encoding="utf-8") as file:  # noqa: PTH123 -- pathlib is slow to import
        file.write(f"chaoskit: this service ended by itself, {how}\n")


def launch(argv: list[str], variables: dict[str, str], folder: str, log: str) -> int:
    """Start a process in a session of its own, which dies with this one. Returns its number once the program runs."""
    supervisor = os.getpid()
    errors, errors_in = os.pipe()  # closed by a successful exec, since Python's descriptors are not inherited
    pid = os.fork()
    if pid == 0:
        become(argv, variables, folder, log, supervisor, errors_in)
    os.close(errors_in)
    with os.fdopen(errors, "rb") as pipe:
        problem = pipe.read().decode()
    if problem:
        os.waitpid(pid, 0)
        raise RefusedError(f"cannot run {argv[0]}: {problem}")
    return pid


def become(argv: list[str], variables: dict[str, str], folder: str, log: str, supervisor: int, errors_in: int) -> NoReturn:
    try:
        os.setsid()
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor:  # it ended before the line above took effect
            os._exit(1)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)  # ignored signals would stay ignored in the program
        os.chdir(folder)
        nothing = os.open(os.devnull, os.O_RDONLY)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(nothing, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.execve(argv[0], argv, variables)  # noqa: S606 – no shell is wanted
    except BaseException as error:
        os.write(errors_in, f"{type(error).__name__}: {error}".encode())
    os._exit(127)


def prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value}) failed")


def processes() -> dict[int, Seen]:
    """Every process of this machine by number. Those that end while we look are left out."""
    table = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 – pathlib doubles the cost of a look at all processes
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as file:  # noqa: PTH123
                text = file.read().decode(errors="replace")
        except OSError:
            continue
        start, end = text.index("("), text.rindex(")")  # the name may contain brackets and spaces
        state, parent, _group, session = text[end + 2 :].split(" ", 4)[:4]
        table[int(entry)] = Seen(int(entry), int(parent), int(session), state, text[start + 1 : end])
    return table


def descendants(table: Mapping[int, Seen], root: int) -> tuple[int, ...]:
    children: dict[int, list[int]] = {}
    for seen in table.values():
        children.setdefault(seen.parent, []).append(seen.pid)
    found: list[int] = []
    todo = list(children.get(root, ()))
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo.extend(children.get(pid, ()))
    return tuple(found)


def working_folder(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/cwd")  # noqa: PTH115
    except OSError:  # it has ended
        return ""


def is_inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/")


def send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # it ended by itself meanwhile
            os.kill(pid, number)


def describe(left: Iterable[Seen]) -> str:
    return ", ".join(f"{one.name} (pid {one.pid}, state {one.state})" for one in left)


def remove(folder: str) -> str:
    """Remove the work folder. Returns what is wrong, "" when it is gone."""
    problems: list[str] = []
    shutil.rmtree(folder, onerror=lambda _function, path, error: problems.append(f"{path}: {error[1]}"))
    return "; ".join(problems[:3]) if os.path.lexists(folder) else ""


def requests(supervisor: Supervisor) -> Iterable[dict[str, object]]:
    """Requests until the input ends, the parent is another one, or SIGTERM. Reaps in between, as soon as a child ends."""
    wake, wake_in = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(wake_in, False)
    signal.set_wakeup_fd(wake_in, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    ending = []
    signal.signal(signal.SIGTERM, lambda number, _frame: ending.append(number))
    parent = os.getppid()
    unread = b""
    while not ending and os.getppid() == parent:
        readable, _, _ = select.select([0, wake], [], [], PARENT_CHECK_S)
        if wake in readable:
            os.read(wake, 4096)
        supervisor.reap()
        if 0 in readable:
            data = os.read(0, 65536)
            if not data:
                return
            *lines, unread = (unread + data).split(b"\n")
            for line in lines:
                yield json.loads(line)


def main(work: str) -> None:
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    supervisor = Supervisor()
    ident: object = None
    try:
        for request in requests(supervisor):
            ident = request["id"]
            if request["do"] == "close":
                break
            try:
                reply = {"id": ident, "ok": supervisor.answer(request)}
            except (RefusedError, OSError) as error:
                reply = {"id": ident, "error": str(error)}
            say(reply)
    finally:
        left = supervisor.end()
        folder = remove(work)
    problem = "; ".join(part for part in (f"still there: {describe(left)}" if left else "", folder) if part)
    say({"id": ident, "error": problem} if problem else {"id": ident, "ok": {}})


def say(reply: Reply) -> None:
    with contextlib.suppress(BrokenPipeError):  # the runner is gone: nobody to tell, and the work goes on
        os.write(1, json.dumps(reply).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1])
