"""Every refusal of a machine: told with its reason and what to do, all at once, before anything is started."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from chaoskit.engine.freeze import freeze
from chaoskit.engine.lock import take
from chaoskit.engine.schedule import plan
from chaoskit.faults.kill import Kill
from chaoskit.machine import AROUND, Machine, Refused
from chaoskit.model.errors import InvalidDocument, UsageError
from chaoskit.model.experiment import EnvironmentChoice, Experiment, Injection, LoadShape
from chaoskit.model.policy import Limits, Permission
from chaoskit.testing import fake_topology

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
SHOP = fake_topology()
QUIET = Experiment(
    title="quiet",
    environment=EnvironmentChoice(use="fake"),
    load=LoadShape(arrivals_per_s=1, duration_s=60, mix={"visit": 1}),
    source="quiet.chaos.yaml",
)


class Here:
    """A machine in a folder, at a time that stands still."""

    def __init__(self, folder):
        (folder / "locks").mkdir()
        (folder / "locks").chmod(0o1777)
        self.etc, self.own = folder / "etc.yaml", folder / "own.yaml"
        self.now = NOW
        self.machine = Machine(
            policies=(self.etc, self.own),
            freezes=(folder / "all.json", folder / "user.json"),
            locks=(folder / "locks",),
            now=lambda: self.now,
        )

    def admitted(self, experiment=QUIET, *, allow=(), place="process", engine="", lock=""):
        return self.machine.admitted(
            experiment, plan(experiment, seed=1), SHOP, place=place, engine_address=engine, allow=allow, lock_name=lock
        )

    def terms(self, *args, **more):
        with self.admitted(*args, **more) as (terms, _):
            return terms

    def reasons(self, *args, **more):
        with pytest.raises(Refused) as caught, self.admitted(*args, **more):
            raise AssertionError("it was let go")
        return list(caught.value.reasons)


@pytest.fixture
def here(tmp_path):
    made = Here(tmp_path)
    yield made
    assert list((tmp_path / "locks").iterdir()) == [], "a lock is left"


def policy(path, text):
    path.write_text("chaoskit: 1\n" + text)


def test_a_machine_without_policies_lets_a_run_go(here):
    assert here.terms().allowed == ()
    assert here.terms().limits == ()


def test_a_freeze_refuses_and_says_whom_it_holds_for_and_how_it_is_lifted(here):
    for path in here.machine.freezes:
        freeze(path, reason="quarter end", until=None, now=NOW - timedelta(hours=1))
    for_all, for_user = here.reasons()
    assert for_all.startswith("runs are frozen for all users of this machine by ")
    assert "since 2026-11-25T07:00:00+00:00: quarter end; lift it with: " in for_all
    assert for_user.startswith("runs are frozen for this user by ")
    assert for_user.endswith("lift it with: chaoskit unfreeze")


WINDOW = 'change_windows: [{from: "2026-11-25T09:00:00Z", until: "2026-11-25T10:00:00Z", why: the core is being moved}]\n'


def test_a_run_that_would_reach_into_a_change_window_is_refused_with_its_reason(here):
    policy(here.etc, WINDOW)
    opens = NOW + timedelta(hours=1)
    here.now = opens - AROUND - timedelta(seconds=60)
    assert here.terms()
    here.now += timedelta(seconds=1)
    (reason,) = here.reasons()
    assert "opens before the run would end: the core is being moved" in reason
    assert str(here.etc) in reason
    here.now = opens + timedelta(minutes=30)
    assert "10:00:00+00:00 is open: the core is being moved" in here.reasons()[0]
    here.now = opens + timedelta(hours=1)
    assert here.terms()


PRODUCTION = dataclasses.replace(QUIET, production=True)


def test_what_is_marked_production_must_be_allowed_by_name(here):
    assert here.reasons(PRODUCTION) == ["'production: true' stands in quiet.chaos.yaml; if you mean it: --allow production"]
    assert here.terms(PRODUCTION, allow=["production"]).allowed == (Permission.PRODUCTION,)


def test_a_machine_of_production_must_be_allowed_by_name(here):
    policy(here.own, "production: true\n")
    assert here.reasons() == [f"'production: true' stands in {here.own}; if you mean it: --allow production"]
    assert "quiet.chaos.yaml and in" in here.reasons(PRODUCTION)[0]
    assert here.terms(allow=["production"])


def test_no_document_and_no_flag_loosens_what_a_policy_never_allows(here):
    policy(here.etc, "never_allow: [production]\n")
    policy(here.own, "never_allow: []\n")
    assert here.reasons(PRODUCTION, allow=["production"]) == [
        f"--allow production: {here.etc} never allows it on this machine; run it elsewhere, or have the policy changed"
    ]


@pytest.mark.parametrize("engine", ["", "unix:///var/run/docker.sock", "tcp://127.0.0.1:2375", "tcp://localhost:2375"])
def test_an_engine_of_this_machine_needs_no_permission(here, engine):
    assert here.terms(engine=engine)


@pytest.mark.parametrize("engine", ["tcp://192.0.2.7:2375", "ssh://root@build", "tcp://engine.example:2376"])
def test_an_engine_elsewhere_must_be_allowed_by_name(here, engine):
    (reason,) = here.reasons(engine=engine)
    assert f"the container engine at {engine} is not on this machine" in reason
    assert reason.endswith("--allow remote-engine")
    assert here.terms(engine=engine, allow=["remote-engine"]).allowed == (Permission.REMOTE_ENGINE,)


def test_an_unknown_permission_is_told_with_the_valid_ones(here):
    with pytest.raises(UsageError) as caught, here.admitted(allow=["prodution", "production", "all"]):
        raise AssertionError("it was let go")
    assert str(caught.value) == (
        "--allow 'prodution' is not something that can be allowed (production, remote-engine, remote-target). "
        "Did you mean 'production'?\n"
        "--allow 'all' is not something that can be allowed (production, remote-engine, remote-target)"
    )


def test_what_was_allowed_is_known_once_each(here):
    assert here.terms(allow=["remote-target", "production", "remote-target"]).allowed == (
        Permission.REMOTE_TARGET,
        Permission.PRODUCTION,
    )


TWO = dataclasses.replace(
    QUIET,
    faults=(Injection(fault=Kill(service="front"), at_s=10, for_s=20), Injection(fault=Kill(service="back"), at_s=20, for_s=5)),
)


def test_the_strictest_limits_of_all_hold(here):
    policy(here.etc, "limits: {services: 2, for: 10s}\n")
    policy(here.own, "limits: {services: 1}\n")
    generous = dataclasses.replace(TWO, limits=Limits(services=9, for_s=60, source="quiet.chaos.yaml"))
    lasts, both = here.reasons(generous)
    assert lasts.startswith(f"limits.for of {here.etc}: faults[0] kill lasts 20 s; it allows 10 s")
    assert both.startswith(f"limits.services of {here.own}: at 20 s faults[0] kill and faults[1] kill may hurt 2 services")


def test_limits_of_an_experiment_that_was_no_document_hold_too(here):
    assert here.reasons(dataclasses.replace(TWO, limits=Limits(services=1)))[0].startswith("limits.services of the experiment: ")


def test_limits_go_along_with_the_run(here):
    policy(here.etc, "limits: {services: 5}\n")
    policy(here.own, "limits: {services: 3}\n")
    assert [limits.services for limits in here.terms(TWO).limits] == [5, 3]


def test_an_environment_in_use_is_refused_with_the_name_of_the_run(here):
    with here.admitted() as (_, lock):
        lock.name("20261125T080000-quiet-7")
        (reason,) = here.reasons()
        assert "'fake on process' is in use by 20261125T080000-quiet-7" in reason
        assert here.terms(place="docker")
        assert here.terms(lock="worker 1")
        with here.admitted(lock="worker 1"):
            assert "'fake on process, worker 1' is in use" in here.reasons(lock="worker 1")[0]
    assert here.terms()


def test_a_lock_is_released_when_the_run_breaks(here):
    with pytest.raises(ZeroDivisionError), here.admitted():
        raise ZeroDivisionError
    assert here.terms()


def test_everything_that_speaks_against_a_run_is_told_at_once(here):
    freeze(here.machine.freezes[0], reason="", until=None, now=NOW)
    here.now = NOW + timedelta(hours=1)
    policy(here.etc, WINDOW + "limits: {services: 1}\nnever_allow: [remote-target]\n")
    held = take("fake on process", run="x", now=NOW, folders=here.machine.locks)
    reasons = here.reasons(dataclasses.replace(TWO, production=True), engine="ssh://x", allow=["remote-target"])
    held.release()
    assert [next(word for word in WORDS if word in reason) for reason in reasons] == WORDS


WORDS = ["frozen", "change window", "production: true", "container engine", "never allows", "limits.services", "is in use by"]


def test_a_policy_with_mistakes_stops_everything_with_all_of_them(here):
    policy(here.etc, "limits: {service: 1}\n")
    policy(here.own, "production: maybe\n")
    with pytest.raises(InvalidDocument) as caught, here.admitted():
        raise AssertionError("it was let go")
    assert [(p.file, p.line) for p in caught.value.problems] == [(str(here.etc), 2), (str(here.own), 2)]


def test_this_machine_has_the_files_of_all_and_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "c"))
    monkeypatch.setenv("XDG_STATE_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", str(tmp_path))
    here = Machine.here()
    assert [str(path) for path in here.policies] == ["/etc/chaoskit/policy.yaml", f"{tmp_path}/c/chaoskit/policy.yaml"]
    assert [str(path) for path in here.freezes] == [
        "/var/lib/chaoskit/freeze.json",
        f"{tmp_path}/.local/state/chaoskit/freeze.json",
    ]
    assert here.now().tzinfo is not None
