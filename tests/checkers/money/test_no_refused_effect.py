from chaoskit.checkers.money import NoRefusedEffect
from chaoskit.model.verdict import Finding, Result

PAY = {"ada": -100, "ben": 100}


def test_passes_when_what_was_refused_moved_nothing(story, bank):
    story.operation(1, "fail", key="k1", legs=PAY, status=422, why="insufficient funds")
    (finding,) = NoRefusedEffect().check(bank.close(story))
    assert finding.outcome is Result.PASSED
    assert finding.summary == "1 refused operation, none of them moved money"


def test_says_so_when_nothing_was_refused(story, bank):
    story.operation(1, key="k1", legs=PAY)
    (finding,) = NoRefusedEffect().check(bank.close(story))
    assert (finding.outcome, finding.summary) == (Result.PASSED, "no operation was refused")


def test_fails_when_what_was_refused_moved_money(story, bank):
    story.operation(1, "fail", key="k1", legs=PAY, status=422, why="insufficient funds")
    bank.book("k1", PAY)
    assert NoRefusedEffect().check(bank.close(story)) == (
        Finding(
            checker="no-refused-effect",
            outcome=Result.FAILED,
            summary="1 of 1 refused operation moved money",
            evidence=(
                "100 from ada to ben (transfer, key k1, answered 0.0 s into the load) was refused (insufficient funds) and is in the ledger",
            ),
            measures={"refused_operations": 1, "refused_with_effect": 1},
            safety=True,
        ),
    )


def test_two_requests_of_one_key_of_which_one_was_accepted_are_no_refusal(story, bank):
    story.operation(1, "fail", key="k1", legs=PAY, status=409)
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", PAY)
    (finding,) = NoRefusedEffect().check(bank.close(story))
    assert finding.outcome is Result.PASSED


def test_proves_nothing_without_payments(story, bank):
    story.operation(1, journey="login")
    (finding,) = NoRefusedEffect().check(bank.close(story))
    assert finding.outcome is Result.INCONCLUSIVE
