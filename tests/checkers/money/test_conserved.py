from dataclasses import replace

from chaoskit.checkers.money import Conserved
from chaoskit.model.verdict import Result

PAY = {"ada": -100, "ben": 100}


def test_passes_when_there_is_as_much_as_before(story, bank):
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", PAY)
    (finding,) = Conserved().check(bank.close(story))
    assert finding.summary == "all accounts together hold 3,000, as at the beginning"
    assert finding.outcome is Result.PASSED


def test_fails_when_money_is_gone(story, bank):
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", {"ada": -100})
    (finding,) = Conserved().check(bank.close(story))
    assert (finding.outcome, finding.summary) == (Result.FAILED, "100 is gone")
    assert finding.evidence == ("all accounts together held 3,000 and now hold 2,900",)


def test_names_the_total_first_and_then_the_accounts_that_are_gone(story, bank):
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", PAY)
    whole = bank.ledger()
    (finding,) = Conserved().check(bank.close(story, replace(whole, accounts=whole.accounts[:-1])))
    assert finding.evidence == (
        "all accounts together held 3,000 and now hold 2,000",
        "account cid with 1,000 is not in the ledger",
    )


def test_fails_when_money_came_from_nothing(story, bank):
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", {"ben": 100})
    whole = bank.ledger()
    (finding,) = Conserved().check(bank.close(story, replace(whole, accounts=whole.accounts[1:])))
    assert finding.summary == "900 is gone"
    (finding,) = Conserved().check(bank.close(story))
    assert finding.summary == "100 came from nothing"
    assert finding.measures == {"total_before": 3000, "total_after": 3100}


def test_fails_when_an_account_is_gone_though_the_total_is_right(story, bank):
    bank.opening["dan"] = 0
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", PAY)
    whole = bank.ledger()
    (finding,) = Conserved().check(bank.close(story, replace(whole, accounts=whole.accounts[:-1])))
    assert (finding.outcome, finding.summary) == (Result.FAILED, "1 account gone")


def test_an_account_that_was_opened_empty_is_fine(story, bank):
    story.operation(1, key="k1", legs={"ada": -100, "vault": 100})
    bank.book("k1", {"ada": -100, "vault": 100})
    (finding,) = Conserved().check(bank.close(story))
    assert finding.outcome is Result.PASSED


def test_proves_nothing_when_nothing_moved(story, bank):
    story.operation(1, key="k1", legs=PAY)
    (finding,) = Conserved().check(bank.close(story))
    assert finding.outcome is Result.INCONCLUSIVE
