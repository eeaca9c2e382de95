"""Published failures of banks, ledgers and databases as histories of a few lines, each with the check that convicts it.

They are re-enacted in kind from what was reported, with accounts and amounts of our own.
"""

from dataclasses import replace

import pytest

from chaoskit.checkers.money import MONEY
from chaoskit.model.verdict import Result


def failed(history):
    return [finding.checker for check in MONEY for finding in check.check(history) if finding.outcome is Result.FAILED]


def pay(giver, taker, amount):
    return {giver: -amount, taker: amount}


def balances(bank, **shown):
    """The final ledger with these balances, whatever its postings make."""
    ledger = bank.ledger()
    return replace(ledger, accounts=tuple(replace(a, balance=shown.get(a.account, a.balance)) for a in ledger.accounts))


def test_both_accounts_read_and_written_back_while_another_transfer_did_the_same(story, bank):
    """cockroachdb/cockroach#4687: four accounts of 10, and a later read adds up to something else."""
    bank.opening = dict.fromkeys(("a", "b", "c", "d"), 10)
    for key, legs in (("k1", pay("a", "b", 5)), ("k2", pay("b", "c", 3))):
        story.operation(1, key=key, legs=legs, took=1.0)
        bank.book(key, legs)
    assert failed(bank.close(story, balances(bank, b=15)))[:2] == ["conserved", "balance-is-ledger"]


def test_a_total_that_fell_once_and_stayed_so_is_reported_once(story, bank):
    """cockroachdb/cockroach#17815: 50 became 48, and every read after that said 48."""
    bank.opening = {"a": 25, "b": 25}
    story.operation(1, key="k1", legs=pay("a", "b", 2))
    bank.book("k1", pay("a", "b", 2))
    history = bank.close(story, balances(bank, b=25))
    assert failed(history)[0] == "conserved"
    (finding,) = next(check for check in MONEY if check.name == "conserved").check(history)
    assert (finding.summary, len(finding.evidence)) == ("2 is gone", 1)


def test_totals_that_drift_on_a_healthy_cluster_need_no_fault(story, bank):
    """yugabyte/yugabyte-db#1553: the same, without any fault in the schedule."""
    story.operation(1, key="k1", legs=pay("ada", "ben", 2))
    bank.book("k1", pay("ada", "ben", 2))
    assert failed(bank.close(story, balances(bank, ben=1_001), faults=()))[0] == "conserved"


def test_a_balance_below_zero(story, bank):
    """tarantool/tarantool#6099: an account went negative although every transfer looked first."""
    for key in ("k1", "k2"):
        story.operation(1, key=key, legs=pay("ada", "ben", 700), took=1.0)
        bank.book(key, pay("ada", "ben", 700))
    assert failed(bank.close(story)) == ["no-overdraft"]


def test_a_standby_that_was_far_behind_is_promoted(story, bank):
    """sorintlab/stolon#783; the order in which nodes start does it, too: patroni/patroni#2175, cloudnative-pg/cloudnative-pg#1688."""
    story.operation(0, key="k0", legs=pay("ada", "ben", 1))
    bank.book("k0", pay("ada", "ben", 1))
    for number in (1, 2, 3):
        story.operation(number, key=f"k{number}", legs=pay("ada", "ben", 100))
    history = bank.close(story)
    assert failed(history) == ["ack-durable"]
    assert MONEY[0].check(history)[0].measures["lost_amount"] == 300


def test_a_waiting_commit_is_seen_after_a_restart_and_then_gone(story, bank):
    """sorintlab/stolon#514: the primary restarts while its standby is away, shows the commit, and the standby takes over."""
    story.operation(0, key="k0", legs=pay("ben", "cid", 1))
    bank.book("k0", pay("ben", "cid", 1))
    story.operation(1, "info", key="k1", legs=pay("ada", "ben", 7))
    bank.settled["k1"] = "tombstone"
    for at, balance in ((0.5, 1000), (3, 993), (9, 1000)):
        story.look(at, "ada", balance)
    assert failed(bank.close(story)) == ["observed-stays"]


def test_a_cancelled_wait_is_answered_like_a_success(story, bank):
    """patroni/patroni#1412: the wait for the standby is cancelled, the answer is ok with a warning, and others act on it."""
    story.operation(0, key="k0", legs=pay("ben", "cid", 1))
    bank.book("k0", pay("ben", "cid", 1))
    story.operation(1, key="k1", legs=pay("ada", "ben", 7))
    story.look(2, "ada", 993)
    assert failed(bank.close(story)) == ["ack-durable", "observed-stays"]


def test_two_primaries_with_customers_on_both(story, bank):
    """cloudnative-pg/cloudnative-pg#7407, fly-apps/postgres-flex#55, EnterpriseDB/repmgr#766: one side is thrown away."""
    for number in range(3):
        story.operation(number, key=f"a{number}", legs=pay("ada", "ben", 3), served_by="one")
        story.operation(number, key=f"b{number}", legs=pay("ada", "ben", 3), served_by="two")
        bank.book(f"b{number}", pay("ada", "ben", 3))
    assert failed(bank.close(story)) == ["ack-durable"]


def test_two_primaries_whose_histories_are_merged(story, bank):
    """The same, when both sides are kept: one version was given twice."""
    for key in ("a", "b"):
        story.operation(1, key=key, legs=pay("ada", "ben", 3))
        bank.book(key, pay("ada", "ben", 3))
    ledger = bank.ledger()
    merged = replace(ledger, postings=tuple(replace(p, version=1) for p in ledger.postings))
    assert failed(bank.close(story, merged)) == ["version-chain"]


