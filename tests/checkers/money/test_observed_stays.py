import pytest

from chaoskit.checkers.money import ObservedStays, ReadWindow
from chaoskit.model.verdict import Finding, Result

PAY = {"ada": -7, "ben": 7}


def test_passes_when_everything_that_was_seen_is_in_the_ledger(story, bank):
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", PAY)
    assert not ObservedStays().check(bank.close(story))[0].is_absent
    assert ObservedStays(if_any=True).check(bank.close(story))[0].is_absent
    story.look(2, "ada", 993)
    (finding,) = ObservedStays().check(bank.close(story))
    assert (finding.outcome, finding.summary) == (Result.PASSED, "1 look at a balance, and nothing that they showed is gone")


def test_fails_when_a_payment_that_was_never_answered_was_seen_and_is_gone(story, bank):
    """1000, 993, 1000: the primary showed what its standby did not have, and the standby took over. Nobody was ever told ok."""
    story.operation(0, key="k0", legs={"ben": -1, "cid": 1})
    bank.book("k0", {"ben": -1, "cid": 1})
    story.operation(1, "info", key="k1", legs=PAY)
    bank.settled["k1"] = "tombstone"
    story.look(2, "ada", 993, 1)
    story.look(9, "ada", 1000, 0)
    history = bank.close(story)
    assert ObservedStays().check(history) == (
        Finding(
            checker="observed-stays",
            outcome=Result.FAILED,
            summary="1 payment over 7 seen done and gone at the end",
            evidence=(
                (
                    "account ada at 993 (balance, operation 3, answered 2.0 s into the load) is no state of it in the ledger:"
                    " 7 from ada to ben (transfer, key k1, answered 1.0 s into the load) was seen done and is gone"
                ),
            ),
            measures={"undone_operations": 1, "undone_amount": 7},
            safety=True,
        ),
    )
    assert ReadWindow().check(history)[0].outcome is Result.PASSED, "one cause, one accusation"


def test_several_payments_that_are_gone_together_are_found(story, bank):
    for number in (1, 2, 3):
        story.operation(number, key=f"k{number}", legs={"ada": -number, "ben": number})
    story.look(4, "ada", 994)
    (finding,) = ObservedStays().check(bank.close(story))
    assert finding.measures == {"undone_operations": 3, "undone_amount": 6}
    told = [
        f"{number} from ada to ben (transfer, key k{number}, answered {number - 1:.1f} s into the load)" for number in (1, 2, 3)
    ]
    assert finding.evidence[0].endswith(f": {' and '.join(told)} was seen done and is gone")


def test_seen_by_nobody_and_gone_is_fine(story, bank):
    story.operation(1, "info", key="k1", legs=PAY)
    bank.settled["k1"] = "tombstone"
    story.look(2, "ada", 1000, 0)
    (finding,) = ObservedStays().check(bank.close(story))
    assert finding.outcome is Result.PASSED


def test_a_payment_that_was_asked_for_later_or_refused_explains_nothing(story, bank):
    story.operation(1, "fail", key="k1", legs=PAY)
    story.look(2, "ada", 993)
    story.operation(3, "info", key="k3", legs=PAY)
    bank.settled["k3"] = "tombstone"
    history = bank.close(story)
    assert ObservedStays().check(history)[0].outcome is Result.PASSED
    assert ReadWindow().check(history)[0].outcome is Result.FAILED, "it is not passed over"


@pytest.mark.parametrize("asked_at, is_gone", [(3, True), (3.001, False)])
def test_a_payment_that_is_gone_may_have_been_asked_for_as_the_look_was_answered(story, bank, asked_at, is_gone):
    story.operation(0, key="k0", legs={"ben": -1, "cid": 1})
    bank.book("k0", {"ben": -1, "cid": 1})
    story.look(2, "ada", 993, took=1.0)
    story.operation(asked_at, "info", key="k1", legs=PAY)
    bank.settled["k1"] = "tombstone"
    (finding,) = ObservedStays().check(bank.close(story))
    assert (finding.outcome is Result.FAILED) is is_gone


def test_proves_nothing_when_nobody_looked(story, bank):
    story.operation(1, key="k1", legs=PAY)
    (finding,) = ObservedStays().check(bank.close(story))
    assert finding.outcome is Result.INCONCLUSIVE
