from __future__ import annotations

import dataclasses

import pytest

from chaoskit.documents import read_text
from chaoskit.model.errors import InvalidDocument
from chaoskit.model.experiment import EnvironmentChoice, LoadShape, Step, Unanswered
from chaoskit.model.journey import Habit
from chaoskit.model.policy import Limits
from chaoskit.registry import MONEY, Registry

FAULTS = (*Registry().names("faults"), "freeze", "cut")
"""Every fault, and those of the test's shop: messages list them all."""


def problems(read, text: str, **more: object) -> list[str]:
    with pytest.raises(InvalidDocument) as caught:
        read(text, **more)
    return [str(problem) for problem in caught.value.problems]


def test_reads_every_part_of_a_document(read, valid):
    experiment = read(valid)
    assert experiment.title == "The shop survives a frozen store"
    assert experiment.reason == "because"
    assert experiment.incident == "shop-2020"
    assert experiment.source == "shop.chaos.yaml"
    assert experiment.document == valid
    assert experiment.environment == EnvironmentChoice(use="shop", on="process", options={"size": "small", "colour": "7"})
    assert experiment.load == LoadShape(
        arrivals_per_s=40.0,
        duration_s=60.0,
        mix={"buy": 3.0, "look": 5.5, "return-goods": 0.0},
        steps=(Step(at_s=0.0, times=1.0), Step(at_s=30.0, times=2.0)),
        profile="rush",
    )
    freeze, cut = experiment.faults
    assert (freeze.fault.kind, freeze.at_s, freeze.for_s) == ("freeze", 10.0, None)
    assert (cut.fault.kind, cut.at_s, cut.for_s) == ("cut", 20.0, 10.0)
    assert dataclasses.asdict(cut.fault) == {
        "between": ("stock", "store.primary"),
        "direction": "answers",
        "delay_s": 0.25,
        "share": 0.5,
        "per_call": 65536,
        "tries": 1,
        "is_loud": False,
        "note": "",
    }
    assert [(check.name, dataclasses.asdict(check)) for check in experiment.steady_state] == [
        ("available", {"journey": "buy", "at_least": 0.99, "window_s": 5.0})
    ]
    assert [check.name for check in experiment.abort_if] == ["available"]
    assert experiment.limits == Limits(services=2, share_of_group=1.0, for_s=120.0, source="shop.chaos.yaml")
    assert experiment.production is False
    assert read(valid.replace("production: false", "production: true")).production is True


MINIMAL = """\
chaoskit: 1
title: Only transfers
environment: bank
load: {arrivals_per_s: 10, duration: 10s, mix: {transfer: 1}}
expect: [money, read-window]
"""


def test_money_asks_for_what_the_load_has_and_a_check_named_by_itself_asks_for_more():
    expect = read_text(MINIMAL, registry=Registry(), file="minimal.chaos.yaml").expect
    looks = [check for check in expect if check.name == "read-window"]
    assert [check.if_any for check in looks] == [True, False]
    assert next(check for check in expect if check.name == "cash").if_any


def test_money_is_every_money_check_and_exercised_is_always_expected(read, valid):
    assert [check.name for check in read(valid).expect] == ["back", *MONEY, "exercised"]


def test_exercised_is_not_added_twice(read, valid):
    experiment = read(valid.replace("- money", "- exercised"))
    assert [check.name for check in experiment.expect] == ["back", "exercised"]


def test_an_experiment_needs_no_faults(read, valid):
    start, end = valid.index("faults:"), valid.index("expect:")
    assert read(valid[:start] + valid[end:]).faults == ()


def test_steps_may_be_written_out(read, valid):
    load = read(valid.replace("profile: rush", "profile: [{at: 0s, times: 1}, {at: 20s, times: 3.5}]")).load
    assert load.steps == (Step(at_s=0.0, times=1.0), Step(at_s=20.0, times=3.5))
    assert load.profile == ""


