import pytest

from chaoskit.loads.outcome import BY_STATUS, BY_TROUBLE, UNLISTED, Trouble, judge
from chaoskit.model.history import Outcome


@pytest.mark.parametrize(
    "status, content, outcome, why",
    [
        (200, b'{"balance":5}', Outcome.OK, ""),
        (201, b"{}", Outcome.OK, ""),
        (200, b"", Outcome.INFO, "HTTP 200 with an empty body"),
        (200, b"{", Outcome.INFO, "HTTP 200 with a body that is no JSON object"),
        (200, b"[1]", Outcome.INFO, "HTTP 200 with a body that is no JSON object"),
        (302, b"", Outcome.INFO, "HTTP 302"),
        (400, b"", Outcome.FAIL, "HTTP 400"),
        (401, b"", Outcome.FAIL, "HTTP 401"),
        (403, b"", Outcome.FAIL, "HTTP 403"),
        (404, b"", Outcome.FAIL, "HTTP 404"),
        (409, b"", Outcome.FAIL, "HTTP 409"),
        (422, b'{"error":"funds"}', Outcome.FAIL, "HTTP 422: funds"),
        (408, b"", Outcome.INFO, "HTTP 408"),
        (418, b"", Outcome.INFO, "HTTP 418"),
        (425, b"", Outcome.INFO, "HTTP 425"),
        (429, b"", Outcome.INFO, "HTTP 429"),
        (499, b"", Outcome.INFO, "HTTP 499"),
        (500, b"oops", Outcome.INFO, "HTTP 500"),
        (503, b'{"effect":"none","why":"read-only"}', Outcome.FAIL, "HTTP 503: read-only"),
        (503, b'{"effect":"some"}', Outcome.INFO, "HTTP 503"),
        (200, b'{"effect":"none"}', Outcome.FAIL, "HTTP 200"),
    ],
)
def test_an_answer_is_judged_by_the_table(status: int, content: bytes, outcome: Outcome, why: str) -> None:
    judged = judge(status, content)
    assert (judged.rule.outcome, judged.why) == (outcome, why)


@pytest.mark.parametrize(
    "content, warned, outcome, why",
    [
        (b'{"warning":"not copied"}', Outcome.OK, Outcome.OK, ""),
        (b'{"warning":"not copied"}', Outcome.INFO, Outcome.INFO, "HTTP 200 with a warning: not copied"),
        (b'{"warning":""}', Outcome.INFO, Outcome.OK, ""),
        (b'{"effect":"none","warning":"slow"}', Outcome.INFO, Outcome.FAIL, "HTTP 200"),
    ],
)
def test_done_with_a_warning_is_what_the_document_says(content: bytes, warned: Outcome, outcome: Outcome, why: str) -> None:
    judged = judge(200, content, warned=warned)
    assert (judged.rule.outcome, judged.why) == (outcome, why)
    assert judged.body, "the warning stays in the record"


def test_only_trouble_before_the_first_byte_is_surely_without_effect() -> None:
    surely = {trouble for trouble in Trouble if BY_TROUBLE[trouble].outcome is Outcome.FAIL}
    assert surely == {Trouble.REFUSED, Trouble.UNREACHABLE, Trouble.NO_CONNECTION_IN_TIME}
    assert Outcome.OK not in {rule.outcome for rule in BY_TROUBLE.values()}


def test_every_row_names_its_source() -> None:
    assert all(rule.source for rule in (*BY_TROUBLE.values(), *BY_STATUS.values(), UNLISTED))


def test_a_long_reason_does_not_fill_the_history() -> None:
    assert len(judge(500, b'{"error":"' + b"x" * 10_000 + b'"}').why) < 250
