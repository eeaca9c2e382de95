from dataclasses import replace

from chaoskit.checkers.money import BalanceIsLedger, Conserved
from chaoskit.model.verdict import Result

PAY = {"ada": -100, "ben": 100}


def test_passes_when_balances_follow_from_postings(story, bank):
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", PAY)
    (finding,) = BalanceIsLedger().check(bank.close(story))
    assert finding.summary == "3 accounts, each with the balance that its postings make"
    assert finding.outcome is Result.PASSED


def test_fails_when_an_update_was_lost_though_the_total_is_right(story, bank):
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", PAY)
    whole = bank.ledger()
    ada, ben, cid = whole.accounts
    spoilt = replace(whole, accounts=(replace(ada, balance=1000), replace(ben, balance=1000), cid))
    history = bank.close(story, spoilt)
    (finding,) = BalanceIsLedger().check(history)
    assert finding.outcome is Result.FAILED
    assert finding.evidence == (
        "account ada shows 1,000, but its postings make 900",
        "account ben shows 1,000, but its postings make 1,100",
    )
    assert Conserved().check(history)[0].outcome is Result.PASSED


def test_fails_when_postings_are_of_an_account_that_is_not_there(story, bank):
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", PAY)
    whole = bank.ledger()
    (finding,) = BalanceIsLedger().check(bank.close(story, replace(whole, accounts=whole.accounts[1:])))
    assert finding.evidence == ("account ada is not in the ledger, but its postings make 900",)
    assert finding.measures == {"accounts_off": 1, "amount_off": 900}


def test_proves_nothing_when_the_ledger_is_empty(story, bank):
    story.operation(1, key="k1", legs=PAY)
    (finding,) = BalanceIsLedger().check(bank.close(story))
    assert finding.outcome is Result.INCONCLUSIVE


def test_fails_when_an_account_holds_what_nobody_ever_paid_in_and_names_what_is_furthest_off_first(story, bank):
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", PAY)
    whole = bank.ledger()
    ada, ben, cid = whole.accounts
    accounts = (
        ada,
        replace(ben, balance=1101),
        cid,
        replace(cid, account="eve", balance=7),
        replace(cid, account="dan", balance=0),
    )
    (finding,) = BalanceIsLedger().check(bank.close(story, replace(whole, accounts=accounts)))
    assert finding.summary == "2 of 5 accounts with another balance than the postings make"
    assert finding.evidence == (
        "account eve shows 7, but its postings make 0",
        "account ben shows 1,101, but its postings make 1,100",
    )
    assert finding.measures == {"accounts_off": 2, "amount_off": 8}