def test_an_acknowledged_write_is_gone_and_the_next_read_is_one_version_older(story, bank):
    """etcd-io/etcd#14370: a single node acknowledges, crashes, and comes back without it."""
    for number in (1, 2):
        story.operation(number, key=f"k{number}", legs=pay("ada", "ben", 1))
    bank.book("k1", pay("ada", "ben", 1))
    story.look(3, "ada", 999, 1)
    assert failed(bank.close(story)) == ["ack-durable"]


def test_two_standbys_disagree_which_of_two_payments_was_first(story, bank):
    """Jepsen, Amazon RDS for PostgreSQL 17.4: on a healthy cluster, every few minutes."""
    bank.opening["dan"] = 1000
    for key, legs in (("k1", pay("ada", "ben", 1)), ("k2", pay("cid", "dan", 1))):
        story.operation(1, key=key, legs=legs, took=5.0)
        bank.book(key, legs)
    for ada, cid in ((999, 1000), (1000, 999)):
        rows = [{"account": "ada", "balance": ada}, {"account": "cid", "balance": cid}]
        story.operation(3, journey="overview", took=1.0, result={"accounts": rows})
    assert failed(bank.close(story)) == ["snapshot"]


def test_an_update_is_lost_without_any_fault(story, bank):
    """Jepsen, MariaDB Galera 12.1.2: the postings are there, the balance is not what they make."""
    for key in ("k1", "k2"):
        story.operation(1, key=key, legs=pay("ada", "ben", 10), took=1.0)
        bank.book(key, pay("ada", "ben", 10))
    assert failed(bank.close(story, balances(bank, ada=990, ben=1010))) == ["balance-is-ledger"]


def test_committed_transfers_are_partly_missing(story, bank):
    """Jepsen, Radix DLT 1.0."""
    story.operation(1, key="k1", legs=pay("ada", "ben", 10))
    bank.book("k1", {"ada": -10})
    assert failed(bank.close(story))[0] == "double-entry"


@pytest.mark.parametrize("second_key", ["k1", "k2"])
def test_the_answer_is_lost_and_the_outbox_sends_again(story, bank, second_key):
    """artivisi/balaka#29, LerianStudio/midaz#1974: the journal is there twice, under no key or a new one."""
    story.operation(1, "info", "ok", key="k1", intent="i1", legs=pay("ada", "ben", 10))
    if second_key != "k1":
        story.operation(2, key=second_key, intent="i1", legs=pay("ada", "ben", 10))
    for key in ("k1", second_key):
        bank.book(key, pay("ada", "ben", 10))
    assert failed(bank.close(story)) == ["at-most-once"]


def test_the_body_that_was_refused_is_what_was_stored(story, bank):
    """runvendo/vendo#1297: two bodies raced under one key."""
    story.operation(1, key="k1", intent="i1", legs=pay("ada", "ben", 10), took=1.0)
    story.operation(1, "fail", key="k1", intent="i2", legs=pay("ada", "cid", 900), status=422, took=1.0)
    bank.book("k1", pay("ada", "cid", 900))
    history = bank.close(story, operations=tuple(story.operations))
    # The key is in the ledger, so nobody is told of a loss; what is there is not what was accepted.
    assert failed(history)[0] == "no-refused-effect"


def test_both_bodies_under_one_key_are_accepted(story, bank):
    """alphagov/pay-connector#4460, formancehq/stack#1638: a key that was looked up before it was stored."""
    for intent, legs in (("i1", pay("ada", "ben", 10)), ("i2", pay("ada", "ben", 20))):
        story.operation(1, key="k1", intent=intent, legs=legs, took=1.0)
    bank.book("k1", pay("ada", "ben", 10))
    assert failed(bank.close(story)) == ["answer-stable"]


def test_a_retry_is_refused_because_the_first_attempt_took_the_money(story, bank):
    """apache/couchdb#3569, apple/foundationdb#1321: not a failure, and no double payment; nobody is accused."""
    story.operation(1, "info", "fail", key="k1", legs=pay("ada", "ben", 1000), status=422, why="insufficient funds")
    bank.settled["k1"] = "applied"
    bank.book("k1", pay("ada", "ben", 1000))
    assert failed(bank.close(story)) == []


def test_a_withdrawal_that_only_an_unknown_deposit_can_have_paid_for_proves_the_deposit(story, bank):
    """Nobody was told of the deposit, but the withdrawal was acknowledged: without the deposit the ledger cannot be right."""
    story.operation(1, "info", key="k1", legs=pay("ben", "ada", 500))
    story.operation(2, key="k2", legs=pay("ada", "cid", 1_400))
    bank.settled["k1"] = "tombstone"
    bank.book("k2", pay("ada", "cid", 1_400))
    assert failed(bank.close(story)) == ["no-overdraft"]


@pytest.mark.parametrize("is_applied", [True, False])
def test_a_customer_that_crashed_between_sending_and_recording_may_have_paid_or_not(story, bank, is_applied):
    story.operation(1, key="k1", legs=pay("ada", "ben", 1))
    bank.book("k1", pay("ada", "ben", 1))
    story.operation(2, "info", key="k2", legs=pay("ada", "ben", 5), took=None)
    bank.settled["k2"] = "applied" if is_applied else "tombstone"
    if is_applied:
        bank.book("k2", pay("ada", "ben", 5))
    assert failed(bank.close(story)) == []
