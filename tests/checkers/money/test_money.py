"""Rules that hold for every money check, and the cases of a payment without an answer that are easily judged wrongly."""

import json
from dataclasses import replace

import pytest

from chaoskit.checkers.money import MONEY, NoPhantom
from chaoskit.checkers.money.witness import witness
from chaoskit.model.history import FinalReads, read_history
from chaoskit.model.verdict import Result

PAY = {"ada": -100, "ben": 100}
NEED_ANSWERS = {"answer-stable", "cash", "observed-stays", "read-window", "reconciled", "snapshot"}
"""They have nothing to judge where no answer shows a balance, nobody draws cash and no other bank is paid."""


def outcomes(history):
    findings = [finding for check in MONEY for finding in check.check(history)]
    assert [finding.checker for finding in findings] == [check.name for check in MONEY]
    assert all(finding.safety for finding in findings)
    return {finding.checker: finding.outcome for finding in findings}


def failed(history):
    found = outcomes(history)
    assert {name for name, outcome in found.items() if outcome is Result.INCONCLUSIVE} <= NEED_ANSWERS
    return [name for name, outcome in found.items() if outcome is Result.FAILED]


@pytest.fixture
def paid(story, bank):
    """Two payments, both acknowledged and booked, and a look at the balance after each."""
    for number in (1, 2):
        shown = {"account": "ada", "balance": 1_000 - number * 100, "version": number}
        story.operation(number, key=f"k{number}", intent=f"i{number}", legs=PAY, result=shown)
        bank.book(f"k{number}", PAY)
        story.look(number + 0.5, **shown)
    return story


def test_all_pass_on_right_books(paid, bank):
    assert failed(bank.close(paid)) == []


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"final": None}, "the final ledger was not read"),
        ({"final": FinalReads(error="no primary after 20 s")}, "the end of the run did not succeed: no primary after 20 s"),
        ({"opening": None}, "the opening balances are missing, so there is nothing to compare the ledger with"),
        ({"operations": ()}, "no operation was to move money, so nothing was proven"),
    ],
)
def test_all_are_inconclusive_when_evidence_is_missing(paid, bank, changes, reason):
    history = bank.close(paid, **changes)
    for check in MONEY:
        (finding,) = check.check(history)
        assert (finding.outcome, finding.summary) == (Result.INCONCLUSIVE, reason)


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"open_transactions": None}, "nobody looked whether transactions were still open when the ledger was read"),
        ({"open_transactions": 2}, "transactions were still open when the ledger was read: 2"),
        ({"second": None}, "the final ledger was not read twice"),
    ],
)
def test_all_are_inconclusive_when_the_fence_did_not_hold(paid, bank, changes, reason):
    history = bank.close(paid, final=replace(bank.final(), **changes))
    for check in MONEY:
        (finding,) = check.check(history)
        assert (finding.outcome, finding.summary) == (Result.INCONCLUSIVE, reason)


def test_all_are_inconclusive_when_the_ledger_still_changed(paid, bank):
    """A payment that came through between the two reads: it was applied after the customer gave up and everything was healed."""
    first = bank.final()
    bank.book("k3", PAY)
    history = bank.close(paid, final=replace(first, second=bank.ledger()))
    assert set(outcomes(history).values()) == {Result.INCONCLUSIVE}


def test_two_reads_that_are_equal_need_not_be_one(paid, bank):
    history = bank.close(paid, final=replace(bank.final(), second=bank.ledger()))
    assert failed(history) == []


def test_an_account_that_is_not_among_the_opening_balances_began_with_nothing(story, bank):
    story.operation(1, key="k1", legs={"ada": -5, "vault": 5})
    bank.book("k1", {"ada": -5, "vault": 5})
    assert failed(bank.close(story)) == []


def test_timed_out_and_applied_once_is_fine(paid, bank):
    paid.operation(3, "info", key="k3", legs=PAY)
    bank.book("k3", PAY)
    bank.settled["k3"] = "applied"
    assert failed(bank.close(paid)) == []


def test_timed_out_and_never_applied_is_fine(paid, bank):
    paid.operation(3, "info", key="k3", legs=PAY)
    bank.settled["k3"] = "tombstone"
    assert failed(bank.close(paid)) == []


def test_timed_out_and_never_settled_may_still_be_applied_later(paid, bank):
    paid.operation(3, "info", key="k3", legs=PAY)
    history = bank.close(paid)
    assert set(outcomes(history).values()) == {Result.INCONCLUSIVE}
    assert MONEY[0].check(history)[0].summary == "1 operation without an answer was never settled and may still take effect"


def test_a_late_arrival_that_passed_its_tombstone_is_an_effect_of_a_refused_operation(paid, bank):
    paid.operation(3, "info", key="k3", legs=PAY)
    bank.settled["k3"] = "tombstone"
    bank.book("k3", PAY)
    assert failed(bank.close(paid)) == ["no-refused-effect"]


def test_timed_out_and_retried_with_the_same_key_is_one_payment(paid, bank):
    paid.operation(3, "info", "ok", key="k3", legs=PAY)
    bank.book("k3", PAY)
    assert failed(bank.close(paid)) == []


def test_retried_with_a_new_key_and_applied_under_both_is_twice(paid, bank):
    paid.operation(3, "info", key="k3", intent="i3", legs=PAY)
    paid.operation(4, key="k4", intent="i3", legs=PAY)
    bank.settled["k3"] = "applied"
    for key in ("k3", "k4"):
        bank.book(key, PAY)
    assert failed(bank.close(paid)) == ["at-most-once"]


