import gc
import json
from dataclasses import replace

import pytest

from chaoskit.model.history import (
    Attempt,
    Credentials,
    Dispensed,
    EarlyRead,
    FaultRecord,
    FinalReads,
    History,
    HistoryReader,
    LoadCounts,
    Operation,
    Outcome,
    RunProblem,
    Sample,
    ledger_events,
    read_history,
)
from chaoskit.model.topology import AccountState, Credit, GroupLimit, LedgerState, Posting

LEDGER = LedgerState(
    read_from="ledger-db-2",
    accounts=(
        AccountState(account="ada", kind="customer", balance=900, version=1, lowest=0),
        AccountState(account="vault", kind="vault", balance=100, version=1, lowest=None),
    ),
    postings=(
        Posting(transaction="t1", key="k1", account="ada", version=1, amount=-100, balance_after=900),
        Posting(transaction="t1", key="k1", account="vault", version=1, amount=100, balance_after=100),
    ),
)

EVENTS = (
    {"event": "run", "format": 1, "seed": 7},
    {"event": "opening", "balances": {"ada": 1000, "vault": 0}},
    {"event": "planned", "fault": "faults[0] kill", "kind": "kill", "targets": ["ledger-db.primary"], "due_ns": 200},
    {"event": "planned", "fault": "faults[1] pause", "kind": "pause", "targets": ["core"], "due_ns": 900},
    {"event": "phase", "phase": "load", "at_ns": 100},
    {
        "event": "invoked",
        "operation": 2,
        "attempt": 1,
        "journey": "withdraw",
        "due_ns": 110,
        "start_ns": 111,
        "intent": "i1",
        "key": "k1",
        "legs": {"ada": -100, "vault": 100},
    },
    {"event": "invoked", "operation": 1, "attempt": 1, "journey": "login", "due_ns": 105, "start_ns": 106},
    {"event": "sample", "probe": "role", "subject": "ledger-db-1", "at_ns": 115, "values": {"role": "primary"}},
    {"event": "completed", "operation": 2, "attempt": 1, "end_ns": 120, "outcome": "info", "why": "timed out"},
    {"event": "injecting", "fault": "faults[0] kill", "targets": ["ledger-db-1"], "at_ns": 201},
    {"event": "injected", "fault": "faults[0] kill", "at_ns": 202, "effect_seen": True, "evidence": "pid 7 gone"},
    {"event": "invoked", "operation": 2, "attempt": 2, "journey": "withdraw", "due_ns": 110, "start_ns": 210},
    {
        "event": "completed",
        "operation": 2,
        "attempt": 2,
        "end_ns": 220,
        "outcome": "ok",
        "status": 200,
        "served_by": "ledger-db-2",
        "result": {"balance": 900},
    },
    {"event": "closed", "operation": 2, "at_ns": 221},
    {"event": "healing", "fault": "faults[0] kill", "at_ns": 300},
    {"event": "healed", "fault": "faults[0] kill", "at_ns": 301, "evidence": "pid 8 answers"},
    {"event": "not-injected", "fault": "faults[1] pause", "error": "no such service"},
    {"event": "load", "scheduled": 3, "sent": 2, "finished": 1, "drained": False},
    {"event": "fence", "at_ns": 400, "settled": {"k9": "tombstone"}, "open_transactions": 0},
    *ledger_events(LEDGER, read=1),
    {"event": "ledger", "read": 2, "same_as_first": True},
    {"event": "digests", "members": {"ledger-db-2": "abc"}},
    {"event": "problem", "result": "aborted", "text": "stopped by hand"},
    {"event": "finished", "at_ns": 900},
)

HISTORY = History(
    run={"event": "run", "format": 1, "seed": 7},
    opening={"ada": 1000, "vault": 0},
    phases={"load": 100, "end": 900},
    operations=(
        Operation(number=1, journey="login", due_ns=105, attempts=(Attempt(number=1, start_ns=106),)),
        Operation(
            number=2,
            journey="withdraw",
            due_ns=110,
            attempts=(
                Attempt(number=1, start_ns=111, end_ns=120, outcome=Outcome.INFO, why="timed out"),
                Attempt(
                    number=2,
                    start_ns=210,
                    end_ns=220,
                    outcome=Outcome.OK,
                    status=200,
                    served_by="ledger-db-2",
                    result={"balance": 900},
                ),
            ),
            intent="i1",
            key="k1",
            legs={"ada": -100, "vault": 100},
            closed_ns=221,
        ),
    ),
    faults=(
        FaultRecord(
            fault="faults[0] kill",
            kind="kill",
            targets=("ledger-db-1",),
            due_ns=200,
            injecting_ns=201,
            injected_ns=202,
            effect_seen=True,
            evidence="pid 7 gone",
            healing_ns=300,
            healed_ns=301,
            heal_evidence="pid 8 answers",
        ),
        FaultRecord(fault="faults[1] pause", kind="pause", targets=("core",), due_ns=900, error="no such service"),
    ),
    samples=(Sample(probe="role", subject="ledger-db-1", at_ns=115, values={"role": "primary"}),),
    load=LoadCounts(scheduled=3, sent=2, finished=1, drained=False),
    final=FinalReads(settled={"k9": "tombstone"}, open_transactions=0, first=LEDGER, second=LEDGER, digests={"ledger-db-2": "abc"}),
    problems=(RunProblem(result="aborted", text="stopped by hand"),),
    complete=True,
)


