from dataclasses import replace

import pytest

from chaoskit.checkers.money import VersionChain
from chaoskit.model.verdict import Result

PAY = {"ada": -100, "ben": 100}


@pytest.fixture
def paid(story, bank):
    for number in (1, 2, 3):
        story.operation(number, key=f"k{number}", legs=PAY)
        bank.book(f"k{number}", PAY)
    return story


def test_passes_when_every_account_has_one_history(paid, bank):
    bank.digests = {"ledger-db-1": "abc", "ledger-db-2": "abc"}
    (finding,) = VersionChain().check(bank.close(paid))
    assert finding.outcome is Result.PASSED
    assert finding.summary == "3 accounts, each with one unbroken history, and 2 copies of the ledger agree"


@pytest.mark.parametrize(
    "change, evidence",
    [
        ({"version": 1}, "account ada has version 1 twice (transaction t2, key k2)"),
        ({"version": 9}, "account ada has no version 2 (transaction t3, key k3)"),
        ({"balance_after": 850}, "account ada stood at 850 after version 2 (key k2), but 900 and -100 make 800"),
    ],
)
def test_fails_at_the_first_break_of_an_account(paid, bank, change, evidence):
    whole = bank.ledger()
    postings = tuple(
        replace(posting, **change) if (posting.account, posting.version) == ("ada", 2) else posting for posting in whole.postings
    )
    (finding,) = VersionChain().check(bank.close(paid, replace(whole, postings=postings)))
    assert finding.outcome is Result.FAILED
    assert finding.evidence == (evidence,)


def test_fails_when_an_account_stands_at_another_version(paid, bank):
    whole = bank.ledger()
    ada, *others = whole.accounts
    (finding,) = VersionChain().check(bank.close(paid, replace(whole, accounts=(replace(ada, version=4), *others))))
    assert finding.evidence == ("account ada stands at version 4, but has 3 postings",)


def test_fails_when_copies_of_the_ledger_differ(paid, bank):
    bank.digests = {"ledger-db-1": "abc", "ledger-db-2": "abd"}
    (finding,) = VersionChain().check(bank.close(paid))
    assert finding.evidence == ("the copies of the ledger differ: ledger-db-1 abc, ledger-db-2 abd",)


def test_one_copy_agrees_with_nobody(paid, bank):
    bank.digests = {"ledger-db-1": "abc"}
    (finding,) = VersionChain().check(bank.close(paid))
    assert finding.summary == "3 accounts, each with one unbroken history"
    assert finding.measures == {"breaks": 0, "copies_compared": 1}


def test_proves_nothing_when_the_ledger_is_empty(story, bank):
    story.operation(1, key="k1", legs=PAY)
    (finding,) = VersionChain().check(bank.close(story))
    assert finding.outcome is Result.INCONCLUSIVE


def test_copies_that_differ_are_named_before_breaks_and_by_the_beginning_of_what_they_hold(paid, bank):
    bank.digests = {"ledger-db-1": "0123456789abcdef", "ledger-db-2": "fedcba9876543210"}
    whole = bank.ledger()
    ada, *others = whole.accounts
    (finding,) = VersionChain().check(bank.close(paid, replace(whole, accounts=(replace(ada, version=4), *others))))
    assert finding.summary == "2 breaks in the history of accounts or between copies"
    assert finding.evidence == (
        "the copies of the ledger differ: ledger-db-1 0123456789ab, ledger-db-2 fedcba987654",
        "account ada stands at version 4, but has 3 postings",
    )
