"""`!secret NAME` and passwords of URLs: used by the run, shown by nobody, and read again when they are long gone."""

import pytest

from chaoskit.documents import read_text
from chaoskit.model.errors import InvalidDocument
from chaoskit.model.secrets import MARK

MARKER = "m4rker-0f-a-secret"
ENVIRON = {"TOKEN": MARKER, "SHORT": "abc", "PIN": "123456", "NAME": "tock", "EMPTY": "", "URL": f"amqp://u:{MARKER}@mq:5672/"}


@pytest.fixture
def problems(read):
    def found(text, **more):
        with pytest.raises(InvalidDocument) as caught:
            read(text, environ=ENVIRON, **more)
        assert MARKER not in str(caught.value)
        assert "hunter22" not in str(caught.value)
        return [str(problem) for problem in caught.value.problems]

    return found


def test_a_secret_option_has_its_value_and_the_stored_document_has_its_name(read, valid, registry):
    experiment = read(valid.replace("colour: 7", "colour: !secret TOKEN"), environ=ENVIRON)
    assert experiment.environment.options["colour"] == MARKER
    assert experiment.secrets.values == (MARKER,)
    assert "colour: !secret TOKEN" in experiment.document
    assert MARKER not in experiment.document
    again = read_text(experiment.document, registry=registry, environ=None)
    assert again.environment.options["colour"] == MARK
    assert not again.secrets


def test_options_of_the_command_line_leave_the_tag_where_it_was(read, valid, registry):
    text = valid.replace("colour: 7", "colour: !secret TOKEN")
    experiment = read(text, environ=ENVIRON, options={"size": "large"})
    assert experiment.environment.options == {"size": "large", "colour": MARKER}
    assert '"colour": !secret TOKEN' in experiment.document
    assert read_text(experiment.document, registry=registry, environ=None).environment.options == {"size": "large", "colour": MARK}
    plain = read(text, environ=ENVIRON, options={"colour": "red"})
    assert '"colour": "red"' in plain.document


def test_a_text_of_a_fault_may_be_secret(read, valid):
    experiment = read(valid.replace("direction: answers", "note: !secret TOKEN"), environ=ENVIRON)
    assert experiment.faults[1].fault.note == MARKER
    assert MARKER not in repr(experiment.secrets)


def test_the_process_s_variables_are_read_by_default(read, valid, monkeypatch):
    monkeypatch.setenv("CHAOSKIT_TEST_TOKEN", MARKER)
    assert read(valid.replace("colour: 7", "colour: !secret CHAOSKIT_TEST_TOKEN")).environment.options["colour"] == MARKER


def test_variables_named_secret_are_secret(read, valid):
    experiment = read(valid + "secrets: [TOKEN]\n", environ=ENVIRON)
    assert experiment.secrets.values == (MARKER,)


@pytest.mark.parametrize("written", ["colour: amqp://u:hunter22@mq/", "'colour': 'see amqp://u:hunter22@mq'", "colour: ${C}"])
def test_the_password_of_a_url_is_secret(read, valid, written):
    variables = {"C": "amqp://u:hunter22@mq/"} if "${" in written else {}
    experiment = read(valid.replace("colour: 7", written), variables=variables)
    assert experiment.secrets.values == ("hunter22",)
    assert "hunter22" in experiment.environment.options["colour"]
    assert "hunter22" not in experiment.document
    assert f"amqp://u:{MARK}@mq" in experiment.document


def test_the_password_in_an_option_of_the_command_line_is_secret(read, valid):
    experiment = read(valid, options={"colour": "amqp://u:hunter22@mq"})
    assert experiment.secrets.values == ("hunter22",)
    assert "hunter22" not in experiment.document


def test_the_password_in_a_secret_url_is_a_secret_by_itself(read, valid):
    experiment = read(valid.replace("colour: 7", "colour: !secret URL"), environ=ENVIRON)
    assert experiment.secrets.redact(f"login failed for u with {MARKER}") == f"login failed for u with {MARK}"


def test_a_title_and_a_comment_do_not_show_the_password_of_a_url(read, valid):
    text = valid.replace("# A comment", "# was amqp://u:0therpass@mq").replace("title: The", "title: amqp://u:hunter22@mq The")
    experiment = read(text)
    assert experiment.title.startswith(f"amqp://u:{MARK}@mq")
    assert "0therpass" not in experiment.document


