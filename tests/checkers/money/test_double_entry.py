import pytest

from chaoskit.checkers.money import DoubleEntry
from chaoskit.model.verdict import Result

PAY = {"ada": -100, "ben": 100}


def test_passes_when_every_transaction_is_whole(story, bank):
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", PAY)
    (finding,) = DoubleEntry().check(bank.close(story))
    assert (finding.outcome, finding.summary) == (Result.PASSED, "1 transaction, each of them whole")


@pytest.mark.parametrize(
    "legs, done, evidence",
    [
        (PAY, {"ada": -100}, "transaction t1 (key k1) is off by -100: ada -100"),
        (PAY, {"ada": -100, "ben": 90}, "transaction t1 (key k1) is off by -10: ada -100, ben 90"),
        (
            {"ada": -100, "ben": 100, "cid": -7, "dan": 7},
            PAY,
            "transaction t1 has no posting of cid, dan: 107 from ada, cid to ben, dan (transfer, key k1, answered 0.0 s into the load)",
        ),
    ],
)
def test_fails_when_one_is_not(story, bank, legs, done, evidence):
    story.operation(1, key="k1", legs=legs)
    bank.book("k1", done)
    (finding,) = DoubleEntry().check(bank.close(story))
    assert finding.outcome is Result.FAILED
    assert finding.evidence == (evidence,)


def test_proves_nothing_when_the_ledger_is_empty(story, bank):
    story.operation(1, key="k1", legs=PAY)
    (finding,) = DoubleEntry().check(bank.close(story))
    assert finding.outcome is Result.INCONCLUSIVE


def test_counts_every_transaction_that_is_not_whole(story, bank):
    for number, done in enumerate(({"ada": -100}, PAY, {"ben": 100})):
        story.operation(number, key=f"k{number}", legs=PAY)
        bank.book(f"k{number}", done)
    (finding,) = DoubleEntry().check(bank.close(story))
    assert finding.summary == "2 of 3 transactions not whole"
    assert [said.split(":")[0] for said in finding.evidence] == [
        "transaction t1 (key k0) is off by -100",
        "transaction t3 (key k2) is off by 100",
    ]


@pytest.mark.parametrize("outcome, status", [("fail", 422), ("info", 0)])
@pytest.mark.parametrize("done, result", [({"ada": -20, "cid": 20}, Result.PASSED), ({"ada": -20, "dan": 20}, Result.FAILED)])
def test_a_transaction_may_be_of_any_payment_under_its_key(story, bank, outcome, status, done, result):
    story.operation(1, outcome, key="k1", intent="i1", legs={"ada": -10, "ben": 10}, status=status)
    story.operation(1, key="k1", intent="i2", legs={"ada": -20, "cid": 20})
    bank.book("k1", done)
    bank.settled["k1"] = "applied"
    (finding,) = DoubleEntry().check(bank.close(story))
    assert finding.outcome is result
    assert all(said.startswith("transaction t1 has no posting of ben: 10 from ada to ben") for said in finding.evidence)
