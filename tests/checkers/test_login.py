from dataclasses import replace

import pytest

from chaoskit.checkers.login import Login
from chaoskit.model.history import Credentials
from chaoskit.model.verdict import Result

REFUSED = {"status": 401}


@pytest.fixture
def door(story):
    return Door(story)


class Door:
    """Who asked to come in, and by what."""

    def __init__(self, story):
        self.story = story

    def ask(self, at, *attempts, status=401, took=0.01, **credentials):
        attempts = attempts or ("fail",)
        made = self.story.operation(at, *attempts, journey="login", status=status if "fail" in attempts else 200, took=took)
        self.story.operations[-1] = replace(made, credentials=Credentials(**credentials))

    def wrong(self, at, *attempts, customer="ada", **how):
        self.ask(at, *attempts, customer=customer, secret="wrong", **how)

    def right(self, at, *attempts, customer="ada", **how):
        self.ask(at, *(attempts or ("ok",)), customer=customer, secret="right", **how)

    def end(self, at, *attempts, session="s1", **how):
        self.ask(at, *(attempts or ("ok",)), customer="ada", session=session, ends=True, **how)

    def use(self, at, *attempts, session="s1", **how):
        self.ask(at, *(attempts or ("ok",)), customer="ada", session=session, **how)

    def check(self, **parameters):
        (finding,) = Login(**parameters).check(self.story.history())
        assert finding.safety
        return finding


def test_passes_when_everybody_who_may_not_come_in_was_refused(door):
    for at in (1, 2, 3):
        door.wrong(at)
    door.right(4, "fail", status=423)
    door.right(4, customer="ben")
    door.use(5)
    door.end(6)
    door.use(7, "fail")
    finding = door.check()
    assert finding.outcome is Result.PASSED
    assert finding.summary == "refused: 3 wrong secrets, 1 ended session, 1 right secret after a lockout"


def test_fails_when_a_wrong_secret_was_accepted(door):
    door.wrong(1, "ok")
    finding = door.check()
    assert finding.outcome is Result.FAILED
    assert finding.evidence == ("ada (login, operation 1, answered at 0.0 s) was let in by a wrong secret",)
    assert finding.measures["wrong_secrets_accepted"] == 1
    assert finding.summary == "let in who may not come in: 1 by a wrong secret, 0 by an ended session, 0 after their lockout"


def test_fails_when_an_ended_session_was_accepted(door):
    door.end(1)
    door.use(2, "fail", "ok")
    finding = door.check()
    assert finding.outcome is Result.FAILED
    assert finding.evidence == (
        "ada (login, operation 2, answered at 1.0 s) was let in by session s1, whose end had been confirmed at 0.0 s (operation 1)",
    )
    assert finding.measures["ended_sessions_accepted"] == 1


def test_fails_when_a_right_secret_was_accepted_after_too_many_wrong_ones(door):
    for at in (1, 2, 3):
        door.wrong(at)
    door.right(4)
    finding = door.check()
    assert finding.outcome is Result.FAILED
    assert finding.evidence == ("ada (login, operation 4, answered at 3.0 s) was let in after 3 wrong secrets had been refused",)
    assert door.check(tries=4).outcome is Result.PASSED, "the bank allows more"


@pytest.mark.parametrize(
    "end, use",
    [
        ({"attempts": ("info",)}, {"at": 2}),  # nobody was told that it ended
        ({"attempts": ("fail",)}, {"at": 2}),
        ({"attempts": ()}, {"at": 1}),  # it was asked for before the end was confirmed
        ({"attempts": ()}, {"at": 1.01}),  # at the same moment
        ({"attempts": ()}, {"at": 2, "session": "s2"}),  # another one
    ],
)
def test_a_session_is_over_only_for_who_asks_after_its_end_was_confirmed(door, end, use):
    door.wrong(0)
    door.end(1, *end["attempts"], took=0.01)
    door.use(**use)
    assert door.check().outcome is Result.PASSED


@pytest.mark.parametrize(
    "third",
    [
        lambda door: door.wrong(3, "info"),  # it may not have been counted
        lambda door: door.wrong(3, "fail", status=503),  # it was turned away before anybody looked at it
        lambda door: door.wrong(3, customer="ben"),
        lambda door: door.wrong(3, took=1.5),  # still under way when the right one was asked
        lambda door: None,
    ],
)
def test_only_wrong_secrets_that_were_refused_as_such_lock_a_customer_out(door, third):
    door.wrong(1)
    door.wrong(2)
    third(door)
    door.right(4)
    assert door.check().outcome is Result.PASSED


@pytest.mark.parametrize("attempts", [("ok",), ("info",)])
def test_a_right_secret_in_between_may_set_the_count_back(door, attempts):
    door.wrong(1)
    door.wrong(2)
    door.right(2.5, *attempts, took=1.0)
    door.wrong(3)
    door.right(4)
    assert door.check().outcome is Result.PASSED


def test_a_right_secret_that_was_turned_away_sets_nothing_back(door):
    door.wrong(1)
    door.wrong(2)
    door.right(2.5, "fail", status=503)
    door.wrong(3)
    door.right(4)
    assert door.check().measures["locks_lost"] == 1


def test_proves_nothing_when_nobody_who_may_not_come_in_was_refused(door):
    door.right(1)
    door.use(2)
    door.wrong(3, "fail", status=503)
    door.end(4)
    door.use(5, "info")
    finding = door.check()
    assert finding.outcome is Result.INCONCLUSIVE
    assert finding.summary == "nobody tried a wrong secret or an ended session and was refused"


def test_a_demand_that_nothing_can_miss_is_refused():
    with pytest.raises(ValueError, match="tries is 0; expected at least 1"):
        Login(tries=0)