def lines(events):
    return [json.dumps(event) + "\n" for event in events]


def test_events_become_a_history():
    assert read_history(lines(EVENTS)) == HISTORY


def test_bytes_and_text_read_alike():
    assert read_history(line.encode() for line in lines(EVENTS)) == HISTORY


def test_a_history_may_be_asked_for_after_every_event():
    reader = HistoryReader()
    for event in EVENTS:
        reader.feed(event)
        reader.history()
    assert reader.history() == HISTORY


def test_an_operation_changes_with_its_events():
    reader = HistoryReader()
    reader.feed({"event": "invoked", "operation": 1, "attempt": 1, "journey": "login", "due_ns": 1, "start_ns": 2})
    (before,) = reader.history().operations
    reader.feed({"event": "completed", "operation": 1, "attempt": 1, "end_ns": 3, "outcome": "ok"})
    (after,) = reader.history().operations
    assert (before.outcome, before.end_ns) == (Outcome.INFO, None)
    assert (after.outcome, after.end_ns) == (Outcome.OK, 3)


def test_the_torn_last_line_of_a_killed_recorder_costs_only_itself():
    whole = lines(EVENTS)
    torn = read_history([*whole[:-1], whole[-1][:9]])
    assert torn.torn_lines == 1
    assert not torn.complete
    assert torn.operations == HISTORY.operations


@pytest.mark.parametrize(
    "line",
    [
        "",
        "null",
        "[]",
        "7",
        "{}",
        '{"event": 7}',
        '{"event": ["load"]}',
        '{"event": "unknown"}',
        '{"event": "finished"} {"event": "finished"}',
        '{"event": "phase", "phase": "load", "at_ns": true}',
        '{"event": "phase", "phase": "load", "at_ns": 1.5}',
        '{"event": "completed", "operation": 9, "attempt": 1, "end_ns": 1, "outcome": "ok"}',
        '{"event": "invoked", "operation": 1, "attempt": 1, "journey": "login", "due_ns": 1, "start_ns": 2, "legs": {"ada": "1"}}',
        '{"event": "opening", "balances": []}',
        b"\xff\xfe",
    ],
)
def test_a_line_that_is_no_event_is_counted_and_changes_nothing(line):
    history = read_history([line])
    assert history == History(torn_lines=1)


def test_an_answer_that_is_none_leaves_the_operation_open():
    whole = lines(EVENTS)
    spoilt = [line.replace('"outcome": "ok"', '"outcome": "maybe"') for line in whole]
    history = read_history(spoilt)
    assert history.torn_lines == 1
    assert history.operations[1].outcome is Outcome.INFO


def test_a_ledger_with_a_missing_line_is_no_ledger():
    history = read_history(line for line in lines(EVENTS) if '"account": "vault", "kind"' not in line)
    assert history.torn_lines == 1
    assert history.final is not None
    assert (history.final.first, history.final.second) == (None, None)


def test_reading_leaves_the_collector_as_it_was():
    assert gc.isenabled()
    read_history(lines(EVENTS))
    assert gc.isenabled()


@pytest.mark.parametrize(
    "outcomes, outcome",
    [
        (["ok"], "ok"),
        (["fail"], "fail"),
        (["info"], "info"),
        (["info", "ok"], "ok"),
        (["fail", "fail"], "fail"),
        (["info", "fail"], "info"),
        (["fail", "info"], "info"),
        (["ok", "fail"], "ok"),
    ],
)
def test_attempts_make_an_outcome(outcomes, outcome):
    attempts = tuple(Attempt(number=n, start_ns=n, outcome=Outcome(each)) for n, each in enumerate(outcomes))
    assert Operation(number=1, journey="transfer", due_ns=0, attempts=attempts).outcome is Outcome(outcome)


def test_the_last_heal_counts_only_when_everything_is_healed():
    first, second = HISTORY.faults
    assert HISTORY.last_healed_ns == 301
    open_too = FaultRecord(fault="x", kind="kill", targets=(), due_ns=1, injecting_ns=150)
    assert History(faults=(first, second, open_too)).last_healed_ns is None
    assert History(faults=(first, second, open_too)).first_injected_ns == 150


def test_a_part_of_a_history_does_not_share_what_was_worked_out_from_the_whole():
    HISTORY.memo["books"] = "of the whole"
    part = HISTORY.due_between(106, 1000)
    assert [operation.number for operation in part.operations] == [2]
    assert part.memo == {}


