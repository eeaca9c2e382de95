"""What this machine says about runs: its policies, its freezes, the locks of its environments. A document cannot loosen any of it.

Whatever speaks against a run is told at once, before there is a run folder.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from chaoskit.engine import lock
from chaoskit.engine.blast import breaches
from chaoskit.engine.freeze import frozen
from chaoskit.engine.schedule import Schedule
from chaoskit.model.errors import UsageError
from chaoskit.model.experiment import Experiment
from chaoskit.model.policy import Permission, Policy, Terms
from chaoskit.model.topology import Topology
from chaoskit.registry import not_one_of

AROUND = timedelta(minutes=2)
"""What a run takes besides its load: starting, draining, healing and reading the books take half a minute on a quiet machine."""


class Refused(UsageError):
    """The machine does not let the run go; `reasons` lists everything that speaks against it. Nothing was started."""

    def __init__(self, reasons: Sequence[str]) -> None:
        assert reasons, "a refusal has a reason"
        self.reasons = tuple(reasons)
        super().__init__("\n".join(f"refused: {reason}" for reason in reasons))


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where a machine keeps what holds for every run on it. `here` is this one; tests name folders of their own."""

    policies: tuple[Path, ...]
    freezes: tuple[Path, ...]
    """The first one is for all users of the machine, the second for this user."""
    locks: tuple[Path, ...] = lock.FOLDERS
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC).astimezone())

    @classmethod
    def here(cls) -> Machine:
        """The machine that this is, for the user who asks."""
        policy = _own("XDG_CONFIG_HOME", ".config", "policy.yaml")
        freeze = _own("XDG_STATE_HOME", ".local/state", "freeze.json")
        return cls(
            policies=(Path("/etc/chaoskit/policy.yaml"), *policy),
            freezes=(Path("/var/lib/chaoskit/freeze.json"), *freeze),
        )

    def read_policies(self) -> tuple[Policy, ...]:
        """Every policy that holds here. Raises `InvalidDocument` with every mistake of all of them."""
        from chaoskit.documents.policy import read_policies

        return read_policies(self.policies)

    def allowed(self, given: Iterable[str]) -> tuple[Permission, ...]:
        """What a door was told to allow. Raises `UsageError` for what is none, and for what a policy here never allows."""
        allowed = permissions(given)
        if reasons := _never_allowed(allowed, self.read_policies()):
            raise Refused(reasons)
        return allowed

    @contextlib.contextmanager
    def admitted(
        self,
        experiment: Experiment,
        schedule: Schedule,
        topology: Topology,
        *,
        place: str,
        engine_address: str,
        allow: Iterable[str],
        lock_name: str,
        turn_within_s: float = 0.0,
    ) -> Iterator[tuple[Terms, lock.EnvironmentLock]]:
        """The terms of a run, and the lock of its environment, which is held until this is left.

        Another run on it is waited for up to *turn_within_s*, unless something else speaks against this one.

        Raises `Refused` with everything that speaks against the run, `UsageError` for an unknown permission, and
        `InvalidDocument` for a policy that cannot be read.
        """
        allowed, policies, now = permissions(allow), self.read_policies(), self.now()
        reasons = self._against(experiment, schedule, topology, engine_address=engine_address, allowed=allowed, policies=policies)
        environment = f"{topology.name} on {place}" + (f", {lock_name}" if lock_name else "")
        held = None
        try:
            held = lock.take(
                environment,
                run=f"a run of {experiment.source or experiment.title}",
                now=now,
                folders=self.locks,
                within_s=0.0 if reasons else turn_within_s,
            )
        except UsageError as error:
            reasons.append(str(error))
        try:
            if reasons or held is None:
                raise Refused(reasons)
            yield Terms(allowed=allowed, limits=tuple(policy.limits for policy in policies)), held
        finally:
            if held is not None:
                held.release()

    def against(
        self, experiment: Experiment, schedule: Schedule, topology: Topology, *, engine_address: str, allow: Iterable[str]
    ) -> list[str]:
        """Everything that would speak against a run now, but for another run on its environment. Raises as `admitted` does."""
        return self._against(
            experiment,
            schedule,
            topology,
            engine_address=engine_address,
            allowed=permissions(allow),
            policies=self.read_policies(),
        )

    def _against(
        self,
        experiment: Experiment,
        schedule: Schedule,
        topology: Topology,
        *,
        engine_address: str,
        allowed: tuple[Permission, ...],
        policies: tuple[Policy, ...],
    ) -> list[str]:
        now = self.now()
        return [
            *self.freezes_now(),
            *_open_windows(policies, now, now + timedelta(seconds=experiment.load.duration_s) + AROUND),
            *_not_allowed(experiment, policies, engine_address, allowed),
            *_never_allowed(allowed, policies),
            *_broken_limits(experiment, schedule, topology, policies),
        ]

    def freeze_of_mine(self, *, is_root: bool) -> Path:
        """The file by which this user freezes runs: root for all users. Raises `UsageError` for a user without a home."""
        if not is_root and len(self.freezes) < 2:
            raise UsageError("this user has no home folder that holds his state; set XDG_STATE_HOME to a folder of his own")
        return self.freezes[0 if is_root else 1]

    def freezes_now(self) -> list[str]:
        """Each freeze that holds now, in words, and how it is lifted."""
        for_all = self.freezes[0]
        return [
            f"runs are frozen {'for all users of this machine' if path == for_all else 'for this user'} {says}; "
            f"lift it with: {'sudo ' if path == for_all and os.geteuid() != 0 else ''}chaoskit unfreeze"
            for path, says in frozen(self.freezes, now=self.now())
        ]


