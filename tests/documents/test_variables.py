"""Variables: decided once. Typed as if written there, strict, undefined is an error, an explicit default, values only."""

from __future__ import annotations

import dataclasses

import pytest

from chaoskit.model.errors import InvalidDocument


def problems(read, text: str, **more: object) -> list[str]:
    with pytest.raises(InvalidDocument) as caught:
        read(text, **more)
    return [str(problem) for problem in caught.value.problems]


def test_a_value_is_typed_as_if_it_were_written_there(read, valid):
    text = valid.replace("arrivals_per_s: 40", "arrivals_per_s: ${RATE}").replace("duration: 1m", "duration: ${MINUTES}m")
    load = read(text, variables={"RATE": "12.5", "MINUTES": "2"}).load
    assert (load.arrivals_per_s, load.duration_s) == (12.5, 120.0)


def test_in_quotes_a_value_stays_text(read, valid):
    text = valid.replace("arrivals_per_s: 40", 'arrivals_per_s: "${RATE}"')
    assert problems(read, text, variables={"RATE": "12"}) == [
        "shop.chaos.yaml:8:19: load.arrivals_per_s: '12'; expected a number per second"
    ]
    assert read(valid.replace("reason: because", 'reason: "${R}"'), variables={"R": "2024"}).reason == "2024"


@pytest.mark.parametrize("value, given", [("true", "true"), ("", "it is empty"), ("[1, 2]", "'[1, 2]'"), ("40 # x", "'40 # x'")])
def test_a_value_never_becomes_more_than_one_scalar(read, valid, value, given):
    text = valid.replace("arrivals_per_s: 40", "arrivals_per_s: ${RATE}")
    assert problems(read, text, variables={"RATE": value}) == [
        f"shop.chaos.yaml:8:19: load.arrivals_per_s: {given}; expected a number per second"
    ]


def test_a_default_is_used_unless_a_value_is_given(read, valid):
    text = valid.replace("arrivals_per_s: 40", "arrivals_per_s: ${RATE:-7}")
    assert read(text).load.arrivals_per_s == 7
    assert read(text, variables={"RATE": "8"}).load.arrivals_per_s == 8


def test_a_variable_may_stand_between_braces_and_brackets(read, valid):
    text = (
        valid.replace("at: 10s", "at: ${AT}")
        .replace("buy: 3", "buy: ${BUY:-4}")
        .replace("[stock,", "[${WHO},")
        .replace("for: 10s,", "for: ${N}s,")
    )
    experiment = read(text, variables={"AT": "11s", "WHO": "stock", "N": "10"})
    assert (experiment.faults[0].at_s, experiment.load.mix["buy"]) == (11.0, 4.0)
    assert read(experiment.document).faults == experiment.faults


def test_a_value_that_nothing_uses_is_an_error(read, valid):
    """With a default in the document a misspelt name would run another experiment than the one that was meant."""
    text = valid.replace("arrivals_per_s: 40", "arrivals_per_s: ${RATE:-7}")
    assert problems(read, text, variables={"RAT": "8"}) == [
        "shop.chaos.yaml: --var RAT=…: 'RAT' is not a variable of the document (RATE). Did you mean 'RATE'?"
    ]


def test_an_empty_default_is_a_value(read, valid):
    assert read(valid.replace("because", "because${MORE:-}")).reason == "because"


def test_every_undefined_variable_is_an_error(read, valid):
    text = valid.replace("because", "${WHY} and ${HOW}").replace("1m", "${LONG}")
    assert problems(read, text, variables={"HOW": "so"}) == [
        "shop.chaos.yaml:4:9: reason: the variable 'WHY' is not defined (HOW); give it a value with --var WHY=…",
        "shop.chaos.yaml:9:13: load.duration: the variable 'LONG' is not defined (HOW); give it a value with --var LONG=…",
    ]


@pytest.mark.parametrize("text", ["${}", "${1X}", "${A-b}", "${A:b}", "x ${A"])
def test_what_only_looks_like_a_variable_is_an_error(read, valid, text):
    (problem,) = problems(read, valid.replace("because", f"'{text}'"))
    assert "is not a variable; expected ${NAME} or ${NAME:-default}, or $${ for the text itself" in problem


def test_a_dollar_more_writes_the_text_itself(read, valid):
    experiment = read(valid.replace("because", "'$${NAME} costs $5'"))
    assert experiment.reason == "${NAME} costs $5"
    assert read(experiment.document).reason == "${NAME} costs $5"


def test_a_value_is_not_filled_in_again(read, valid):
    experiment = read(valid.replace("because", "${A}"), variables={"A": "${B}"})
    assert experiment.reason == "${B}"
    assert read(experiment.document).reason == "${B}"


def test_a_value_of_several_lines_is_refused(read, valid):
    assert problems(read, valid.replace("because", "${A}"), variables={"A": "a\nb: 1"}) == [
        "shop.chaos.yaml:4:9: reason: the variable 'A' is 'a\\nb: 1'; expected printable text of one line"
    ]


def test_keys_and_comments_have_no_variables(read, valid):
    assert read(valid + "# ${NOBODY}\n").document.endswith("# ${NOBODY}\n")
    found = problems(read, valid.replace("reason:", "${A}:"), variables={"A": "reason"})
    assert found[0] == "shop.chaos.yaml: --var A=…: 'A' is not a variable of the document (there is none)"
    assert found[1].startswith("shop.chaos.yaml:4:1: '${A}' is not a key here")


@pytest.mark.parametrize("style", ["{}", "'{}'", '"{}"', "|\n  {}\n  more\n", ">-\n  {}\n\n  more\n", "{} # comment", "some\n  {}"])
@pytest.mark.parametrize(
    "value", ["plain", "a: b", "# no", "it's", 'a "quote"', "- item", "{x", "1m30s", "é…", "back\\slash", "null", "5", "~"]
)
def test_the_stored_document_holds_the_values(read, valid, style, value):
    text = valid.replace("reason: because", "reason: " + style.format("so ${A}"))
    experiment = read(text, variables={"A": value})
    assert value in experiment.reason
    again = read(experiment.document)
    assert again == dataclasses.replace(experiment, document=again.document)
    assert again.document == experiment.document