@pytest.mark.parametrize(
    "old,new",
    [
        ("colour: 7", "colour: hunter22"),
        ("colour: 7", "colour: ${PW}"),
        ("reason: because", "reason: hunter22 is why"),
        ("reason: because", "reason: >-\n  because\n  hunter22\n  is"),
        ("reason: because", "reason: |\n  hunter22\n# hunter22"),
        ("reason: because", "reason: 'it''s hunter22, is it $${not}?'"),
        ("# A comment", "# hunter22 in a comment"),
    ],
)
def test_what_is_stored_can_be_read_again_wherever_a_secret_stood(read, valid, registry, old, new):
    text = valid.replace(old, new) + "secrets: [PW]\n"
    variables = {"PW": "hunter22"} if "${PW}" in new else {}
    for options in ({}, {"size": "large"}):
        experiment = read(text, environ={"PW": "hunter22"}, variables=variables, options=options)
        assert "hunter22" not in experiment.document
        again = read_text(experiment.document, registry=registry, environ=None)
        assert again.reason == experiment.reason
        assert again.environment.options == {
            name: experiment.secrets.redact(value) for name, value in experiment.environment.options.items()
        }
        assert again.faults == experiment.faults


def test_a_secret_that_stands_between_values_is_a_mistake(read, valid):
    with pytest.raises(InvalidDocument, match="a secret stands in a key or between values"):
        read(valid + "secrets: [PW]\n", environ={"PW": "small, colour"})
    with pytest.raises(InvalidDocument, match="a secret stands in a key or between values"):
        read(valid + "secrets: [PW]\n", environ={"PW": "steady_state"})


MISTAKES = {
    "not set": ("colour: 7", "colour: !secret GONE", "6:70: environment.options.colour: the environment variable GONE of a secret is not set"),
    "empty": ("colour: 7", "colour: !secret EMPTY", "the environment variable EMPTY of a secret is empty; set it where"),
    "no name": ("colour: 7", "colour: !secret 'a b'", "'a b' is not the name of an environment variable"),
    "nothing": ("colour: 7", "colour: !secret ''", "'' is not the name of an environment variable"),
    "short": ("colour: 7", "colour: !secret SHORT", "6:70: environment.options.colour: the value of SHORT is shorter than 4 characters"),
    "a number": ("colour: 7", "colour: !secret PIN", "the value of PIN has no letter and could be an amount"),
    "part of a name": ("colour: 7", "colour: !secret NAME", "the value of NAME is a part of a name that the record needs"),
    "weak password": ("colour: 7", "colour: 'amqp://u:pw@mq'", "the password of this URL is shorter than 4 characters"),
    "a word": ("size: small", "size: !secret TOKEN", "one of small, large is no secret; write it out"),
    "a duration": ("delay: 250ms", "delay: !secret TOKEN", "a secret stands where a duration such as 250ms"),
    "a service": ("service: store.primary", "service: !secret TOKEN", "a secret stands where the name of a service is expected"),
    "a direction": ("direction: answers", "direction: !secret TOKEN", "a secret stands where one of both, requests, answers"),
    "a flag": ("direction: answers", "is_loud: !secret TOKEN", "!secret TOKEN; expected true or false"),
    "a mapping": ("options: {size: small, colour: 7}", "options: !secret TOKEN", "!secret TOKEN; expected a mapping of options"),
    "tagged mapping": ("options: {size", "options: !secret {size", "tags such as '!secret' are not part of"),
    "other tag": ("colour: 7", "colour: !vault TOKEN", "tags such as '!vault'"),
    "a key": ("colour: 7", "!secret TOKEN: 7", "expected a key of plain text"),
    "list of secrets": ("reason: because", "secrets: TOKEN", "'TOKEN'; expected a list of environment variables"),
    "unknown in the list": ("reason: because", "secrets: [GONE]", "secrets[0]: the environment variable GONE of a secret is not set"),
    "long and cut": ("environment: {use: shop", f"environment: {{use: 'amqp://u:{'x' * 70}hunter22@mq'", "'amqp://u:***@mq'"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_with_a_secret_is_told_without_it(problems, valid, mistake):
    old, new, expected = MISTAKES[mistake]
    assert valid.count(old) >= 1
    found = problems(valid.replace(old, new, 1))
    assert expected in "\n".join(found)


def test_a_part_s_own_refusal_is_told_without_the_value(problems, valid, registry):
    (found,) = problems(valid.replace("direction: answers", "note: !secret TOKEN, tries: 7"))
    assert found.endswith("note '***' with 7 tries")
