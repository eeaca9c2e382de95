"""The small verifier against real certificates, and against every way to spoil a history or a certificate.

What the checks say is not asked here: the verifier must find each by itself.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from chaoskit.checkers.money import verify as module
from chaoskit.checkers.money.certificate import certificate
from chaoskit.model.history import read_history

SOURCE = Path(module.__file__)
PAY, BACK = {"ada": -100, "ben": 100}, {"ben": -50, "ada": 50}


def lines_of(events):
    return [json.dumps(event).encode() + b"\n" for event in events]


@pytest.fixture
def run(story, bank, events_of):
    """The events of a right run and its certificate: answered, unknown, refused, retried, looked at."""
    story.operation(1, key="k1", intent="i1", legs=PAY, result={"account": "ada", "balance": 900, "version": 1})
    story.look(2, "ada", 900, 1)
    story.operation(3, "info", key="k2", intent="i2", legs=BACK)
    story.operation(4, "info", key="k3", intent="i3", legs=PAY)
    story.operation(5, "fail", key="k4", intent="i4", legs=PAY)
    story.operation(6, "info", "ok", "ok", key="k5", intent="i5", legs=PAY, result={"account": "ada", "balance": 850, "version": 3})
    story.look(7, "ada", 850)
    story.look(8, "cid", 1000, 0)
    story.operation(9, journey="login")
    for key, legs in (("k1", PAY), ("k2", BACK), ("k5", PAY)):
        bank.book(key, legs)
    bank.settled |= {"k2": "applied", "k3": "tombstone"}
    bank.digests |= {"one": "abc", "two": "abc"}
    events = list(events_of(bank.close(story, run={"run": "a-run"})))
    return events, certificate(read_history(lines_of(events)))


def verdict(events, certified):
    try:
        return 0, module.verify(lines_of(events), json.loads(json.dumps(certified)))
    except module.Stop as stop:
        return stop.args
    except Exception as error:
        return 2, repr(error)


def test_follows_a_right_run_to_its_end(run):
    assert verdict(*run) == (0, "6 payments and looks followed in one order, not sealed")


def test_the_certificate_is_what_a_person_can_read(run):
    _, certified = run
    assert certified["unknown"] == {
        "k2": {"settled": "applied", "in_ledger": True},
        "k3": {"settled": "tombstone", "in_ledger": False},
    }
    assert certified["order"] == [
        ["payment", "t1", "k1"],
        ["look", 2, 1, {"ada": 1}],
        ["payment", "t2", "k2"],
        ["payment", "t3", "k5"],
        ["look", 7, 1, {"ada": 3}],
        ["look", 8, 1, {"cid": 0}],
    ]
    assert (certified["run"], certified["unplaced"]) == ("a-run", [])


def of(events, name, **like):
    """The first event of that name with these values."""
    return next(e for e in events if e["event"] == name and all(e.get(k) == v for k, v in like.items()))


HISTORY = {
    "an acknowledged payment is gone": lambda e, c: without(e, "k1", c),
    "an unknown payment that was applied is gone": lambda e, c: without(e, "k2", c),
    "a refused payment was acknowledged": lambda e, c: of(e, "completed", operation=5).update(outcome="ok"),
    "an acknowledged payment was refused": lambda e, c: of(e, "completed", operation=1).update(outcome="fail"),
    "a barred key was applied": lambda e, c: of(e, "fence")["settled"].update(k3="applied"),
    "an applied key was barred": lambda e, c: of(e, "fence")["settled"].update(k2="tombstone"),
    "a key was never settled": lambda e, c: of(e, "fence")["settled"].pop("k3"),
    "transactions were open": lambda e, c: of(e, "fence").update(open_transactions=1),
    "the fence is missing": lambda e, c: e.remove(of(e, "fence")),
    "the second read is missing": lambda e, c: e.remove(of(e, "ledger", read=2)),
    "the end is missing": lambda e, c: e.remove(of(e, "finished")),
    "the end of the load is missing": lambda e, c: e.remove(of(e, "load")),
    "the end did not succeed": lambda e, c: e.append({"event": "not-settled", "error": "no primary"}),
    "the opening balances are missing": lambda e, c: e.remove(of(e, "opening")),
    "another opening balance": lambda e, c: of(e, "opening")["balances"].update(ada=1001),
    "an account is gone": lambda e, c: (e.remove(of(e, "account", account="cid")), of(e, "ledger", read=1).update(accounts=2)),
    "a line of an account is missing": lambda e, c: e.remove(of(e, "account", account="cid")),
    "a line of a posting is missing": lambda e, c: e.remove(of(e, "posting", key="k2")),
    "another balance at the end": lambda e, c: of(e, "account", account="ben").update(balance=1),
    "another version at the end": lambda e, c: of(e, "account", account="ben").update(version=9),
    "a limit that was not kept": lambda e, c: of(e, "account", account="ada").update(lowest=851),
    "another amount": lambda e, c: of(e, "posting", key="k1", account="ada").update(amount=-99),
    "another balance after": lambda e, c: of(e, "posting", key="k1").update(balance_after=1),
    "another version": lambda e, c: of(e, "posting", key="k5").update(version=1),
    "another key": lambda e, c: [p.update(key="k9") for p in e if p.get("transaction") == "t2"],
    "another account": lambda e, c: of(e, "posting", key="k1", account="ben").update(account="cid"),
    "a transaction twice": lambda e, c: twice(e),
    "copies differ": lambda e, c: of(e, "digests")["members"].update(two="abd"),
    "other legs were asked for": lambda e, c: of(e, "invoked", operation=1)["legs"].update(ada=-99),
    "asked for later than it was seen": lambda e, c: of(e, "invoked", operation=1).update(start_ns=60_000_000_000),
    "told before an earlier one began": lambda e, c: of(e, "completed", operation=6, attempt=2).update(end_ns=51_000_000_000),
    "two keys of one intent": lambda e, c: of(e, "invoked", operation=6).update(intent="i1"),
    "one key was answered differently": lambda e, c: of(e, "completed", operation=6, attempt=3)["result"].update(balance=1),
    "another balance was seen": lambda e, c: of(e, "completed", operation=2)["result"].update(balance=1000),
    "another version was seen": lambda e, c: of(e, "completed", operation=2)["result"].update(version=0),
    "a look that is not certified": lambda e, c: of(e, "completed", operation=9)["result"].update(account="ada", balance=850),
    "a certified look that is not there": lambda e, c: of(e, "completed", operation=2).update(outcome="fail"),
    "seen too late": lambda e, c: shift(e, 2, 6_000_000_000),
    "seen too early": lambda e, c: shift(e, 7, -6_000_000_000),
    "an attempt twice": lambda e, c: e.append(of(e, "invoked", operation=1)),
    "an answer to nothing": lambda e, c: of(e, "completed", operation=1).update(attempt=7),
    "what is no event": lambda e, c: e.append({"no": "event"}),
    "another run": lambda e, c: of(e, "run").update(run="b-run"),
    "what was refused under a used key is what was booked": lambda e, c: rival(e),
    "an answer that the ledger does not bear out": lambda e, c: of(e, "completed", operation=1)["result"].update(balance=7),
}
CERTIFICATE = {
    "another run": lambda c: c.update(run="b-run"),
    "a payment is missing": lambda c: c["order"].pop(3),
    "a payment twice": lambda c: c["order"].insert(1, c["order"][0]),
    "a payment of nobody": lambda c: c["order"].append(["payment", "t9", "k9"]),
    "another order by account": lambda c: c["order"].insert(0, c["order"].pop(2)),
    "another order in time": lambda c: c["order"].insert(0, c["order"].pop()),
    "a look is missing": lambda c: c["order"].pop(1),
    "a look twice": lambda c: c["order"].append(c["order"][-1]),
    "a look saw another version": lambda c: c["order"][1][3].update(ada=0),
    "a look at another place": lambda c: c["order"].insert(4, c["order"].pop(1)),
    "another kind": lambda c: c["order"][0].__setitem__(0, "gift"),
    "a look without a place": lambda c: c["unplaced"].append([2, 1]),
    "an unknown key is missing": lambda c: c["unknown"].pop("k2"),
    "an unknown key too many": lambda c: c["unknown"].update(k1={"settled": "applied", "in_ledger": True}),
    "settled otherwise": lambda c: c["unknown"]["k3"].update(settled="refused"),
    "in the ledger otherwise": lambda c: c["unknown"]["k3"].update(in_ledger=True),
    "a part is missing": lambda c: c.pop("unknown"),
}


def without(events, key, certified):
    """Take a transaction out of the ledger, as if it had never been there, and out of the certificate."""
    events[:] = [event for event in events if not (event["event"] == "posting" and event["key"] == key)]
    of(events, "ledger", read=1)["postings"] -= 2
    certified["order"] = [row for row in certified["order"] if row[2] != key]
    if key in certified["unknown"]:
        certified["unknown"][key]["in_ledger"] = False


def twice(events):
    at = max(i for i, event in enumerate(events) if event["event"] == "posting") + 1
    again = [{**p, "transaction": "t4"} for p in events if p["event"] == "posting" and p["key"] == "k5"]
    events[at:at] = again
    of(events, "ledger", read=1)["postings"] += 2


def rival(events):
    """Somebody asks for another payment under k1 and is refused, and the ledger has theirs."""
    asked = {**of(events, "invoked", operation=1), "operation": 99, "intent": "i99", "legs": {"ada": -100, "cid": 100}}
    events += [asked, {**of(events, "completed", operation=1), "operation": 99, "outcome": "fail"}]
    for row in (of(events, "posting", key="k1", account="ben"), *(e for e in events if e["event"] == "account")):
        if row["account"] == "ben" and row["event"] == "posting":
            row.update(account="cid", balance_after=1_100)
        elif row["account"] in ("ben", "cid"):
            by, version = (-100, -1) if row["account"] == "ben" else (100, 1)
            row.update(balance=row["balance"] + by, version=row["version"] + version)
    for posting in (e for e in events if e["event"] == "posting" and e["account"] == "ben"):
        posting.update(balance_after=posting["balance_after"] - 100, version=posting["version"] - 1)
    shift(events, 8, -7_500_000_000)  # whoever looked at cid did so before that


def shift(events, operation, by_ns):
    of(events, "invoked", operation=operation)["start_ns"] += by_ns
    of(events, "completed", operation=operation)["end_ns"] += by_ns


ENDS, EARLIER = "an account ends as no payment left it", "was over before something began that comes earlier in the order"
SETTLED = "the certificate settles other keys than the history, or otherwise"
WHY = {
    "an acknowledged payment is gone": "key k1 (ok) is in the ledger 0 times, and what it was for 0 times",
    "an unknown payment that was applied is gone": "key k2 (ok) is in the ledger 0 times, and what it was for 0 times",
    "a refused payment was acknowledged": "key k4 (ok) is in the ledger 0 times, and what it was for 0 times",
    "an acknowledged payment was refused": "key k1 (fail) is in the ledger 1 times, and what it was for 1 times",
    "a barred key was applied": "key k3 (ok) is in the ledger 0 times, and what it was for 0 times",
    "an applied key was barred": "key k2 (fail) is in the ledger 1 times, and what it was for 1 times",
    "another opening balance": "('t1', 'k1') does not follow on ada",
    "an account is gone": "an account is gone",
    "another balance at the end": ENDS,
    "another version at the end": ENDS,
    "a limit that was not kept": "payment ('t3', 'k5') takes more than ada has",
    "another amount": "('t1', 'k1') does not follow on ada",
    "another balance after": "('t1', 'k1') does not follow on ada",
    "another version": "('t3', 'k5') does not follow on ada",
    "another key": "key k2 (ok) is in the ledger 0 times, and what it was for 0 times",
    "another account": "payment ('t1', 'k1') is not what was asked for",
    "a transaction twice": "key k5 (ok) is in the ledger 2 times, and what it was for 2 times",
    "copies differ": "copies of the ledger differ",
    "other legs were asked for": "payment ('t1', 'k1') is not what was asked for",
    "asked for later than it was seen": f"look (2, 1) {EARLIER}",
    "told before an earlier one began": f"payment ('t3', 'k5') {EARLIER}",
    "two keys of one intent": "key k1 (ok) is in the ledger 1 times, and what it was for 2 times",
    "one key was answered differently": "answer (6, 3) is another one than its key had before",
    "another balance was seen": "look (2, 1) is wrong",
    "another version was seen": "look (2, 1) is wrong",
    "a look that is not certified": "0 payments and 1 looks are not in the order",
    "a certified look that is not there": "look (2, 1) is not in the history, or twice in the order",
    "seen too late": f"payment ('t3', 'k5') {EARLIER}",
    "seen too early": f"look (7, 1) {EARLIER}",
    "another run": "the certificate is of another run",
    "what was refused under a used key is what was booked": "payment ('t1', 'k1') is not what was asked for",
    "an answer that the ledger does not bear out": "('t1', 'k1') is not as its customer was told",
    "a payment is missing": "look (7, 1) is wrong",
    "a payment twice": "payment ('t1', 'k1') is not in the history, or twice in the order",
    "a payment of nobody": "payment ('t9', 'k9') is not in the history, or twice in the order",
    "another order by account": "('t2', 'k2') does not follow on ben",
    "another order in time": f"payment ('t1', 'k1') {EARLIER}",
    "a look is missing": "0 payments and 1 looks are not in the order",
    "a look twice": "look (8, 1) is not in the history, or twice in the order",
    "a look saw another version": "look (2, 1) is wrong",
    "a look at another place": "look (2, 1) is wrong",
    "an unknown key is missing": SETTLED,
    "an unknown key too many": SETTLED,
    "settled otherwise": SETTLED,
    "in the ledger otherwise": SETTLED,
}
"""What a person is told of money that is wrong: exit code 1."""
MISSING = {
    "a key was never settled": "key k3 was never settled",
    "transactions were open": "the end did not succeed",
    "the fence is missing": "IndexError('list index out of range')",
    "the second read is missing": "KeyError(2)",
    "the end is missing": "the history has no beginning or no end",
    "the end of the load is missing": "the history has no beginning or no end",
    "the end did not succeed": "the end did not succeed",
    "the opening balances are missing": "the history has no beginning or no end",
    "a line of an account is missing": "lines are missing",
    "a line of a posting is missing": "lines are missing",
    "an attempt twice": "attempt (1, 1) is in the history twice",
    "an answer to nothing": "KeyError((1, 7))",
    "what is no event": "KeyError('event')",
    "another kind": "KeyError('gift')",
    "a look without a place": "1 looks have no place in the order",
    "a part is missing": "KeyError('unknown')",
}
"""What they are told of evidence that is missing, or that nobody can read: exit code 2."""


def told(name):
    return (1, WHY[name]) if name in WHY else (2, MISSING[name])


@pytest.mark.parametrize("name", HISTORY)
def test_finds_what_is_wrong_with_a_history(run, name):
    events, certified = copy.deepcopy(run)
    HISTORY[name](events, certified)
    assert verdict(events, certified) == told(name)


@pytest.mark.parametrize("name", CERTIFICATE)
def test_finds_what_is_wrong_with_a_certificate(run, name):
    events, certified = copy.deepcopy(run)
    CERTIFICATE[name](certified)
    assert verdict(events, certified) == told(name)


RIGHT = {
    "the second read in full": lambda e, c: read_again(e),
    "an attempt that was never answered": lambda e, c: e.remove(of(e, "completed", operation=3)),
    "another member carried the answer": lambda e, c: of(e, "completed", operation=6, attempt=3)["result"].update(served_by="two"),
    "an answer with a warning": lambda e, c: of(e, "completed", operation=6, attempt=3)["result"].update(warning="cancelled"),
    "an account that was opened later": lambda e, c: open_later(e),
    "a look at what is not in the books": lambda e, c: of(e, "completed", operation=9)["result"].update(account="eve", balance=1),
    "a look without a balance": lambda e, c: of(e, "completed", operation=9)["result"].update(account="ada"),
    "several accounts, and some that are none": lambda e, c: of(e, "completed", operation=2).update(
        result={"accounts": [{"account": "ada", "balance": 900}, {"account": "eve", "balance": 1}, {"account": "ada"}, "ada"]}
    ),
    "a payment without a key that shows a balance": lambda e, c: (
        of(e, "invoked", operation=9).update(legs={"ada": -1}),
        of(e, "completed", operation=9)["result"].update(account="ada", balance=7),
    ),
    "a transfer to oneself that nobody answered or settled": lambda e, c: (
        e.append({**of(e, "invoked", operation=4), "operation": 99, "key": "k9", "intent": "i9", "legs": {"ada": 0}}),
        c["unknown"].update(k9={"settled": "", "in_ledger": False}),
    ),
    "an answer with another status": lambda e, c: of(e, "completed", operation=1).update(status=201),
    "everything began with the clock": lambda e, c: of(e, "invoked", operation=1).update(start_ns=0),
}


def read_again(events):
    at = events.index(of(events, "ledger", read=2))
    first = [event for event in events if event.get("read") == 1]
    events[at : at + 1] = [{**event, "read": 2} for event in first]


def open_later(events):
    of(events, "opening")["balances"].pop("cid")
    of(events, "account", account="cid").update(balance=0)
    of(events, "completed", operation=8)["result"].update(balance=0)


@pytest.mark.parametrize("change", RIGHT.values(), ids=RIGHT)
def test_is_not_stopped_by_what_is_right(run, change):
    events, certified = copy.deepcopy(run)
    change(events, certified)
    assert verdict(events, certified)[0] == 0, verdict(copy.deepcopy(events), certified)


def test_two_reads_that_differ_are_no_evidence(run):
    events, certified = copy.deepcopy(run)
    read_again(events)
    of(events, "posting", read=2)["amount"] += 1
    assert verdict(events, certified) == (2, "reads differ or lack evidence")


def test_one_key_must_be_answered_with_one_status(run):
    events, certified = copy.deepcopy(run)
    of(events, "completed", operation=6, attempt=3).update(status=201)
    assert verdict(events, certified) == (1, WHY["one key was answered differently"])


def test_a_payment_that_nobody_asked_for_is_not_followed(run):
    """Also where the certificate has it in its place."""
    events, certified = copy.deepcopy(run)
    for event in [event for event in events if event.get("operation") == 3]:
        events.remove(event)
    certified["unknown"].pop("k2")
    assert verdict(events, certified) == (1, "payment ('t2', 'k2') is not what was asked for")


def sealed(events):
    lines = lines_of(events)
    return [*events, {"event": "sealed", "sha256": hashlib.sha256(b"".join(lines)).hexdigest()}]


def test_a_sealed_history_must_be_as_it_was(run):
    events, certified = run
    assert verdict(sealed(events), certified) == (0, "6 payments and looks followed in one order, sealed")
    spoilt = sealed(events)
    spoilt[0]["title"] = "another"
    assert verdict(spoilt, certified) == (1, "the history changed after it was sealed")
    assert verdict([*sealed(events), {"event": "phase", "phase": "end"}], certified) == (
        1,
        "something was added after the history was sealed",
    )
    assert verdict(sealed(sealed(events)), certified)[0] == 0, "a run that was cleaned up later is sealed again"


def test_is_a_command_with_an_exit_code(run, tmp_path):
    events, certified = run

    def go(*command):
        done = subprocess.run([sys.executable, *command, str(tmp_path)], capture_output=True, text=True, check=False, timeout=60)
        assert done.stderr == ""
        return done.returncode, done.stdout

    (tmp_path / "history.jsonl").write_bytes(b"".join(lines_of(events)))
    assert go(str(SOURCE))[0] == 2, "no certificate"
    (tmp_path / "certificate.json").write_text(json.dumps(certified))
    assert go("-I", str(SOURCE)) == (0, "6 payments and looks followed in one order, not sealed\n"), "it stands alone"
    assert go("-m", "chaoskit.checkers.money.verify")[0] == 0
    of(events, "account", account="ben")["balance"] += 1
    (tmp_path / "history.jsonl").write_bytes(b"".join(lines_of(events)))
    assert go(str(SOURCE)) == (1, "an account ends as no payment left it\n")


def test_a_run_with_wrong_money_has_a_witness_in_place_of_a_certificate(run, tmp_path):
    events, _ = run
    (tmp_path / "history.jsonl").write_bytes(b"".join(lines_of(events)))
    (tmp_path / "witness.json").write_text("{}")
    done = subprocess.run([sys.executable, str(SOURCE), str(tmp_path)], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == f"no certificate, but a witness of what is wrong: {tmp_path / 'witness.json'}\n"


def test_a_ledger_that_cannot_show_everything_is_not_followed(run):
    events, certified = run
    of(events, "ledger", read=1)["lacks"] = ["whether transactions are open"]
    assert verdict(events, certified) == (2, "reads differ or lack evidence")


def test_is_small_and_shares_no_code_with_what_it_verifies():
    text = SOURCE.read_text()
    assert len(text.splitlines()) <= 150
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert imported <= set(sys.stdlib_module_names)


def test_a_payment_in_two_postings_of_one_account_is_their_sum(story, bank, events_of):
    story.operation(1, key="k1", legs={"ada": -100, "ben": 100})
    bank.book("k1", {"ada": -100, "ben": 100})
    whole = bank.ledger()
    ada, ben = whole.postings
    parts = (replace(ada, amount=-40, balance_after=960), replace(ada, amount=-60, version=2), ben)
    accounts = tuple(replace(one, version=2) if one.account == "ada" else one for one in whole.accounts)
    history = bank.close(story, replace(whole, postings=parts, accounts=accounts))
    assert verdict(list(events_of(history)), certificate(history)) == (0, "1 payments and looks followed in one order, not sealed")
