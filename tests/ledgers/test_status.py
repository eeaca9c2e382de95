"""A service that can only be asked about one key after the other."""

import socket

import pytest

from chaoskit.ledgers import StatusLedger
from chaoskit.model.errors import NotReady, UnreadableLedger, UsageError
from chaoskit.model.topology import Evidence

WORDS = {"settled": "applied", "rejected": "refused", "cancelled": "tombstone", "pending": "open"}
SOON_S = 0.3


@pytest.fixture
def ledger(service):
    def make(**more):
        return StatusLedger(service.url, **{"field": "payment.state", "words": WORDS, **more})

    return make


def test_it_says_of_each_key_what_became_of_it_and_nothing_else(ledger, service):
    service.says(k1="settled", k2="rejected")
    state = ledger().read(("k1", "k2", "k3"), timeout_s=5)
    assert state.keys == {"k1": "applied", "k2": "refused", "k3": "absent"}
    assert (state.accounts, state.postings, state.lacks) == ((), (), frozenset(Evidence) - {Evidence.KEYS})
    assert ledger().open_transactions(timeout_s=5) is None
    assert ledger().digests(timeout_s=5) == {}


def test_without_a_field_the_status_alone_says_it(service):
    service.answers["k1"] = (200, b"fine")
    assert StatusLedger(service.url).read(("k1", "k2"), timeout_s=5).keys == {"k1": "applied", "k2": "absent"}


def test_many_keys_are_asked_about_side_by_side_and_come_in_order(ledger, service):
    keys = tuple(f"k{number}" for number in range(100))
    service.says(**dict.fromkeys(keys, "settled"))
    assert list(ledger().read(keys, timeout_s=30).keys) == list(keys)


def test_a_key_is_quoted_and_headers_go_along(ledger, service):
    ledger(headers={"Authorization": "Bearer t"}).read(("a/b c",), timeout_s=5)
    assert service.asked == [("/payments/a%2Fb%20c", "Bearer t")]


def test_what_may_still_change_is_waited_for(ledger, service):
    pending, settled = (200, {"payment": {"state": "pending"}}), (200, {"payment": {"state": "settled"}})
    service.answers["k1"] = [pending, pending, settled]
    assert ledger().read(("k1",), timeout_s=10).keys == {"k1": "applied"}
    service.answers["k1"] = pending
    with pytest.raises(NotReady, match=r"could not ask about keys within 0.3 s: 1 keys are still open, such as 'k1'"):
        ledger().read(("k1",), timeout_s=SOON_S)


def test_only_what_is_definite_is_settled(ledger, service):
    service.says(k1="settled", k2="rejected", k3="pending")
    assert ledger().settle(("k1", "k2", "k3", "k4"), timeout_s=5) == {"k1": "applied", "k2": "refused"}
    assert ledger().settle((), timeout_s=5) == {}


def test_a_key_can_be_closed_where_the_service_can(ledger, service):
    service.says(k1="settled")
    it = ledger(close=("DELETE", service.url))
    assert it.settle(("k1", "k4"), timeout_s=5) == {"k1": "applied", "k4": "tombstone"}
    assert Evidence.CLOSED_KEYS not in it.read(("k1",), timeout_s=5).lacks
    # One that forgets what was cancelled answers as for a key that never was: it is closed all the same.
    gone = StatusLedger(service.url, field="payment.state", words=WORDS, close=("DELETE", service.url.replace("payments", "other")))
    assert gone.settle(("k5",), timeout_s=5) == {"k5": "tombstone"}


@pytest.mark.parametrize(
    "answer, message",
    [
        ((200, {"payment": {"state": "lost"}}), "'lost' was given as payment.state of key 'k1'"),
        ((200, {"payment": {"state": 7}}), "7 was given as payment.state of key 'k1'"),
        ((200, {"payment": "settled"}), "None was given as payment.state of key 'k1'"),
        ((200, b"<html>"), "None was given as payment.state of key 'k1' (HTTP 200: b'<html>'); expected one of settled, rejected"),
        (
            (403, b"who are you"),
            "HTTP 403 was given for key 'k1': b'who are you'; expected 200 to 299, or one of absent: (404, 410)",
        ),
        ((301, b""), "HTTP 301 was given for key 'k1'"),
    ],
)
def test_an_answer_that_nobody_has_said_the_meaning_of_is_an_error(ledger, service, answer, message):
    service.answers["k1"] = answer
    with pytest.raises(UnreadableLedger) as caught:
        ledger().read(("k1",), timeout_s=30)
    assert message in str(caught.value)


def test_a_service_in_trouble_is_waited_for(ledger, service):
    service.answers["k1"] = [(503, b"busy"), (200, {"payment": {"state": "settled"}})]
    assert ledger().read(("k1",), timeout_s=10).keys == {"k1": "applied"}
    service.answers["k1"] = (503, b"busy")
    with pytest.raises(NotReady, match=r"HTTP 503 was given for key 'k1': b'busy'"):
        ledger().settle(("k1",), timeout_s=SOON_S)


def test_a_service_that_is_away_is_an_error_that_says_so():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(NotReady, match=r"status endpoint: could not ask about keys within 0.3 s: ConnectionRefusedError"):
        StatusLedger(f"http://127.0.0.1:{port}/{{key}}").read(("k1",), timeout_s=SOON_S)


@pytest.mark.parametrize(
    "url, more, message",
    [
        (
            "http://127.0.0.1/payments",
            {},
            r"'http://127.0.0.1/payments' was given as a URL; expected http://HOST:PORT/PATH with {key} in it",
        ),
        ("127.0.0.1/{key}", {}, "was given as a URL"),
        ("http://h/{key}", {"close": ("DELETE", "http://h/")}, "'http://h/' was given as a URL"),
        ("http://h/{key}", {"field": "state"}, "give field and words together"),
        ("http://h/{key}", {"words": WORDS}, "give field and words together"),
        (
            "http://h/{key}",
            {"field": "state", "words": {"x": "done"}},
            "words mean 'done'; expected applied, refused, tombstone, open",
        ),
    ],
)
def test_a_call_that_makes_no_sense_is_an_error(url, more, message):
    with pytest.raises(UsageError) as caught:
        StatusLedger(url, **more)
    assert message in str(caught.value)
