"""Environments that all workers of pytest-xdist use together: the first that asks brings one up, and the others join it.

Who holds what is told by the kernel's locks on files (`flock`), so a worker that was killed holds nothing. The files are in one
folder for each session, beside the workers' temporary folders; the last worker removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import cast

import pytest

from chaoskit.model.errors import MissingEngine, NotReady, Stopped, UsageError
from chaoskit.model.protocols import Environment, Joinable
from chaoskit.pytesting.environments import running

STARTED_WITHIN_S = 900.0  # its own limits are shorter; building images took five minutes on a slow machine
LEFT_WITHIN_S = 3600.0  # what the others' tests take; one that hangs has a limit of its own, or hangs the session anyway
ENTERED_WITHIN_S = 10.0  # whoever removes the folder at this moment has three files to remove
LOOK_EVERY_S = 0.05  # short beside any start; a look is one system call

WORKER_KEY = pytest.StashKey["Worker"]()


def worker_of(config: pytest.Config) -> Worker:
    """The worker that this process is. Made when tests are collected: all are counted before the first test begins."""
    if WORKER_KEY not in config.stash:
        config.stash[WORKER_KEY] = worker = Worker(config)
        config.pluginmanager.register(worker, "chaoskit-once")
        config.add_cleanup(worker.leave)
    return config.stash[WORKER_KEY]


class Worker:
    """Registered as a plugin, to know when no test is left that could ask for anything."""

    def __init__(self, config: pytest.Config) -> None:
        given: Mapping[str, object] = config.workerinput  # type: ignore[attr-defined]  # xdist's, documented
        self._id = str(given["workerid"])
        # pytest-xdist gives each worker a folder inside the session's own; elsewhere there is none.
        own = config.getoption("basetemp", None)
        session = hashlib.sha256(str(given["testrunuid"]).encode()).hexdigest()[:16]
        self._folder = (Path(own).parent if own else Path(tempfile.gettempdir())) / f"chaoskit-once-{os.geteuid()}-{session}"
        self._used: list[Shared] = []
        self._presence, self._may_ask = self._enter(), contextlib.ExitStack()
        busy = f"{self._asking}: other workers look at it all the time"
        self._may_ask.enter_context(held(self._asking, fcntl.LOCK_SH, within_s=ENTERED_WITHIN_S, or_say=busy))
        self._is_done = False

    @property
    def _asking(self) -> Path:
        """Held by every worker that has tests to run, which may ask for an environment."""
        return self._folder / "asking"

    @contextlib.contextmanager
    def shared(
        self, environment: Environment, *, name: str, place: str, key: str, is_stopping: Callable[[], bool]
    ) -> Iterator[Shared]:
        """*environment* is up inside, for all. *name* is the fixture's, *place* where it stands, *key* tells it from others."""
        refuse_unjoinable(environment, name=name, place=place)
        digest = hashlib.sha256(key.encode()).hexdigest()[:12]
        shared = Shared(self._folder / digest, worker=self._id, what=f"{place}: environment {name!r}", fixture=name)
        self._used.append(shared)
        try:
            with shared.use(environment, wait_for_others=self._wait_for_others, is_stopping=is_stopping):
                yield shared
        finally:
            self._used.remove(shared)

    def leave(self) -> None:
        """The end of this worker. The last one removes the folder."""
        self._ask_no_more()
        self._presence.close()
        with (
            contextlib.suppress(NotReady, FileNotFoundError),
            held(self._folder / "inside", fcntl.LOCK_EX, within_s=0.0, or_say="another is inside"),
        ):
            shutil.rmtree(self._folder, ignore_errors=True)  # what it cannot remove goes with pytest's own temporary folders

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """A test does not fail for a strange reason when the worker has died that had brought up what it uses."""
        for shared in self._used:
            if shared.fixture in getattr(item, "fixturenames", ()):
                shared.check()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, nextitem: pytest.Item | None) -> None:
        if nextitem is None:
            self._ask_no_more()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        self._ask_no_more()

    def _ask_no_more(self) -> None:
        self._is_done = True
        self._may_ask.close()

    def _wait_for_others(self, is_stopping: Callable[[], bool]) -> None:
        """Until no worker has a test left, if this one has none; before that, two workers would wait for each other."""
        if self._is_done:
            with held(
                self._asking, fcntl.LOCK_EX, within_s=LEFT_WITHIN_S, or_say="other workers still run tests", is_stopping=is_stopping
            ):
                pass

    def _enter(self) -> contextlib.ExitStack:
        """The folder is there until this is closed. Another worker that was the last one may be about to remove it."""
        path, deadline = self._folder / "inside", time.monotonic() + ENTERED_WITHIN_S
        while time.monotonic() < deadline:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            found = self._folder.lstat()
            if found.st_uid != os.geteuid() or found.st_mode & 0o170777 != 0o040700:
                raise UsageError(f"{self._folder}: expected a folder of this user that nobody else can write to; remove it")
            with contextlib.suppress(FileNotFoundError), contextlib.ExitStack() as stack:
                file = stack.enter_context(held(path, fcntl.LOCK_SH, within_s=ENTERED_WITHIN_S, or_say=f"{path} is being removed"))
                if path.stat().st_ino == os.fstat(file).st_ino:
                    return stack.pop_all()
        raise NotReady(f"{self._folder} is made and removed all the time; try again")


