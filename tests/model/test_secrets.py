"""What is replaced, in whatever clothes it comes, and what is left alone."""

import base64
import html
import json
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

import pytest

from chaoskit.model.secrets import MARK, NO_SECRETS, Secrets, url_passwords, why_unfit, without_url_passwords
from chaoskit.model.verdict import Finding, Result

VALUE = "pä5s w/o'rd&\"X<"
SECRETS = Secrets((VALUE,))


@pytest.mark.parametrize(
    "dressed",
    [
        VALUE,
        quote(VALUE),
        quote(VALUE, safe=""),
        quote(VALUE, safe="").replace("%C3%A4", "%c3%a4").replace("%2F", "%2f").replace("%3C", "%3c"),
        quote_plus(VALUE),
        json.dumps(VALUE),
        json.dumps(VALUE, ensure_ascii=False),
        repr(VALUE),
        repr(VALUE.encode()),
        html.escape(VALUE),
        VALUE.replace("'", "'\"'\"'"),
        *(
            base64.b64encode(user + b":" + VALUE.encode() + after).decode()
            for user in (b"", b"a", b"ab")
            for after in (b"", b"@", b"@h")
        ),
        base64.urlsafe_b64encode(VALUE.encode()).decode(),
    ],
)
def test_a_secret_is_replaced_in_every_dress(dressed):
    shown = SECRETS.redact(f"before {dressed} after")
    assert dressed not in shown
    assert MARK in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert SECRETS.redact_bytes(b"\xff " + dressed.encode()) == b"\xff " + shown[7:-6].encode()


def test_every_occurrence_is_replaced_and_nothing_else():
    assert Secrets(("hunter22",)).redact("hunter22 and hunter22, not hunter2") == "*** and ***, not hunter2"


def test_a_secret_that_holds_another_one_is_replaced_whole():
    assert Secrets(("inner", "outer-inner-outer")).redact("x outer-inner-outer y inner") == "x *** y ***"


def test_a_secret_that_was_cut_off_is_replaced_too():
    secrets = Secrets(("a-long-secret-value",))
    assert secrets.redact("answer: a-long-secret-v") == "answer: ***"
    assert secrets.redact("'a-long-secret-...'") == "'***...'"
    assert secrets.redact("'a-long-secret-v...' is not 'a-long-secret… nor") == "'***...' is not '***… nor"
    assert secrets.redact("a-long-secretary came") == "a-long-secretary came"
    assert secrets.redact("a-long-secretary") == "a-long-secretary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    name: str
    count: int
    derived: str = field(init=False, default="x")


def test_data_keeps_its_shape():
    data = {"hunter22": ["hunter22", 1, None, True, 2.5], "t": ("x", {"y": "hunter22"})}
    assert Secrets(("hunter22",)).redacted(data) == {MARK: [MARK, 1, None, True, 2.5], "t": ("x", {"y": MARK})}
    assert Secrets(("hunter22",)).redacted(Row(name="hunter22", count=3)) == Row(name=MARK, count=3)


def test_a_number_of_the_record_is_left_alone_and_one_that_is_the_secret_is_not():
    secrets = Secrets(("12345678",))
    assert secrets.redacted({"at_ns": 1234567812345678, "pin": 12345678}) == {"at_ns": 1234567812345678, "pin": MARK}


def test_words_of_the_verdict_are_not_text():
    finding = Finding(checker="hunter22", outcome=Result.PASSED, summary="hunter22")
    assert Secrets(("hunter22", "passed")).redacted(finding) == Finding(checker=MARK, outcome=Result.PASSED, summary=MARK)


def test_an_error_loses_it_with_all_that_it_came_from():
    error = ValueError("no hunter22", {"x": "hunter22"})
    error.__cause__ = KeyError("hunter22")
    Secrets(("hunter22",)).scrub(error)
    assert error.args == ("no ***", {"x": MARK})
    assert error.__cause__.args == (MARK,)


def test_the_value_does_not_show_itself():
    assert "hunter22" not in repr(Secrets(("hunter22",)))
    assert not NO_SECRETS
    assert NO_SECRETS.redact("hunter22") == "hunter22"


@pytest.mark.parametrize("value", ["abc", "  abc ", "123456", "12:34", "a\nlong secret", "nul\0byte"])
def test_what_could_spoil_the_record_is_no_secret(value):
    assert why_unfit(value)


@pytest.mark.parametrize("value", ["abcd", "12345678", "p w d", "Größe"])
def test_what_can_be_told_apart_may_be_a_secret(value):
    assert why_unfit(value) == ""


def test_passwords_of_urls():
    text = "postgresql://app:p%40ss@db:5432/x, amqp://:q@q@mq and http://user@h/a:b@c http://h:80/x@y"
    assert url_passwords(text) == ("p%40ss", "q@q")
    assert without_url_passwords(text) == "postgresql://app:***@db:5432/x, amqp://:***@mq and http://user@h/a:b@c http://h:80/x@y"


@pytest.mark.parametrize("password", ["it's", "a:b", "x@y", "(p$w)!", "p%2Fw", "größe"])
def test_a_password_may_hold_what_urls_allow_and_what_people_do(password):
    assert url_passwords(f"redis://:{password}@h and 'amqp://u:{password}@mq/x'") == (password,)


def test_what_is_no_password_is_none():
    text = "http://h:80, 'http://h:80', 'a@b' \"http://h:80\",\"a@b\" http://h/a:b@c mailto:a@b http://user@h ssh://h:22/x@y"
    assert url_passwords(text) == ()


def test_the_plain_form_of_a_quoted_password_is_replaced_too():
    assert Secrets(("p%40ss",)).redact("password 'p@ss'") == "password '***'"