def test_retried_with_a_new_key_and_applied_under_the_first_is_once(paid, bank):
    paid.operation(3, "info", key="k3", intent="i3", legs=PAY)
    paid.operation(4, key="k4", intent="i3", legs=PAY)
    bank.settled["k3"] = "applied"
    bank.book("k3", PAY)
    assert failed(bank.close(paid)) == []


@pytest.mark.parametrize("is_applied", [True, False])
def test_a_refusal_after_an_attempt_without_an_answer_may_have_one_effect_or_none(paid, bank, is_applied):
    """Insufficient funds, because the first attempt had taken the money."""
    paid.operation(3, "info", "fail", key="k3", legs=PAY, status=422, why="insufficient funds")
    bank.settled["k3"] = "applied" if is_applied else "refused"
    if is_applied:
        bank.book("k3", PAY)
    assert failed(bank.close(paid)) == []


def test_an_answer_replayed_from_a_key_whose_effect_was_rolled_back_is_a_lie(paid, bank):
    paid.operation(3, "info", "ok", key="k3", legs=PAY)
    assert failed(bank.close(paid)) == ["ack-durable"]


def test_what_the_bank_calls_applied_when_settled_must_be_there(paid, bank):
    paid.operation(3, "info", key="k3", legs=PAY)
    bank.settled["k3"] = "applied"
    assert failed(bank.close(paid)) == ["ack-durable"]


def test_two_primaries_with_equal_totals_lost_what_one_of_them_acknowledged(story, bank):
    for number in range(10):
        story.operation(number, key=f"a{number}", legs=PAY, served_by="ledger-db-1")
        story.operation(number, key=f"b{number}", legs=PAY, served_by="ledger-db-2")
        bank.book(f"b{number}", PAY)
    assert failed(bank.close(story)) == ["ack-durable"]


def test_operations_at_the_same_moment_are_judged_alike(story, bank):
    for number in range(3):
        story.operation(1, key=f"k{number}", legs=PAY, took=0.0)
        bank.book(f"k{number}", PAY)
    assert failed(bank.close(story)) == []


def test_a_recorder_that_died_leaves_the_question_of_phantoms_open(paid, bank):
    for changes in ({"complete": False}, {"load": None}, {"torn_lines": 1}):
        found = outcomes(bank.close(paid, **changes))
        assert found.pop("no-phantom") is found.pop("cash") is found.pop("reconciled") is Result.INCONCLUSIVE
        assert set(found.values()) == {Result.PASSED}


WARNING = "canceling wait for synchronous replication due to user request"


def test_done_with_a_replication_warning_is_done_and_the_witness_quotes_the_warning(paid, bank):
    paid.operation(3, key="k3", intent="i3", legs=PAY, result={"warning": WARNING})
    history = bank.close(paid)
    assert failed(history) == ["ack-durable"]
    found = witness(history)
    assert found["says"].endswith(f"was acknowledged and is not in the ledger; the answer warned: {WARNING}")
    ((operation,), postings) = found["operations"], found["postings"]
    assert (operation["attempts"][0]["result"], postings) == ({"warning": WARNING}, [])


def test_where_the_document_takes_the_warning_for_unknown_nothing_was_promised(paid, bank):
    """What the load records then, by `load.warned: info`."""
    paid.operation(3, "info", key="k3", intent="i3", legs=PAY, why=f"HTTP 200 with a warning: {WARNING}")
    bank.settled["k3"] = "tombstone"
    assert failed(bank.close(paid)) == []


def test_an_answer_that_is_replayed_without_its_warning_says_the_same(paid, bank):
    told = {"account": "ada", "balance": 700, "version": 3}
    paid.operation(3, "ok", "ok", key="k3", legs=PAY, result=told)
    bank.book("k3", PAY)
    first, second = paid.operations[-1].attempts
    paid.operations[-1] = replace(paid.operations[-1], attempts=(replace(first, result={**told, "warning": WARNING}), second))
    assert failed(bank.close(paid)) == []


@pytest.mark.parametrize("cut", [1, 2], ids=["without its trailer", "in the middle of a line"])
def test_a_record_whose_recorder_died_proves_only_what_a_missing_line_cannot_change(paid, bank, events_of, cut):
    lines = [json.dumps(event) + "\n" for event in events_of(bank.close(paid))]
    rest = lines[:-1] if cut == 1 else [*lines[:-1], lines[-1][:10]]
    history = read_history(rest)
    assert (history.complete, history.torn_lines) == (False, cut - 1)
    found = outcomes(history)
    assert found.pop("no-phantom") is Result.INCONCLUSIVE
    assert {name for name, outcome in found.items() if outcome is not Result.PASSED} <= NEED_ANSWERS
    (phantom,) = NoPhantom().check(history)
    assert phantom.summary == "the run has no trailer: operations may be missing from the record"


def test_nothing_acknowledged_and_nothing_booked_proves_nothing(story, bank):
    story.flow(0, 1, "fail", key="k", legs=PAY)
    found = outcomes(bank.close(story))
    assert found.pop("no-refused-effect") is Result.PASSED
    assert set(found.values()) == {Result.INCONCLUSIVE}


def test_a_transfer_to_oneself_and_of_nothing_and_of_very_much(story, bank):
    bank.opening = {"ada": 10**30, "ben": 0}
    story.operation(1, key="k1", legs={"ada": 0})
    story.operation(2, key="k2", legs={"ada": 0, "ben": 0})
    story.operation(3, key="k3", legs={"ada": -(10**29), "ben": 10**29})
    bank.book("k1", {"ada": 0})
    bank.book("k3", {"ada": -(10**29), "ben": 10**29})
    assert failed(bank.close(story)) == []


def test_judging_twice_says_the_same(paid, bank):
    history = bank.close(paid)
    assert [check.check(history) for check in MONEY] == [check.check(history) for check in MONEY]
