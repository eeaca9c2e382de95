from dataclasses import replace

from chaoskit.checkers.money import NoOverdraft
from chaoskit.model.verdict import Result

EMPTY = {"ada": -1000, "ben": 1000}


def test_passes_when_an_account_goes_to_its_limit(story, bank):
    story.operation(1, key="k1", legs=EMPTY)
    bank.book("k1", EMPTY)
    (finding,) = NoOverdraft().check(bank.close(story))
    assert finding.outcome is Result.PASSED
    assert finding.summary == "3 accounts with a limit, none ever below it"
    assert finding.measures == {"accounts_below": 0, "amount_below": 0}


def test_fails_when_it_was_below_for_a_moment(story, bank):
    for number, legs in enumerate((EMPTY, {"ada": -5, "cid": 5}, {"ada": 50, "ben": -50})):
        story.operation(number, key=f"k{number}", legs=legs)
        bank.book(f"k{number}", legs)
    (finding,) = NoOverdraft().check(bank.close(story))
    assert finding.outcome is Result.FAILED
    assert finding.evidence == ("account ada was at -5, lowest allowed 0",)
    assert finding.measures == {"accounts_below": 1, "amount_below": 5}


def test_a_limit_may_be_below_nothing(story, bank):
    bank.lowest = -500
    for number, more in enumerate((1500, 1)):
        story.operation(number, key=f"k{number}", legs={"ada": -more, "ben": more})
        bank.book(f"k{number}", {"ada": -more, "ben": more})
        (finding,) = NoOverdraft().check(bank.close(story))
        assert finding.outcome is (Result.PASSED, Result.FAILED)[number]
    assert finding.evidence == ("account ada was at -501, lowest allowed -500",)


def test_an_account_without_a_limit_may_go_below(story, bank):
    story.operation(1, key="k1", legs={"clearing": -5, "ada": 5})
    bank.book("k1", {"clearing": -5, "ada": 5})
    whole = bank.ledger()
    accounts = tuple(replace(a, lowest=None) if a.account == "clearing" else a for a in whole.accounts)
    (finding,) = NoOverdraft().check(bank.close(story, replace(whole, accounts=accounts)))
    assert finding.outcome is Result.PASSED


def test_proves_nothing_when_nobody_has_a_limit_or_nothing_moved(story, bank):
    story.operation(1, key="k1", legs=EMPTY)
    assert NoOverdraft().check(bank.close(story))[0].outcome is Result.INCONCLUSIVE
    bank.book("k1", EMPTY)
    bank.lowest = None
    assert NoOverdraft().check(bank.close(story))[0].outcome is Result.INCONCLUSIVE