def test_a_link_may_be_named_by_a_caller_that_is_no_service(read, valid):
    """Customers are outside of what runs, but their way in can be cut."""
    cut = read(valid.replace("[stock, store.primary]", "[people, till]")).faults[1].fault
    assert cut.between == ("people", "till")
    assert "'people' is not a service or role" in problems(read, valid.replace("service: store.primary", "service: people"))[0]


def test_an_environment_may_be_a_bare_name_and_the_profile_is_steady(read, valid):
    experiment = read(
        valid.replace("{use: shop, on: process, options: {size: small, colour: 7}}", "shop").replace("  profile: rush\n", "")
    )
    assert experiment.environment == EnvironmentChoice(use="shop")
    assert experiment.load.profile == "steady"


def test_an_answer_with_a_warning_counts_as_done_unless_the_document_says_otherwise(read, valid):
    assert read(valid).load.warned == "ok"
    assert read(valid.replace("  profile: rush", "  profile: rush\n  warned: info")).load.warned == "info"


def test_what_had_no_clear_answer_is_not_sent_again_unless_the_document_says_so(read, valid):
    assert read(valid).load.unanswered is Unanswered.TOMBSTONE
    assert read(valid.replace("  profile: rush", "  profile: rush\n  unanswered: re-send")).load.unanswered is Unanswered.RE_SEND


def test_habits_are_shares_of_the_customers(read, valid):
    experiment = read(valid.replace("  profile: rush", "  profile: rush\n  habits: {double-tap: 70%, new-key: 30%}"))
    assert experiment.load.habits == {Habit.DOUBLE_TAP: 0.7, Habit.NEW_KEY: 0.3}
    assert read(valid).load.habits == {}


