import pytest

from chaoskit.checkers.takeover import Takeover
from chaoskit.model.verdict import Result

CHECK = Takeover(of="ledger-db", within_s=10.0)
LEGS = {"ada": -5, "ben": 5}


def only(findings):
    (finding,) = findings
    return finding


@pytest.fixture
def failover(story):
    """The primary dies at 10 s; the standby answers the first transfer at 16.2 s."""
    story.flow(0, 10, served_by="ledger-db-1", legs=LEGS)
    story.flow(10, 16.2, "info", legs=LEGS)
    story.flow(16.19, 30, served_by="ledger-db-2", legs=LEGS)
    story.fault(10.0)
    for tenth in range(0, 100, 5):
        story.roles(tenth / 10, ledger_db_1=True, ledger_db_2=False)
    for tenth in range(105, 160, 5):
        story.roles(tenth / 10, ledger_db_1=None, ledger_db_2=False)
    return story


def settled(story, old):
    for tenth in range(160, 300, 5):
        story.roles(tenth / 10, ledger_db_1=old, ledger_db_2=True)
    return story


def test_passes_when_the_standby_answers_and_the_old_primary_is_out_of_the_way(failover):
    finding = only(CHECK.check(settled(failover, None).history()))
    assert finding.outcome is Result.PASSED
    assert finding.summary == (
        "ledger-db-2 took over from ledger-db-1 and answered the first transfer after 6.2 s; the old primary accepted no writes"
    )
    assert finding.measures == {"takeover_s": pytest.approx(6.2)}


def test_a_takeover_just_in_time_is_in_time(story):
    story.flow(0, 10, served_by="ledger-db-1", legs=LEGS)
    story.operation(15, took=5.0, served_by="ledger-db-2", legs=LEGS)
    story.flow(20.5, 30, served_by="ledger-db-2", legs=LEGS)
    story.fault(10.0)
    story.roles(9.5, ledger_db_1=True, ledger_db_2=False)
    story.roles(20.0, ledger_db_1=None, ledger_db_2=True)
    finding = only(CHECK.check(story.history()))
    assert (finding.outcome, finding.measures["takeover_s"]) == (Result.PASSED, 10.0)


def test_fails_when_the_standby_answers_too_late(failover):
    finding = only(Takeover(of="ledger-db", within_s=5.0).check(settled(failover, None).history()))
    assert finding.outcome is Result.FAILED
    assert finding.summary == (
        "ledger-db-1 was hit at 10.0 s and the first write was answered by another member only after 6.2 s (asked: within 5 s)"
    )


def test_fails_when_nobody_takes_over(story):
    story.flow(0, 10, served_by="ledger-db-1", legs=LEGS)
    story.flow(10, 40, "info", legs=LEGS)
    story.fault(10.0)
    story.roles(9.5, ledger_db_1=True, ledger_db_2=False)
    assert only(CHECK.check(story.history())).outcome is Result.FAILED


def test_a_standby_that_only_answers_reads_has_not_taken_over(story):
    story.flow(0, 10, served_by="ledger-db-1", legs=LEGS)
    story.flow(10, 40, journey="balance", served_by="ledger-db-2")
    story.fault(10.0)
    story.roles(9.5, ledger_db_1=True, ledger_db_2=False)
    assert only(CHECK.check(story.history())).outcome is Result.FAILED


def test_fails_when_both_accept_writes(failover):
    finding = only(CHECK.check(settled(failover, True).history()))
    assert finding.outcome is Result.FAILED
    assert finding.evidence[0] == "at 16.5 s ledger-db-1 accepted a write although another member was primary"


def test_a_switch_back_is_not_a_split_brain(failover):
    settled(failover, None)
    failover.roles(30.0, ledger_db_1=True, ledger_db_2=None)
    failover.roles(30.5, ledger_db_1=True, ledger_db_2=False)
    assert only(CHECK.check(failover.history())).outcome is Result.PASSED


def test_a_primary_that_takes_no_writes_makes_no_split_brain(failover):
    """It says it is the primary, and the old one is the only one that takes writes: slow, but one history."""
    settled(failover, None)
    for at in (30.0, 30.5, 31.0):
        failover.roles(at, ledger_db_1=True, ledger_db_2=True)
    for sample in failover.samples[-6:]:
        if sample.subject == "ledger-db-2":
            sample.values["accepts_writes"] = False
    assert only(CHECK.check(failover.history())).outcome is Result.PASSED


def test_proves_nothing_when_no_fault_hit_the_primary(story):
    story.flow(0, 30, served_by="ledger-db-1", legs=LEGS)
    story.fault(10.0, targets=["ledger-db-2"])
    story.fault(12.0, kind="latency", targets=["core -> ledger-db-1"])
    story.roles(9.5, ledger_db_1=True, ledger_db_2=False)
    finding = only(CHECK.check(story.history()))
    assert finding.outcome is Result.INCONCLUSIVE
    assert finding.summary == "takeover of ledger-db: no fault hit the primary of ledger-db"


def test_proves_nothing_without_role_samples(failover):
    assert only(CHECK.check(failover.history(samples=()))).outcome is Result.INCONCLUSIVE


def test_proves_nothing_when_answers_do_not_say_who_served_them(story):
    """Those to reads do not tell who takes writes."""
    story.flow(0, 30, legs=LEGS)
    story.flow(0, 30, journey="balance", served_by="ledger-db-1")
    story.fault(10.0)
    story.roles(9.5, ledger_db_1=True, ledger_db_2=False)
    assert only(CHECK.check(story.history())).summary == ("takeover of ledger-db: no answer to a write says which member served it")


def test_proves_nothing_when_the_load_ended_too_early(story):
    story.flow(0, 10, served_by="ledger-db-1", legs=LEGS)
    story.flow(10, 15, "info", legs=LEGS)
    story.fault(10.0)
    story.roles(9.5, ledger_db_1=True, ledger_db_2=False)
    assert only(CHECK.check(story.history())).outcome is Result.INCONCLUSIVE


def test_proves_nothing_when_nobody_looked_at_the_old_primary_afterwards(failover):
    assert only(CHECK.check(failover.history())).outcome is Result.INCONCLUSIVE


def test_a_partition_counts_when_nothing_else_hit_the_primary(story):
    story.flow(0, 10, served_by="ledger-db-1", legs=LEGS)
    story.flow(10, 40, "info", legs=LEGS)
    story.fault(10.0, kind="partition", targets=["core -> ledger-db-1"])
    story.roles(9.5, ledger_db_1=True, ledger_db_2=False)
    assert only(CHECK.check(story.history())).outcome is Result.FAILED


def test_members_are_known_by_the_group_that_samples_name(failover):
    history = settled(failover, None).history()
    for sample in history.samples:
        sample.values["group"] = "other"
    assert only(CHECK.check(history)).outcome is Result.INCONCLUSIVE
    assert only(Takeover(of="other", within_s=10.0).check(history)).outcome is Result.PASSED


@pytest.mark.parametrize("kind", ["pause", "crash", "detach"])
def test_whatever_takes_the_primary_away_counts(story, kind):
    story.flow(0, 10, served_by="ledger-db-1", legs=LEGS)
    story.flow(10, 40, "info", legs=LEGS)
    story.fault(10.0, kind=kind)
    story.roles(9.5, ledger_db_1=True, ledger_db_2=False)
    assert only(CHECK.check(story.history())).outcome is Result.FAILED
