"""What every ledger must do, as a test class. Whoever writes a ledger, or queries for one, inherits it and gives two fixtures:

    class TestMine(LedgerContract):
        @pytest.fixture
        def ledger(self): ...   # a ledger in which nobody has paid yet
        @pytest.fixture
        def pay(self, ledger): ...   # a function of a key: what the service does when a payment with that key arrives

pytest is not needed to import this, and a check of what a ledger says it cannot do is skipped by its name.
"""

from __future__ import annotations

import json
import unittest
from collections.abc import Callable

from chaoskit.model.history import ledger_events, read_history
from chaoskit.model.topology import Evidence, Ledger

WITHIN_S = 10.0
"""A ledger answers in milliseconds; this is for a starved machine."""
Pay = Callable[[str], object]
ALL = ("paid", "again", "never", "late")


class LedgerContract:
    """Reading shows each payment once and changes nothing; settling is definite or silent; what is lacking is named and empty."""

    def test_two_reads_with_nothing_between_them_are_equal(self, ledger: Ledger, pay: Pay) -> None:
        pay("paid")
        assert ledger.read(ALL, timeout_s=WITHIN_S) == ledger.read(ALL, timeout_s=WITHIN_S)

    def test_a_payment_is_read_under_its_key_and_no_other_one_is(self, ledger: Ledger, pay: Pay) -> None:
        before = ledger.read(ALL, timeout_s=WITHIN_S)
        pay("paid")
        after = ledger.read(ALL, timeout_s=WITHIN_S)
        assert before != after
        _needs(Evidence.KEYS, ledger)
        assert before.applied_keys == set()
        assert after.applied_keys == {"paid"}

    def test_a_second_payment_changes_nothing_of_the_first(self, ledger: Ledger, pay: Pay) -> None:
        _needs(Evidence.POSTINGS, ledger)
        pay("paid")
        first = ledger.read(ALL, timeout_s=WITHIN_S)
        pay("again")
        second = ledger.read(ALL, timeout_s=WITHIN_S)
        assert set(first.postings) < set(second.postings)

    def test_balances_move_by_what_is_posted(self, ledger: Ledger, pay: Pay) -> None:
        _needs(Evidence.POSTINGS, ledger)
        _needs(Evidence.BALANCES, ledger)
        before = {one.account: one.balance for one in ledger.read(timeout_s=WITHIN_S).accounts}
        pay("paid")
        state = ledger.read(timeout_s=WITHIN_S)
        for posting in state.postings:
            before[posting.account] += posting.amount
        assert {one.account: one.balance for one in state.accounts} == before

    def test_versions_count_the_postings_of_each_account(self, ledger: Ledger, pay: Pay) -> None:
        _needs(Evidence.VERSIONS, ledger)
        pay("paid")
        pay("again")
        state = ledger.read(timeout_s=WITHIN_S)
        for account in {posting.account for posting in state.postings}:
            versions = sorted(posting.version for posting in state.postings if posting.account == account)
            assert versions == list(range(1, len(versions) + 1)), account
            if Evidence.ACCOUNT_VERSIONS not in state.lacks:
                assert [one.version for one in state.accounts if one.account == account] == [len(versions)]

    def test_settling_says_what_was_applied_and_is_silent_about_what_may_still_come(self, ledger: Ledger, pay: Pay) -> None:
        pay("paid")
        assert dict(ledger.settle((), timeout_s=WITHIN_S)) == {}
        _needs(Evidence.KEYS, ledger)
        closes = Evidence.CLOSED_KEYS not in ledger.read(ALL, timeout_s=WITHIN_S).lacks
        settled = dict(ledger.settle(("paid", "never"), timeout_s=WITHIN_S))
        assert settled == {"paid": "applied"} | ({"never": "tombstone"} if closes else {})
        assert dict(ledger.settle(("paid", "never"), timeout_s=WITHIN_S)) == settled, "it may be asked again"

    def test_what_arrives_under_a_closed_key_has_no_effect(self, ledger: Ledger, pay: Pay) -> None:
        _needs(Evidence.CLOSED_KEYS, ledger)
        before = ledger.read(ALL, timeout_s=WITHIN_S)
        assert dict(ledger.settle(("late",), timeout_s=WITHIN_S)) == {"late": "tombstone"}
        pay("late")
        after = ledger.read(ALL, timeout_s=WITHIN_S)
        assert (after.accounts, after.postings) == (before.accounts, before.postings)
        assert after.applied_keys == set()

    def test_nothing_is_open_when_nobody_does_anything(self, ledger: Ledger, pay: Pay) -> None:
        pay("paid")
        expected = None if Evidence.FENCE in ledger.read(timeout_s=WITHIN_S).lacks else 0
        assert ledger.open_transactions(timeout_s=WITHIN_S) == expected

    def test_copies_that_answer_are_equal(self, ledger: Ledger, pay: Pay) -> None:
        pay("paid")
        assert len(set(ledger.digests(timeout_s=WITHIN_S).values())) <= 1

    def test_what_it_lacks_is_empty_and_what_it_has_is_not(self, ledger: Ledger, pay: Pay) -> None:
        pay("paid")
        state = ledger.read(ALL, timeout_s=WITHIN_S)
        shown = {
            Evidence.KEYS: state.applied_keys,
            Evidence.BALANCES: [one.balance for one in state.accounts],
            Evidence.ACCOUNT_VERSIONS: [one.version for one in state.accounts],
            Evidence.POSTINGS: state.postings,
            Evidence.POSTING_KEYS: [one.key for one in state.postings],
            Evidence.VERSIONS: [one.version for one in state.postings],
        }
        for evidence, values in shown.items():
            assert any(values) is (evidence not in state.lacks), evidence.value
        if Evidence.BALANCES_AFTER in state.lacks:
            assert not any(one.balance_after for one in state.postings)

    def test_it_can_be_recorded_and_read_back(self, ledger: Ledger, pay: Pay) -> None:
        pay("paid")
        state = ledger.read(ALL, timeout_s=WITHIN_S)
        final = read_history([json.dumps(event) for event in ledger_events(state, read=1)]).final
        assert final is not None
        assert final.first == state


def _needs(evidence: Evidence, ledger: Ledger) -> None:
    """Skip by name what the ledger says it lacks."""
    if evidence in ledger.read(timeout_s=WITHIN_S).lacks:
        raise unittest.SkipTest(f"the ledger says it does not show {evidence.value}")
