from dataclasses import replace

import pytest

from chaoskit.checkers.money import NoPhantom
from chaoskit.model.verdict import Result

PAY = {"ada": -100, "ben": 100}


def test_passes_when_every_posting_was_asked_for(story, bank):
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", PAY)
    (finding,) = NoPhantom().check(bank.close(story))
    assert (finding.outcome, finding.summary) == (Result.PASSED, "2 postings, each of them asked for")


@pytest.mark.parametrize(
    "key, done, evidence",
    [
        ("k9", PAY, "transaction t1 posted ada -100, ben +100 under key 'k9', which no customer sent"),
        ("k1", {"ada": -101, "ben": 101}, "transaction t1 posted ada -101, ben +101 but was asked for 100 from ada to ben"),
        ("k1", {"ada": -100, "cid": 100}, "transaction t1 posted ada -100, cid +100 but was asked for 100 from ada to ben"),
    ],
)
def test_fails_when_one_was_not(story, bank, key, done, evidence):
    story.operation(1, key="k1", legs=PAY)
    bank.book(key, done)
    (finding,) = NoPhantom().check(bank.close(story))
    assert finding.outcome is Result.FAILED
    assert finding.evidence[0].startswith(evidence)


def test_either_of_two_requests_of_one_key_may_have_been_done(story, bank):
    story.operation(1, key="k1", legs=PAY)
    story.operation(1, "fail", key="k1", legs={"ada": -5, "cid": 5}, status=409)
    bank.book("k1", PAY)
    (finding,) = NoPhantom().check(bank.close(story))
    assert finding.outcome is Result.PASSED


def test_proves_nothing_on_a_record_that_is_not_whole(story, bank):
    story.operation(1, key="k1", legs=PAY)
    bank.book("k9", PAY)
    (finding,) = NoPhantom().check(bank.close(story, complete=False))
    assert finding.outcome is Result.INCONCLUSIVE


@pytest.mark.parametrize(
    "done, says",
    [
        ({"ada": 1, "ben": -1}, "posted ada +1, ben -1 under"),
        ({"ada": 0}, "posted nothing in sum under"),
    ],
)
def test_says_what_was_posted(story, bank, done, says):
    story.operation(1, key="k1", legs=PAY)
    bank.book("k9", done)
    (finding,) = NoPhantom().check(bank.close(story))
    assert finding.evidence == (f"transaction t1 {says} key 'k9', which no customer sent",)


def test_what_nobody_asked_for_is_found_behind_what_was_there_before_the_run(story, bank):
    story.operation(1, key="k1", legs=PAY)
    for key in ("k0", "k1", "k9", "k8"):
        bank.book(key, PAY)
    (finding,) = NoPhantom().check(bank.close(story, earlier=frozenset({("t1", "k0")})))
    assert finding.summary == "2 transactions did what no customer asked for"
    assert [said.split()[1] for said in finding.evidence] == ["t3", "t4"]


def test_an_amount_in_two_postings_of_one_account_is_what_was_asked_for(story, bank):
    story.operation(1, key="k1", legs=PAY)
    bank.book("k1", PAY)
    whole = bank.ledger()
    ada, ben = whole.postings
    parts = (replace(ada, amount=-40, balance_after=960), replace(ada, amount=-60, version=2))
    (finding,) = NoPhantom().check(bank.close(story, replace(whole, postings=(*parts, ben))))
    assert (finding.outcome, finding.summary) == (Result.PASSED, "3 postings, each of them asked for")