# Each row breaks the valid document in one way: what is replaced, by what, and every problem that must be found.
MISTAKES = {
    "misspelt key": (
        "incident:",
        "incidnt:",
        [
            "5:1: 'incidnt' is not a key here (abort_if, chaoskit, environment, expect, faults, incident, limits, load, marks, matrix, production, reason, secrets, steady_state, title). Did you mean 'incident'?"
        ],
    ),
    "misspelt key of the load": (
        "  profile: rush",
        "  profil: rush",
        [
            "11:3: load: 'profil' is not a key here (arrivals_per_s, duration, habits, mix, profile, unanswered, warned). Did you mean 'profile'?"
        ],
    ),
    "misspelt key of a fault": (
        "service: store.primary",
        "servise: store.primary",
        [
            "15:21: faults[0]: 'servise' is not a key here (at, fault, for, service). Did you mean 'service'?",
        ],
    ),
    "misspelt key of a check": (
        "window: 5s",
        "windows: 5s",
        ["13:53: steady_state[0]: 'windows' is not a key here (at_least, check, journey, window). Did you mean 'window'?"],
    ),
    "the name of the field instead of the key": (
        "within: 15s",
        "within_s: 15s",
        [
            "18:30: expect[0]: 'within_s' is not a key here (check, of, within). Did you mean 'within'?",
        ],
    ),
    "misspelt limit": (
        "services: 2",
        "service: 2",
        ["22:10: limits: 'service' is not a key here (for, services, share_of_group). Did you mean 'services'?"],
    ),
    "limits that are none": (
        "limits: {services: 2, share_of_group: 100%, for: 2m}",
        "limits: {}",
        ["22:9: limits: an empty mapping limits nothing; expected {services: …, share_of_group: …, for: …}"],
    ),
    "half a service": ("services: 2", "services: 1.5", ["22:20: limits.services: 1.5; expected a whole number"]),
    "a share of more than all": (
        "share_of_group: 100%",
        "share_of_group: 101%",
        ["22:39: limits.share_of_group: '101%'; expected a share from 0% to 100%"],
    ),
    "no time for any fault": (
        "for: 2m}",
        "for: 0s}",
        ["22:50: limits.for: '0s'; expected a duration such as 250ms, 5s or 1m30s above 0"],
    ),
    "a mark that is no mark": ("production: false", "production: no", ["23:13: production: 'no'; expected true or false"]),
    "its own limit of services broken": (
        "services: 2",
        "services: 1",
        [
            "22:20: limits.services: at 20 s faults[0] freeze and faults[1] cut may hurt 2 services (2 of store) at the same time; it allows 1"
        ],
    ),
    "its own share of a group broken": (
        "share_of_group: 100%",
        "share_of_group: 50%",
        [
            "22:39: limits.share_of_group: at 20 s faults[0] freeze and faults[1] cut may hurt 2 of the 2 members of store at the same time; it allows 50%"
        ],
    ),
    "two faults longer than its own limit": (
        "for: 2m}",
        "for: 9s}",
        [
            "22:50: limits.for: faults[0] freeze lasts 50 s; it allows 9 s for any fault",
            "22:50: limits.for: faults[1] cut lasts 10 s; it allows 9 s for any fault",
        ],
    ),
    "duplicate key": ("reason:", "title: again\nreason:", ["4:1: the key 'title' is given twice; it stands in line 3 already"]),
    "duplicate key of a fault": (
        "service: store.primary,",
        "service: till, service: till,",
        ["15:36: faults[0]: the key 'service' is given twice; it stands in line 15 already"],
    ),
    "another version": ("chaoskit: 1", "chaoskit: 2", ["2:11: chaoskit: 2 is not a version of the format; expected 1"]),
    "true is not version 1": ("chaoskit: 1", "chaoskit: true", ["2:11: chaoskit: true is not a version of the format; expected 1"]),
    "no version": ("chaoskit: 1\n", "", ["2:1: 'chaoskit' is missing; expected 1, the version of the format"]),
    "a number as title": (
        "title: The shop survives a frozen store",
        "title: 2024",
        ["3:8: title: 2024; expected text; put it in quotes: '2024'"],
    ),
    "no title": ("title: The shop survives a frozen store", "title:", ["3:1: title: it is empty; expected text"]),
    "a title of many lines": (
        "title: The shop survives a frozen store",
        'title: "a\\nb"',
        ["3:8: title: 'a\\nb'; expected one line of printable text"],
    ),
    "misspelt environment": (
        "use: shop",
        "use: shp",
        ["6:20: environment.use: 'shp' is not an environment (bank, shop). Did you mean 'shop'?"],
    ),
    "misspelt place": (
        "on: process",
        "on: proces",
        ["6:30: environment.on: 'proces' is not a place where environments run (docker, process). Did you mean 'process'?"],
    ),
    "misspelt option": (
        "size: small",
        "sise: small",
        ["6:49: environment.options.sise: 'sise' is not an option of environment 'shop' (colour, size). Did you mean 'size'?"],
    ),
    "misspelt option value": (
        "size: small",
        "size: smal",
        ["6:55: environment.options.size: 'smal' is not a value of option 'size' (large, small). Did you mean 'small'?"],
    ),
    "no option value": (
        "colour: 7",
        "colour: ~",
        ["6:70: environment.options.colour: it is empty; expected a value such as a word or a number"],
    ),
    "rate with a unit": (
        "arrivals_per_s: 40",
        "arrivals_per_s: 40/s",
        ["8:19: load.arrivals_per_s: '40/s'; expected a number per second"],
    ),
    "no arrivals": (
        "arrivals_per_s: 40",
        "arrivals_per_s: 0",
        ["8:19: load.arrivals_per_s: 0; expected a number per second above 0"],
    ),
    "negative arrivals": (
        "arrivals_per_s: 40",
        "arrivals_per_s: -4",
        ["8:19: load.arrivals_per_s: -4; expected a number per second from 0 to 1000000000"],
    ),
    "not a number": (
        "arrivals_per_s: 40",
        "arrivals_per_s: .nan",
        ["8:19: load.arrivals_per_s: .nan; expected a number per second from 0 to 1000000000"],
    ),
    "a huge number": (
        "arrivals_per_s: 40",
        "arrivals_per_s: 1" + "0" * 5000,
        ["8:19: load.arrivals_per_s: 1" + "0" * 79 + "; expected a number per second from 0 to 1000000000"],
    ),
    "null": ("arrivals_per_s: 40", "arrivals_per_s: ~", ["8:19: load.arrivals_per_s: it is empty; expected a number per second"]),
    "bare number as duration": (
        "within: 15s",
        "within: 15",
        ["18:38: expect[0].within: 15 has no unit; expected a duration such as 250ms, 5s or 1m30s. Did you mean '15s'?"],
    ),
    "quoted number as duration": (
        "within: 15s",
        'within: "15"',
        ["18:38: expect[0].within: '15'; expected a duration such as 250ms, 5s or 1m30s"],
    ),
    "share as duration": (
        "within: 15s",
        "within: 15%",
        ["18:38: expect[0].within: '15%'; expected a duration such as 250ms, 5s or 1m30s"],
    ),
    "bare number as share": (
        "at_least: 99%",
        "at_least: 0.99",
        ["13:48: steady_state[0].at_least: 0.99 has no unit; expected a share such as 99.5%. Did you mean '99%'?"],
    ),
    "share above 100 %": (
        "at_least: 99%",
        "at_least: 101%",
        ["13:48: steady_state[0].at_least: '101%'; expected a share from 0% to 100%"],
    ),
    "bare number as size": (
        "per_call: 64KiB",
        "per_call: 64",
        ["16:126: faults[1].per_call: 64 has no unit; expected a size such as 64KiB. Did you mean '64KiB'?"],
    ),
    "half a count": ("per_call: 64KiB", "tries: 1.5", ["16:123: faults[1].tries: 1.5; expected a whole number"]),
    "a word as flag": ("per_call: 64KiB", "is_loud: yes", ["16:125: faults[1].is_loud: 'yes'; expected true or false"]),
    "no duration of load": (
        "duration: 1m",
        "duration: 0s",
        ["9:13: load.duration: '0s'; expected a duration such as 250ms, 5s or 1m30s above 0"],
    ),
    "a year of load": ("duration: 1m", "duration: 8760h", ["9:13: load.duration: '8760h'; expected at most 720h"]),
    "misspelt journey in the mix": (
        "{buy: 3,",
        "{byu: 3,",
        [
            "10:9: load.mix.byu: 'byu' is not a journey of environment 'shop' (buy, look, return-goods). Did you mean 'buy'?",
            "13:33: steady_state[0].journey: 'buy' has no weight in load.mix, so nobody does it; expected one of byu, look, or a weight",
        ],
    ),
    "empty mix": (
        "{buy: 3, look: 5.5, return-goods: 0}",
        "{}",
        ["10:8: load.mix: an empty mapping; expected a mapping of journeys to their weights, such as {balance: 5, transfer: 3}"],
    ),
    "negative mix": ("{buy: 3,", "{buy: -3,", ["10:14: load.mix.buy: -3; expected a number of times from 0 to 1000000000"]),
    "mix of nothing": (
        "{buy: 3, look: 5.5, return-goods: 0}",
        "{buy: 0}",
        [
            "10:8: load.mix: no journey has a weight above 0; expected a mapping of journeys to their weights, such as {balance: 5, transfer: 3}"
        ],
    ),
    "misspelt habit": (
        "  profile: rush",
        "  profile: rush\n  habits: {double_tap: 5%}",
        [
            "12:12: load.habits.double_tap: 'double_tap' is not a habit of customers (double-tap, late-retry, new-key, other-body). Did you mean 'double-tap'?"
        ],
    ),
    "a habit that nobody has": (
        "  profile: rush",
        "  profile: rush\n  habits: {double-tap: 5%, late-retry: 5%}",
        [
            "12:28: load.habits.late-retry: 'late-retry' is not a habit that any journey of environment 'shop' heeds (double-tap, new-key); leave it out, or have a journey ask for `visit.habit`"
        ],
    ),
    "more habits than customers": (
        "  profile: rush",
        "  profile: rush\n  habits: {double-tap: 60%, new-key: 41%}",
        ["12:11: load.habits: the shares come to 101 %; expected at most 100%, as a customer has one habit at most"],
    ),
    "a share beyond everybody": (
        "  profile: rush",
        "  profile: rush\n  habits: {double-tap: 101%}",
        ["12:24: load.habits.double-tap: '101%'; expected a share from 0% to 100%"],
    ),
    "habits without a share": (
        "  profile: rush",
        "  profile: rush\n  habits: [double-tap]",
        [
            "12:11: load.habits: a list; expected a mapping of habits to the shares of the customers that have them, such as {double-tap: 5%}"
        ],
    ),
    "a habit of nobody": (
        "  profile: rush",
        "  profile: rush\n  habits: {new-key: 0%}",
        ["12:21: load.habits.new-key: '0%'; expected a share such as 99.5% above 0"],
    ),
    "what a warned answer cannot count as": (
        "  profile: rush",
        "  profile: rush\n  warned: fail",
        ["12:11: load.warned: 'fail' is not what such an answer counts as (info, ok)"],
    ),
    "what cannot be done about what had no answer": (
        "  profile: rush",
        "  profile: rush\n  unanswered: resend",
        ["12:15: load.unanswered: 'resend' is not what can be done about it (re-send, tombstone). Did you mean 're-send'?"],
    ),
    "misspelt profile": (
        "profile: rush",
        "profile: rsh",
        ["11:12: load.profile: 'rsh' is not a profile (lebaran, rush, steady). Did you mean 'rush'?"],
    ),
    "steps that begin late": (
        "profile: rush",
        "profile: [{at: 1s, times: 1}]",
        ["11:18: load.profile[0].at: '1s' is where the first step begins; expected 0s"],
    ),
    "steps out of order": (
        "profile: rush",
        "profile: [{at: 0s, times: 1}, {at: 9s, times: 1}, {at: 9s, times: 1}]",
        ["11:58: load.profile[2].at: '9s' is not after the step before (9s); expected steps in order of time"],
    ),
    "a step after the load": (
        "profile: rush",
        "profile: [{at: 0s, times: 1}, {at: 60s, times: 1}]",
        ["11:38: load.profile[1].at: '60s' is not within the load, which lasts 60s"],
    ),
    "steps of nobody": (
        "profile: rush",
        "profile: [{at: 0s, times: 0}]",
        ["11:12: load.profile: every step is 0 times the rate: nobody would arrive; expected a step above 0"],
    ),
    "no steps": (
        "profile: rush",
        "profile: []",
        ["11:12: load.profile: the list is empty; expected a name such as steady, or a list of {at: …, times: …}"],
    ),
    "a step without its factor": (
        "profile: rush",
        "profile: [{at: 0s}]",
        ["11:13: load.profile[0]: 'times' is missing; expected a number of times"],
    ),
    "misspelt fault": (
        "fault: freeze",
        "fault: freze",
        [f"15:13: faults[0].fault: 'freze' is not a fault ({', '.join(sorted(FAULTS))}). Did you mean 'freeze'?"],
    ),
    "no fault": (
        "fault: freeze, ",
        "",
        [f"15:5: faults[0]: 'fault' is missing; expected one of {', '.join(FAULTS)}"],
    ),
    "a fault that is a word": (
        "- {fault: freeze, service: store.primary, at: 10s}",
        "- freeze",
        ["15:5: faults[0]: 'freeze'; expected a fault such as {fault: kill, service: core, at: 10s}"],
    ),
    "a fault without its time": (
        "service: store.primary, at: 10s",
        "service: store.primary",
        ["15:5: faults[0]: 'at' is missing; expected a duration such as 250ms, 5s or 1m30s"],
    ),
    "misspelt service": (
        "service: store.primary",
        "service: til",
        [
            "15:30: faults[0].service: 'til' is not a service or role of environment 'shop' (stock, store-1, store-2, store.primary, store.standby, till). Did you mean 'till'?"
        ],
    ),
    "misspelt role": (
        "service: store.primary",
        "service: store.primry",
        [
            "15:30: faults[0].service: 'store.primry' is not a service or role of environment 'shop' (stock, store-1, store-2, store.primary, store.standby, till). Did you mean 'store.primary'?"
        ],
    ),
    "misspelt service in a pair": (
        "[stock, store.primary]",
        "[stok, store.primary]",
        [
            "16:28: faults[1].between[0]: 'stok' is not a service or role of environment 'shop' (stock, store-1, store-2, store.primary, store.standby, till). Did you mean 'stock'?"
        ],
    ),
    "a pair of three": (
        "[stock, store.primary]",
        "[stock, till, till]",
        ["16:27: faults[1].between: a list; expected a list of two services, such as [gateway, core]"],
    ),
    "a pair that is a word": (
        "[stock, store.primary]",
        "stock",
        ["16:27: faults[1].between: 'stock'; expected a list of two services, such as [gateway, core]"],
    ),
    "a pair without a link": (
        "[stock, store.primary]",
        "[till, store.primary]",
        [
            "16:27: faults[1].between: there is no link between 'till' and 'store.primary'; expected two ends of one of people -> till, stock -> store-1, stock -> store-2, store-1 -> store-2, till -> stock"
        ],
    ),
    "a service and itself": (
        "[stock, store.primary]",
        "[stock, stock]",
        [
            "16:27: faults[1].between: there is no link between 'stock' and 'stock'; expected two ends of one of people -> till, stock -> store-1, stock -> store-2, store-1 -> store-2, till -> stock"
        ],
    ),
    "misspelt direction": (
        "direction: answers",
        "direction: answer",
        ["16:81: faults[1].direction: 'answer' is not a direction (answers, both, requests). Did you mean 'answers'?"],
    ),
    "a fault after the load": (
        "at: 10s",
        "at: 60s",
        ["15:49: faults[0].at: '60s' is not within the load, which lasts 60s; nothing would be seen of the fault"],
    ),
    "a fault that outlasts the load": (
        "for: 10s",
        "for: 41s",
        ["16:65: faults[1].for: '41s' lets the fault end at 61s, after the load, which lasts 60s"],
    ),
    "a fault of no time": (
        "for: 10s",
        "for: 0s",
        ["16:65: faults[1].for: '0s'; expected a duration such as 250ms, 5s or 1m30s above 0"],
    ),
    "misspelt check": (
        "check: back",
        "check: bak",
        [
            "18:13: expect[0].check: 'bak' is not a check (ack-durable, answer-stable, at-most-once, availability, available, back, balance-is-ledger, cash, conserved, double-entry, error-rate, exercised, latency, login, money, no-overdraft, no-phantom, no-refused-effect, observed-stays, order, read-window, reconciled, recovery, session, snapshot, staleness, takeover, version-chain). Did you mean 'back'?"
        ],
    ),
    "a bare check that needs parameters": (
        "- {check: back, of: store, within: 15s}",
        "- back",
        [
            "18:5: expect[0]: 'of' is missing; expected the name of a group",
            "18:5: expect[0]: 'within' is missing; expected a duration such as 250ms, 5s or 1m30s",
        ],
    ),
    "misspelt group": (
        "of: store",
        "of: stor",
        ["18:23: expect[0].of: 'stor' is not a group of environment 'shop' (store). Did you mean 'store'?"],
    ),
    "misspelt journey": (
        "journey: look",
        "journey: lok",
        [
            "21:33: abort_if[0].journey: 'lok' is not a journey of environment 'shop' (buy, look, return-goods). Did you mean 'look'?"
        ],
    ),
    "a journey that nobody does": (
        "journey: look",
        "journey: return-goods",
        [
            "21:33: abort_if[0].journey: 'return-goods' has no weight in load.mix, so nobody does it; expected one of buy, look, or a weight"
        ],
    ),
    "the same check twice": (
        "- money",
        "- money\n  - conserved",
        ["20:5: expect[2]: the check 'conserved' stands at expect[1] already; leave one of them out"],
    ),
    "what the part itself refuses": ("window: 5s", "window: 13s", ["13:5: steady_state[0]: a window of 13 s brings bad luck"]),
    "money with parameters": ("- money", "- {check: money, of: store}", ["19:20: expect[1]: 'of' is not a key here (check)"]),
    "no expectations": (
        "expect:\n  - {check: back, of: store, within: 15s}\n  - money\n",
        "",
        ["2:1: 'expect' is missing; expected a list of checks, such as [money]: without expectations a run shows nothing"],
    ),
    "empty expectations": (
        "expect:\n  - {check: back, of: store, within: 15s}\n  - money\n",
        "expect: []\n",
        ["17:9: expect: the list is empty; expected a list of checks, such as [money]"],
    ),
    "null expectations": (
        "\n  - {check: back, of: store, within: 15s}\n  - money\n",
        "\n",
        ["17:1: expect: it is empty; expected a list of checks"],
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_says_where_a_mistake_is_and_what_was_expected(read, valid, mistake):
    old, new, expected = MISTAKES[mistake]
    assert valid.count(old) >= 1
    found = problems(read, valid.replace(old, new, 1))
    assert found == [f"shop.chaos.yaml:{line}" for line in expected]


def test_reports_mistakes_of_every_section_at_once_in_order_of_their_place(read, valid):
    text = valid
    for old, new in (("title:", "titel:"), ("use: shop", "use: shp"), ("40", "-1"), ("at: 10s", "at: 10"), ("- money", "- mony")):
        text = text.replace(old, new, 1)
    lines = [int(problem.split(":")[1]) for problem in problems(read, text)]
    assert lines == sorted(lines)
    assert len(lines) == 5


def test_a_misspelt_key_is_not_missing_too(read, valid):
    """One mistake is one message, in every kind of mapping."""
    text = (
        valid.replace("expect:", "expects:")
        .replace("duration:", "durations:")
        .replace("at: 10s", "att: 10s")
        .replace("of:", "off:")
    )
    assert [problem.split(":")[1] for problem in problems(read, text)] == ["9", "15", "17"]


def test_finds_all_that_it_can_without_a_known_environment(read, valid):
    """Names cannot be checked then; everything else is."""
    text = valid.replace("use: shop", "use: shp").replace("service: store.primary", "service: nonsense").replace("15s", "15")
    assert [problem.split(": ")[1] for problem in problems(read, text)] == ["environment.use", "expect[0].within"]


def test_the_command_line_goes_before_the_document(read, valid):
    experiment = read(valid, options={"size": "large"}, on="process")
    assert experiment.environment.options == {"size": "large", "colour": "7"}
    assert experiment.environment.on == "process"


def test_mistakes_on_the_command_line_are_found_too(read, valid):
    found = problems(read, valid, options={"sise": "large", "size": "huge"}, on="dock")
    assert found == [
        "shop.chaos.yaml:6:14: --on: 'dock' is not a place where environments run (docker, process). Did you mean 'docker'?",
        "shop.chaos.yaml:6:14: --option sise=large: 'sise' is not an option of environment 'shop' (colour, size). Did you mean 'size'?",
        "shop.chaos.yaml:6:14: --option size=huge: 'huge' is not a value of option 'size' (large, small)",
    ]


@pytest.mark.parametrize(
    "environment",
    [
        "environment: shop",
        "environment: {use: shop, on: process} # here",
        "environment:\n  use: shop\n  options:\n    colour: ${C:-red}\n\n# more",
    ],
)
def test_the_stored_document_reads_as_the_experiment_that_ran(read, valid, environment):
    """Options and variables of the command line are in it: the run folder alone is enough to run again."""
    text = valid.replace("environment: {use: shop, on: process, options: {size: small, colour: 7}}", environment)
    variables = {"C": "blue"} if "${C" in text else {}
    first = read(text, options={"size": "large", "colour": "a: ${b}"}, on="process", variables=variables)
    again = read(first.document)
    assert again == dataclasses.replace(first, document=again.document)
    assert again.environment.options == {"colour": "a: ${b}", "size": "large"}


def test_a_document_is_read_without_a_file_name(registry):
    with pytest.raises(InvalidDocument, match=r"^1:1: the file is empty"):
        read_text("", registry=registry)
