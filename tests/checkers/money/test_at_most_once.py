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


SMALL = {"ada": -5, "ben": 5}


def under_one_key(story, first, second):
    """Two payments under one key."""
    story.operation(1, first, key="k1", intent="i1", legs=PAY)
    story.operation(1, second, key="k1", intent="i1-other", legs=SMALL)


def test_says_which_two_payments_were_done_under_one_key(story, bank):
    under_one_key(story, "ok", "ok")
    bank.book("k1", PAY)
    bank.book("k1", SMALL)
    (finding,) = AtMostOnce().check(bank.close(story))
    says = "from ada to ben (transfer, key k1, answered 0.0 s into the load)"
    assert finding.evidence == (f"5 {says} was carried out besides 100 {says}",)


def test_one_of_two_payments_under_one_key_may_be_done_with_another_amount(story, bank):
    """That it is another amount is for `no-phantom` to say."""
    under_one_key(story, "ok", "fail")
    bank.book("k1", {"ada": -7, "ben": 7})
    (finding,) = AtMostOnce().check(bank.close(story))
    assert finding.outcome is Result.PASSED
    assert finding.measures["operations_in_ledger"] == 1


def test_fails_when_two_payments_under_one_key_were_both_refused_and_both_done(story, bank):
    under_one_key(story, "fail", "fail")
    bank.book("k1", PAY)
    bank.book("k1", SMALL)
    (finding,) = AtMostOnce().check(bank.close(story))
    assert (finding.outcome, finding.measures["repeated_operations"]) == (Result.FAILED, 1)


def test_a_new_key_for_the_same_payment_is_a_retry_and_its_effect_another_one(story, bank):
    story.operation(1, key="k1", intent="i1", legs=PAY)
    story.operation(2, key="k2", intent="i1", legs=PAY)
    bank.book("k1", PAY)
    bank.book("k2", PAY)
    (finding,) = AtMostOnce().check(bank.close(story))
    assert finding.evidence[0].endswith(" was wanted once and happened 2 times")
    assert finding.measures["retried_operations"] == 1


def test_names_first_what_moved_most_too_much(story, bank):
    for number, amount in enumerate((10, 300, 20)):
        legs = {"ada": -amount, "ben": amount}
        story.operation(number, key=f"k{number}", legs=legs)
        bank.book(f"k{number}", legs)
        bank.book(f"k{number}", legs)
    (finding,) = AtMostOnce().check(bank.close(story))
    assert [said.split()[0] for said in finding.evidence] == ["300", "20", "10"]
