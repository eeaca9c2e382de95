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


SMALL = {"ada": -5, "ben": 5}


def test_of_several_requests_of_one_key_those_that_were_refused_are_counted(story, bank):
    for outcome, intent in (("fail", "i1"), ("ok", "i2"), ("info", "i3")):
        story.operation(1, outcome, key="k1", intent=intent, legs=PAY)
    bank.settled["k1"] = "applied"
    bank.book("k1", PAY)
    (finding,) = NoRefusedEffect().check(bank.close(story))
    assert finding.summary == "1 refused operation, none of them moved money"
    assert finding.measures == {"refused_operations": 1, "refused_with_effect": 0}


def test_says_how_a_key_was_refused_that_moved_money(story, bank):
    story.operation(1, "fail", key="k1", legs=PAY)
    story.operation(2, "info", key="k2", legs=PAY)
    bank.settled["k2"] = "tombstone"
    bank.book("k1", PAY)
    bank.book("k2", PAY)
    (finding,) = NoRefusedEffect().check(bank.close(story))
    assert [said.split(" was ")[1] for said in finding.evidence] == [
        "refused (no reason given) and is in the ledger",
        "settled as tombstone and is in the ledger",
    ]


def test_says_which_of_two_payments_under_one_key_was_refused_and_done(story, bank):
    story.operation(1, "fail", key="k1", intent="i1", legs=PAY)
    story.operation(2, key="k1", intent="i2", legs=SMALL)
    bank.book("k1", PAY)
    (finding,) = NoRefusedEffect().check(bank.close(story))
    assert finding.evidence == (
        (
            "100 from ada to ben (transfer, key k1, answered 0.0 s into the load) was refused, and is in the ledger"
            " under the key of 5 from ada to ben (transfer, key k1, answered 1.0 s into the load)"
        ),
    )