class Shared:
    """One environment of a session, as one worker sees it. *path* is where its files begin."""

    def __init__(self, path: Path, *, worker: str, what: str, fixture: str) -> None:
        self.fixture = fixture
        self.lock = f"shared {fixture} {path.parent.name[-8:]}-{path.name}"
        """The name by which runs on it take turns."""
        self._turn, self._owner, self._users, self._state = (
            path.with_suffix(f".{one}") for one in ("turn", "owner", "users", "json")
        )
        self._worker, self._what = worker, what
        self._is_owner = False

    @contextlib.contextmanager
    def use(
        self,
        environment: Environment,
        *,
        wait_for_others: Callable[[Callable[[], bool]], None],
        is_stopping: Callable[[], bool],
    ) -> Iterator[None]:
        """It is up inside: brought up here, or joined."""
        with contextlib.ExitStack() as until_end, contextlib.ExitStack() as until_up:
            slow = f"{self._what}: another worker has been bringing it up or taking it down for {STARTED_WITHIN_S:g} s"
            for path, how, stack in ((self._turn, fcntl.LOCK_EX, until_up), (self._users, fcntl.LOCK_SH, until_end)):
                stack.enter_context(held(path, how, within_s=STARTED_WITHIN_S, or_say=slow, is_stopping=is_stopping))
            found = self._found()
            if found is not None:
                cast("Joinable", environment).join(found)
                until_up.close()
                try:
                    yield
                finally:
                    environment.down()
                return
            until_end.close()
            until_end.enter_context(held(self._owner, fcntl.LOCK_EX, within_s=ENTERED_WITHIN_S, or_say=slow))
            self._is_owner = True
            self._tell(state="starting")
            try:
                with running(environment, is_stopping=is_stopping):
                    self._tell(state="up", shared=cast("Joinable", environment).shared())
                    until_up.close()
                    yield
                    with contextlib.suppress(Stopped):  # whoever ends the session early does not wait for others
                        wait_for_others(is_stopping)
                        late = f"{self._what}: another worker still used it after {LEFT_WITHIN_S:g} s; it was taken down"
                        alone = held(self._users, fcntl.LOCK_EX, within_s=LEFT_WITHIN_S, or_say=late, is_stopping=is_stopping)
                        until_end.enter_context(alone)  # until it is down and that is told
            except BaseException as error:
                is_up = self._told()["state"] == "up"
                self._tell(**{"state": "down"} if is_up else {"state": "failed", "kind": type(error).__name__, "error": str(error)})
                raise
            self._tell(state="down")

    def check(self) -> None:
        """Raises `NotReady` when it is not there any more: the worker that had brought it up has died."""
        if not self._is_owner and self._found() is None:
            raise NotReady(f"{self._what}: the worker that had brought it up has taken it down; run the tests again")

    def _found(self) -> Mapping[str, object] | None:
        """What another worker has up; None when it is ours to bring up. Raises when that worker could not do it, or has died."""
        told = self._told()
        state, by = str(told["state"]), f"worker {told.get('by')}"
        if state == "down":
            return None
        if state == "failed":
            # A test that needs an engine is skipped where there is none, in each worker.
            kind = MissingEngine if told["kind"] == MissingEngine.__name__ else NotReady
            raise kind(f"{self._what} did not come up in {by}, and is not tried again: {told['kind']}: {told['error']}")
        try:
            with held(self._owner, fcntl.LOCK_SH, within_s=0.0, or_say="its worker is alive"):
                pass
        except NotReady:
            return cast("Mapping[str, object]", told["shared"])
        did = "was bringing it up" if state == "starting" else "had brought it up"
        raise NotReady(f"{self._what}: {by} has died, which {did} for all; what it had made is removed. Run the tests again")

    def _told(self) -> Mapping[str, object]:
        try:
            told: Mapping[str, object] = json.loads(self._state.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {"state": "down"}
        return told

    def _tell(self, **told: object) -> None:
        new = self._state.with_suffix(f".{self._worker}")
        new.write_text(json.dumps({"by": self._worker, **told}), encoding="utf-8")
        new.replace(self._state)  # whole or not at all


def refuse_unjoinable(environment: Environment, *, name: str, place: str) -> None:
    """Raises `UsageError` for an environment that several workers cannot use together."""
    if not isinstance(environment, Joinable):
        raise UsageError(
            f"{place}: environment fixture {name!r} has once=True, and {type(environment).__name__} cannot be joined by other "
            "workers (it has no `shared` and `join`); leave once out, and each worker brings up one of its own"
        )
    if environment.topology.ledger is not None and environment.topology.opening is not None:
        raise UsageError(
            f"{place}: environment fixture {name!r} has once=True, and its books have opening balances, which hold for one run; "
            "leave `opening` out, and each run reads them at its beginning"
        )


@contextlib.contextmanager
def held(path: Path, how: int, *, within_s: float, or_say: str, is_stopping: Callable[[], bool] = lambda: False) -> Iterator[int]:
    """A lock on the file at *path*, made if need be. Gives its number. Raises `NotReady` when others have it, and `Stopped`."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + within_s
        while True:
            try:
                fcntl.flock(file, how | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise NotReady(or_say) from None
            if is_stopping():
                raise Stopped(f"asked to stop while waiting: {or_say}")
            time.sleep(LOOK_EVERY_S)
        yield file
    finally:
        os.close(file)
