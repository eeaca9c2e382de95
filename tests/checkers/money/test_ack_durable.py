from chaoskit.checkers.money import AckDurable
from chaoskit.model.verdict import Finding, Result


def test_passes_when_every_acknowledged_payment_is_in_the_ledger(story, bank):
    story.operation(1, key="k1", legs={"ada": -100, "ben": 100})
    bank.book("k1", {"ada": -100, "ben": 100})
    (finding,) = AckDurable().check(bank.close(story))
    assert finding.outcome is Result.PASSED
    assert finding.summary == "1 acknowledged operation, each in the ledger"


def test_fails_with_the_money_and_the_time_of_what_is_lost(story, bank):
    story.operation(0, key="k0", legs={"ada": -1, "ben": 1})
    story.operation(1, key="k1", legs={"ada": -100, "ben": 100})
    story.operation(2.5, key="k2", legs={"ben": -370_000, "cid": 370_000})
    bank.book("k0", {"ada": -1, "ben": 1})
    assert AckDurable().check(bank.close(story, run={"currency": {"code": "Rp", "minor_digits": 0}})) == (
        Finding(
            checker="ack-durable",
            outcome=Result.FAILED,
            summary="2 acknowledged operations over Rp 370,100 not in the ledger",
            evidence=(
                "Rp 370,000 from ben to cid (transfer, key k2, answered 2.5 s into the load) was acknowledged and is not in the ledger",
                "Rp 100 from ada to ben (transfer, key k1, answered 1.0 s into the load) was acknowledged and is not in the ledger",
            ),
            measures={"lost_operations": 2, "lost_amount": 370_100, "acknowledged_operations": 3},
            safety=True,
        ),
    )


def test_amounts_have_the_digits_of_the_currency(story, bank):
    story.operation(1, key="k1", legs={"ada": -123_405, "ben": 123_405})
    for run, shown in (({}, "123,405"), ({"currency": {"code": "EUR", "minor_digits": 2}}, "EUR 1,234.05")):
        (finding,) = AckDurable().check(bank.close(story, run=run))
        assert finding.summary == f"1 acknowledged operation over {shown} not in the ledger"


def test_shows_at_most_ten_cases(story, bank):
    for number in range(30):
        story.operation(number, key=f"k{number}", legs={"ada": -1, "ben": 1})
    (finding,) = AckDurable().check(bank.close(story))
    assert (len(finding.evidence), finding.measures["lost_operations"]) == (10, 30)


def test_proves_nothing_when_nothing_was_acknowledged(story, bank):
    story.operation(1, "fail", key="k1", legs={"ada": -1, "ben": 1})
    (finding,) = AckDurable().check(bank.close(story))
    assert finding.outcome is Result.INCONCLUSIVE
    assert finding.summary == "no operation that moves money was acknowledged, so nothing was proven"
