"""What stands beside a verdict: a certificate only where the whole of the money was judged and is right, a witness where it is not."""

from contextlib import suppress

import pytest

from chaoskit import wiring
from chaoskit.checkers.money import MONEY
from chaoskit.model.errors import NotExercised
from chaoskit.model.verdict import Finding, Result, Verdict

NEEDED = [check.name for check in MONEY if not getattr(check, "if_any", False)]


class Folder:
    """A run folder that only takes what is written. Its history cannot be told, so asking for one shows that it was asked for."""

    slug, path = "run", "runs/run"

    def __init__(self):
        self.was_read = False

    def write_junit(self, text):
        pass

    def write_evidence(self, name, evidence):
        pass

    def read_history(self):
        self.was_read = True
        raise NotExercised("there is no history here")


def asks_for_evidence(*findings):
    folder = Folder()
    with suppress(NotExercised):
        wiring.report(Verdict(result=Result.PASSED, findings=findings), folder)
    return folder.was_read


def finding(checker, outcome=Result.PASSED, *evidence):
    return Finding(checker=checker, outcome=outcome, summary="", evidence=evidence, safety=True)


def test_all_of_the_money_is_certified():
    assert asks_for_evidence(*map(finding, NEEDED))
    assert asks_for_evidence(*map(finding, [*NEEDED, "cash", "login"]))


@pytest.mark.parametrize("checkers", [["login"], ["conserved"], NEEDED[1:], []])
def test_a_part_of_the_money_is_not_certified(checkers):
    """A bank that takes a payment twice passes `conserved`, and has an order that a certificate would tell."""
    assert not asks_for_evidence(*map(finding, checkers))


def test_what_is_not_known_to_be_right_is_not_certified():
    assert not asks_for_evidence(*map(finding, NEEDED), finding("login", Result.INCONCLUSIVE))


def test_a_violation_has_a_witness():
    assert asks_for_evidence(finding("login", Result.FAILED, "somebody was let in"))