def permissions(given: Iterable[str]) -> tuple[Permission, ...]:
    """The permissions of these names, each once. Raises `UsageError` that names the valid ones."""
    names = tuple(dict.fromkeys(given))
    valid = [one.value for one in Permission]
    unknown = [name for name in names if name not in valid]
    if unknown:
        raise UsageError("\n".join(f"--allow {not_one_of(name, valid, what='something that can be allowed')}" for name in unknown))
    return tuple(Permission(name) for name in names)


def _open_windows(policies: Iterable[Policy], begins: datetime, ends: datetime) -> Iterator[str]:
    for policy in policies:
        for window in policy.change_windows:
            if window.begins < ends and begins < window.ends:
                how = "is open" if window.begins <= begins else "opens before the run would end"
                yield (
                    f"the change window from {window.begins.isoformat()} until {window.ends.isoformat()} {how}: {window.why} "
                    f"({policy.source}); run again after it"
                )


def _not_allowed(
    experiment: Experiment, policies: Iterable[Policy], engine_address: str, allowed: tuple[Permission, ...]
) -> Iterator[str]:
    from chaoskit.environments.docker_engine import is_local

    marks = [experiment.source or "the experiment"] if experiment.production else []
    marks += [policy.source for policy in policies if policy.production]
    if marks and Permission.PRODUCTION not in allowed:
        yield f"'production: true' stands in {' and in '.join(marks)}; if you mean it: --allow {Permission.PRODUCTION}"
    if engine_address and not is_local(engine_address) and Permission.REMOTE_ENGINE not in allowed:
        yield (
            f"the container engine at {engine_address} is not on this machine; use a local one (a Unix socket or a loopback "
            f"address), or allow it with --allow {Permission.REMOTE_ENGINE}"
        )


def _never_allowed(allowed: tuple[Permission, ...], policies: Iterable[Policy]) -> list[str]:
    return [
        f"--allow {one}: {policy.source} never allows it on this machine; run it elsewhere, or have the policy changed"
        for policy in policies
        for one in allowed
        if one in policy.never_allow
    ]


def _broken_limits(experiment: Experiment, schedule: Schedule, topology: Topology, policies: Iterable[Policy]) -> Iterator[str]:
    for limits in (experiment.limits, *(policy.limits for policy in policies)):
        for breach in breaches(schedule, topology, limits):
            yield f"limits.{breach.key} of {limits.source or 'the experiment'}: {breach.text}; hurt less, or one after the other"


def _own(variable: str, below_home: str, name: str) -> tuple[Path, ...]:
    """The user's own file; () where he has no home, or one that he may not look into, which is another user's then."""
    given = os.environ.get(variable, "")
    try:
        # A relative path is to be ignored, says the XDG Base Directory Specification.
        path = (Path(given) if given.startswith("/") else Path.home() / below_home) / "chaoskit" / name
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.lstat()
    except (RuntimeError, PermissionError):
        return ()
    return (path,)