def test_seconds_count_from_the_profiles_zero_as_a_document_does():
    history = replace(HISTORY, phases={"load": HISTORY.operations[0].due_ns - 250_000_000})
    assert history.seconds(HISTORY.operations[0].due_ns) == 0.25


@pytest.mark.parametrize("credits_", [None, (), (Credit(key="k1", account="other-7", amount=100),) * 2])
def test_common_limits_and_what_other_banks_have_booked_are_kept_also_when_that_is_nothing(credits_):
    limits = (GroupLimit(group="ada", accounts=("ada", "ada-2"), lowest=0),)
    ledger = replace(LEDGER, limits=limits, credits=credits_, unsent=() if credits_ is None else ("k2",))
    events = list(ledger_events(ledger, read=1))
    assert read_history(lines(events)).final.first == ledger
    if credits_:
        short = read_history(lines(event for event in events if event["event"] != "credit"))
        assert (short.torn_lines, short.final) == (1, None)


def test_what_the_load_sent_again_is_told_apart_with_and_without_an_answer():
    calls = [
        {"event": "invoked", "operation": 1, "attempt": 1, "journey": "pay", "due_ns": 1, "start_ns": 1},
        {"event": "completed", "operation": 1, "attempt": 1, "end_ns": 5, "outcome": "info"},
        {"event": "invoked", "operation": 1, "attempt": 2, "start_ns": 20, "resent": True},
    ]
    answer = {"event": "completed", "operation": 1, "attempt": 2, "end_ns": 25, "outcome": "ok"}
    (open_,) = read_history(lines(calls)).operations
    (done,) = read_history(lines([*calls, answer])).operations
    assert [[attempt.is_resent for attempt in one.attempts] for one in (open_, done)] == [[False, True]] * 2
    assert (done.outcome, done.end_ns) == (Outcome.OK, 25)
    assert (done.as_its_customer_saw.outcome, done.as_its_customer_saw.end_ns) == (Outcome.INFO, 5)
    assert done.as_its_customer_saw == open_.as_its_customer_saw
    (once,) = read_history(lines(calls[:2])).operations
    assert once.as_its_customer_saw is once


def test_the_habit_of_a_call_is_known_with_and_without_an_answer():
    first = {"event": "invoked", "operation": 1, "attempt": 1, "journey": "transfer", "due_ns": 1, "start_ns": 1, "key": "k"}
    second = {"event": "invoked", "operation": 1, "attempt": 2, "start_ns": 2, "habit": "double-tap"}
    answers = [
        {"event": "completed", "operation": 1, "attempt": number, "end_ns": 9 - number, "outcome": "ok"} for number in (1, 2)
    ]
    (asked,) = read_history(lines([first, second])).operations
    (told,) = read_history(lines([first, second, *answers])).operations
    for operation in (asked, told):
        assert [attempt.habit for attempt in operation.attempts] == ["", "double-tap"]
        assert operation.habit == "double-tap"
    assert (asked.end_ns, asked.ended_ns) == (None, None)
    # The second call was answered first, and that is when the customer knew.
    assert (told.answer.number, told.end_ns, told.ended_ns) == (2, 7, 8)
    (half,) = read_history(lines([first, second, {**answers[0], "outcome": "fail"}])).operations
    assert (half.outcome, half.end_ns) == (Outcome.INFO, None)


def test_an_early_reading_of_the_ledger_stands_beside_the_final_ones():
    *rows, end = ledger_events(LEDGER, read=0)
    history = read_history(lines([*EVENTS, *rows, {**end, "begun_ns": 77}]))
    assert history.early == EarlyRead(begun_ns=77, ledger=LEDGER)
    assert history.final == HISTORY.final
    history = read_history(lines([*EVENTS, {"event": "not-read-early", "error": "no primary", "at_ns": 77}]))
    assert history.early == EarlyRead(begun_ns=77, error="no primary")


def test_what_machines_paid_out_what_is_taken_back_and_who_asked_by_what_are_read():
    notes = {"event": "dispensed", "operation": 1, "key": "k", "amount": 5, "at_ns": 7}
    invoked = {"event": "invoked", "attempt": 1, "journey": "withdraw", "due_ns": 1, "start_ns": 1}
    back = {**invoked, "operation": 1, "key": "back", "reverses": "k"}
    login = {**invoked, "operation": 2, "credentials": {"customer": "ada", "secret": "wrong"}}
    logout = {**invoked, "operation": 3, "credentials": {"session": "s1", "ends": True}}
    history = read_history(lines([notes, back, login, logout]))
    assert history.dispensed == (Dispensed(operation=1, key="k", amount=5, at_ns=7),)
    assert [operation.reverses for operation in history.operations] == ["k", "", ""]
    assert [operation.credentials for operation in history.operations] == [
        None,
        Credentials(customer="ada", secret="wrong"),
        Credentials(session="s1", ends=True),
    ]
    assert read_history(lines([{**login, "credentials": "ada"}])).torn_lines == 1
