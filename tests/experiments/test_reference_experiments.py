"""Each reference experiment passes on the bank as it is and fails on the defect that it is there for, by the right checker."""

import json
import subprocess
import sys

import pytest

LONGEST_S = 75
"""No run may take longer: the limit that the experiments promise."""

SENT_AGAIN = {"interbank", "primary_isolated", "standby_away"}
"""Their documents say so. `interbank` leaves more than a hundred payments without an answer, the others some."""

pytestmark = pytest.mark.whole


EVERYWHERE = {"database_failover", "network_partition", "server_saturation"}
"""These run on containers, too, unchanged, and end the same way; the others were seen to and take too long to do so each time."""


def places(*rows):
    """Each row once for each place where the bank runs then; a row begins with the experiment's name."""
    docker = [pytest.param("docker", *row, marks=pytest.mark.docker) for row in rows if row[0] in EVERYWHERE]
    return [*(("process", *row) for row in rows), *docker]


def run(chaoskit, name, place, *options):
    """The verdict of one run from the command line."""
    code = chaoskit.run(name, "--json", "--on", place, *options).wait(LONGEST_S)
    assert chaoskit.printed, chaoskit.said
    verdict = json.loads(chaoskit.printed)
    assert code == verdict["exit_code"], chaoskit.said
    chaoskit.assert_nothing_is_left()
    return verdict


def verify(folders, *, expected, says):
    """The verifier, which shares no code with the checks, follows the certificate."""
    (folder,) = folders
    command = [sys.executable, "-m", "chaoskit.checkers.money.verify", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, says in done.stdout) == (expected, True), done.stdout + done.stderr


def failed(verdict):
    return {finding["checker"] for finding in verdict["findings"] if finding["outcome"] == "failed"}


@pytest.mark.parametrize(
    "place,name",
    places(
        ("database_failover",),
        ("network_partition",),
        ("server_saturation",),
        ("standby_away",),
        ("primary_restart",),
        ("primary_isolated",),
        ("interbank",),
        ("empty_accounts",),
        ("ended_sessions",),
    ),
)
def test_passes_on_the_bank_as_it_is(chaoskit, place, name):
    verdict = run(chaoskit, name, place)
    assert verdict["verdict"] == "passed", json.dumps(verdict, indent=1)
    assert verdict["rpo"] == {"operations": 0, "amount": 0}
    assert all(fault["effect_seen"] and fault["healed_at_s"] is not None for fault in verdict["faults"])
    answered = verdict["settled"].get("answered", 0)
    assert answered == 0 or name in SENT_AGAIN, verdict["settled"]
    assert answered > 0 or name != "interbank", verdict["settled"]
    verify([*chaoskit.runs.iterdir()], expected=0, says="followed in one order")


@pytest.mark.parametrize(
    "place,name,defect,checkers",
    places(
        ("server_saturation", "unbounded-queue", {"availability", "recovery"}),
        ("database_failover", "async-replication", {"ack-durable"}),
        ("database_failover", "no-takeover", {"takeover"}),
        ("network_partition", "no-idempotency", {"at-most-once"}),
        ("standby_away", "stale-promotion", {"ack-durable"}),
        ("primary_restart", "restart-shows-waiting", {"observed-stays"}),
        ("primary_isolated", "split-brain", {"ack-durable"}),
        ("interbank", "lost-outbox", {"reconciled"}),
        ("empty_accounts", "write-skew", {"no-overdraft"}),
        ("network_partition", "cash-without-debit", {"cash"}),
        ("ended_sessions", "revoked-session", {"login"}),
    ),
)
def test_fails_on_the_defect_by_the_right_checker(chaoskit, place, name, defect, checkers):
    verdict = run(chaoskit, name, place, "--option", f"defect={defect}")
    assert verdict["verdict"] == "failed", json.dumps(verdict, indent=1)
    assert failed(verdict) & checkers, json.dumps(verdict["findings"], indent=1)
    (folder,) = chaoskit.runs.iterdir()
    is_about_money = any(finding["safety"] and finding["outcome"] == "failed" for finding in verdict["findings"])
    assert (folder / "witness.json").exists() is is_about_money
    assert not (is_about_money and (folder / "certificate.json").exists())
