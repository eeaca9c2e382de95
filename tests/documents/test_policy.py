"""Policy files: every mistake of all of them at once, and what is not understood is never taken for a permission."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest

from chaoskit.documents.policy import read_policies
from chaoskit.model.errors import InvalidDocument
from chaoskit.model.policy import ChangeWindow, Limits, Permission, Policy

WHOLE = """\
chaoskit: 1
limits: {services: 1, share_of_group: 50%, for: 1m}
production: true
never_allow: [production, remote-target]
change_windows:
  - {from: 2026-11-25T08:00:00Z, until: "2026-11-25T20:00:00+07:00", why: the core is being moved}
"""


@pytest.fixture
def policy(tmp_path):
    def write(text, name="policy.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def mistakes(*paths):
    with pytest.raises(InvalidDocument) as caught:
        read_policies(paths)
    return [str(problem).replace(f"{paths[0].parent}/", "") for problem in caught.value.problems]


def test_reads_every_key(policy):
    path = policy(WHOLE)
    begins = datetime(2026, 11, 25, 8, tzinfo=UTC)
    assert read_policies([path]) == (
        Policy(
            source=str(path),
            limits=Limits(services=1, share_of_group=0.5, for_s=60.0, source=str(path)),
            production=True,
            never_allow=frozenset({Permission.PRODUCTION, Permission.REMOTE_TARGET}),
            change_windows=(ChangeWindow(begins=begins, ends=begins + timedelta(hours=5), why="the core is being moved"),),
        ),
    )


def test_a_file_that_is_not_there_forbids_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    assert read_policies([tmp_path / "policy.yaml", tmp_path / "no" / "folder.yaml", tmp_path / "file" / "policy.yaml"]) == ()


def test_a_policy_may_hold_nothing_but_its_version(policy):
    path = policy("chaoskit: 1\n")
    assert read_policies([path]) == (Policy(source=str(path), limits=Limits(source=str(path))),)


def test_every_file_holds_for_itself(policy):
    one, other = policy("chaoskit: 1\nlimits: {services: 3}\n"), policy("chaoskit: 1\nlimits: {services: 1}\n", "other.yaml")
    assert [found.limits.services for found in read_policies([one, other])] == [3, 1]


def test_every_mistake_of_all_files_is_told_at_once(policy):
    one = policy("chaoskit: 1\nlimit: {services: 1}\nnever_allow: [produktion]\n")
    other = policy("chaoskit: 2\nlimits: {services: -1, for: 5}\n", "other.yaml")
    assert mistakes(one, other) == [
        "policy.yaml:2:1: 'limit' is not a key here (change_windows, chaoskit, limits, never_allow, production). Did you mean 'limits'?",
        "policy.yaml:3:15: never_allow[0]: 'produktion' is not something that can be allowed (production, remote-engine, remote-target). Did you mean 'production'?",
        "other.yaml:1:11: chaoskit: 2 is not a version of the format; expected 1",
        "other.yaml:2:20: limits.services: -1; expected a whole number from 0 to 1000000000",
        "other.yaml:2:29: limits.for: 5 has no unit; expected a duration such as 250ms, 5s or 1m30s. Did you mean '5s'?",
    ]


MISTAKES = {
    "": "1:1: the file is empty; expected a policy, beginning with 'chaoskit: 1'",
    "- a": "1:1: a list; expected a policy, beginning with 'chaoskit: 1'",
    "limits: {services: 1}": "1:1: 'chaoskit' is missing; expected 1, the version of the format",
    "chaoskit: 1\nlimits: {}": "2:9: limits: an empty mapping limits nothing; expected {services: …, share_of_group: …, for: …}",
    "chaoskit: 1\nlimits: [1]": "2:9: limits: a list; expected {services: …, share_of_group: …, for: …}",
    "chaoskit: 1\nlimits:": "2:1: limits: it is empty; expected {services: …, share_of_group: …, for: …}",
    "chaoskit: 1\nproduction: yes": "2:13: production: 'yes'; expected true or false",
    "chaoskit: 1\nnever_allow: production": "2:14: never_allow: 'production'; expected a list of remote-engine, remote-target, production",
    "chaoskit: 1\nnever_allow: [[production]]": "2:15: never_allow[0]: a list; expected one of remote-engine, remote-target, production",
    "chaoskit: 1\nlimits: {for: ${TIME}}": "2:15: limits.for: the variable 'TIME' is not defined (none are); give it a value with --var TIME=…",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_what_is_no_policy_is_a_mistake_with_its_place(policy, text):
    assert mistakes(policy(text)) == [f"policy.yaml:{MISTAKES[text]}"]


WINDOWS = {
    "{from: 2026-11-25T08:00:00, until: 2026-11-26T08:00:00Z, why: x}": [
        "2:25: change_windows[0].from: '2026-11-25T08:00:00' (it has no offset from UTC); expected a time with its offset, such as 2026-11-25T08:00:00Z"
    ],
    "{from: tomorrow, until: 2026-11-26T08:00:00Z, why: x}": [
        "2:25: change_windows[0].from: 'tomorrow' (Invalid isoformat string: 'tomorrow'); expected a time with its offset, such as 2026-11-25T08:00:00Z"
    ],
    "{from: 2026-11-26T08:00:00Z, until: 2026-11-26T08:00:00Z, why: x}": [
        "2:54: change_windows[0].until: '2026-11-26T08:00:00Z' is not after 'from'; expected a time after it"
    ],
    "{from: 2026-11-26T08:00:00Z, why: x}": [
        "2:18: change_windows[0]: 'until' is missing; expected a time with its offset, such as 2026-11-25T08:00:00Z"
    ],
    "{from: 2026-11-25T08:00:00Z, until: 2026-11-26T08:00:00Z}": [
        "2:18: change_windows[0]: 'why' is missing; expected one line of text: what whoever is refused is told"
    ],
    "nothing": ["2:18: change_windows[0]: 'nothing'; expected a window {from: …, until: …, why: …}"],
}


@pytest.mark.parametrize("window", WINDOWS)
def test_a_window_that_is_not_understood_is_a_mistake(policy, window):
    assert mistakes(policy(f"chaoskit: 1\nchange_windows: [{window}]\n")) == [f"policy.yaml:{line}" for line in WINDOWS[window]]


@pytest.mark.parametrize(
    "make", [lambda path: path.mkdir(), lambda path: path.symlink_to("nowhere"), os.mkfifo], ids=["folder", "link", "pipe"]
)
def test_something_that_cannot_be_read_is_a_mistake_and_not_an_absent_policy(tmp_path, make):
    path = tmp_path / "policy.yaml"
    make(path)
    (found,) = mistakes(path)
    assert "expected a policy" in found
