from chaoskit.checkers.money import AtMostOnce
from chaoskit.model.verdict import Finding, Result

PAY = {"ada": -100, "ben": 100}


def test_passes_when_each_payment_happened_once(story, bank):
    story.operation(1, "info", "ok", key="k1", legs=PAY)
    story.operation(2, key="k2", legs=PAY)
    bank.book("k1", PAY)
    bank.book("k2", PAY)
    (finding,) = AtMostOnce().check(bank.close(story))
    assert finding.outcome is Result.PASSED
    assert finding.measures == {"repeated_operations": 0, "repeated_amount": 0, "operations_in_ledger": 2, "retried_operations": 1}


def test_fails_when_a_retry_moved_the_money_again(story, bank):
    story.operation(1, "info", "ok", key="k1", legs=PAY)
    for _ in range(3):
        bank.book("k1", PAY)
    assert AtMostOnce().check(bank.close(story)) == (
        Finding(
            checker="at-most-once",
            outcome=Result.FAILED,
            summary="1 operation happened more than once and moved 200 too much",
            evidence=("100 from ada to ben (transfer, key k1, answered 0.0 s into the load) was wanted once and happened 3 times",),
            measures={"repeated_operations": 1, "repeated_amount": 200, "operations_in_ledger": 1, "retried_operations": 1},
            safety=True,
        ),
    )


def test_fails_when_one_transaction_moved_twice_as_much(story, bank):
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", {"ada": -200, "ben": 200})
    (finding,) = AtMostOnce().check(bank.close(story))
    assert finding.outcome is Result.FAILED


def test_another_amount_is_not_a_repetition(story, bank):
    for number, done in enumerate(({"ada": -150, "ben": 150}, {"ada": -200, "ben": 300}, {"ada": 100, "ben": -100}, {"ada": -200})):
        story.operation(number, key=f"k{number}", legs=PAY)
        bank.book(f"k{number}", done)
    (finding,) = AtMostOnce().check(bank.close(story))
    assert finding.outcome is Result.PASSED


def test_proves_nothing_when_the_ledger_is_empty(story, bank):
    story.operation(1, key="k1", legs=PAY)
    (finding,) = AtMostOnce().check(bank.close(story))
    assert finding.outcome is Result.INCONCLUSIVE
