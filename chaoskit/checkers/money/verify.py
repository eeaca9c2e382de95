"""Follows a run's certificate through its history: `python -m chaoskit.checkers.money.verify RUN`, or this file by itself.

Exit 0: the money is right, step by step. 1: it is not, or the certificate is not of this history. 2: evidence is missing.
It uses the standard library only and none of the code that judged the run: trust these lines and the history, nothing else.
"""

import hashlib
import json
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

RANKS = ("fail", "info", "ok")  # of several attempts: ok if any was, surely without effect if all were, else unknown
MEANS = {"applied": "ok", "refused": "fail", "tombstone": "fail"}
Events = dict[str, list[Any]]


class Stop(Exception):
    """The exit code and why."""


def need(is_so: object, why: str, *, code: int = 1) -> None:
    if not is_so:
        raise Stop(code, why)


def read(lines: list[bytes]) -> Events:
    """The events by kind. A sealed history must be as it was when it was sealed."""
    events: Events = defaultdict(list)
    for number, line in enumerate(lines):
        event = json.loads(line)
        events[event["event"]].append(event)
        if event["event"] == "sealed":
            need(event["sha256"] == hashlib.sha256(b"".join(lines[:number])).hexdigest(), "the history changed after it was sealed")
    need(not events["sealed"] or event["event"] == "sealed", "something was added after the history was sealed")
    need(events["finished"] and events["load"] and events["opening"], "the history has no beginning or no end", code=2)
    return events


def ledger(events: Events) -> tuple[dict[str, Any], dict[Any, Any]]:
    """Accounts by name, and postings by transaction and key, of two equal reads behind a fence that held."""
    need(not events["not-settled"] and events["fence"][-1]["open_transactions"] == 0, "the end did not succeed", code=2)
    ends, rows = {event["read"]: event for event in events["ledger"]}, defaultdict(list)
    for event in events["account"] + events["posting"]:
        rows[event.pop("read")].append(event)
    need("lacks" not in ends[1] and (ends[2].get("same_as_first") or rows[1] == rows[2]), "reads differ or lack evidence", code=2)
    accounts = {row["account"]: row for row in rows[1] if row["event"] == "account"}
    postings: dict[Any, Any] = defaultdict(list)
    for row in rows[1][len(accounts) :]:
        postings[row["transaction"], row["key"]].append(row)
    need(ends[1] | {"accounts": len(accounts), "postings": len(rows[1]) - len(accounts)} == ends[1], "lines are missing", code=2)
    need(events["opening"][-1]["balances"].keys() <= accounts.keys(), "an account is gone")
    need(all(len(set(event["members"].values())) <= 1 for event in events["digests"]), "copies of the ledger differ")
    return accounts, postings


def customers(events: Events, books: set[str]) -> tuple[dict[str, Any], dict[Any, Any]]:
    """By key, what was asked for and what the customer was told; by operation and attempt, when and what a look showed."""
    asked, attempts = {event["operation"]: event for event in reversed(events["invoked"])}, {}
    keys, looks = dict[str, Any](), dict[Any, Any]()
    for event in events["invoked"]:
        name = event["operation"], event["attempt"]
        need(name not in attempts, f"attempt {name} is in the history twice", code=2)
        attempts[name] = {**event, "end_ns": sys.maxsize, "outcome": "info", "result": {}, "status": 0}
    for event in events["completed"]:
        attempts[event["operation"], event["attempt"]].update(event)
    for name, attempt in attempts.items():
        operation, is_ok, result = asked[name[0]], attempt["outcome"] == "ok", attempt["result"]
        legs = Counter(operation.get("legs", {}))  # two of these are equal where one lacks what is 0 in the other
        if operation.get("key"):
            new = {"asked": [], "said": [], "claims": {}, "start_ns": sys.maxsize, "end_ns": sys.maxsize, "outcome": "fail"}
            key = keys.setdefault(operation["key"], {**new, "intent": operation["intent"]})
            key["asked"] += [legs] * (attempt["outcome"] != "fail")
            key["start_ns"] = min(key["start_ns"], attempt["start_ns"])
            key["outcome"] = max(key["outcome"], attempt["outcome"], key=RANKS.index)
            if is_ok:
                key["end_ns"] = min(key["end_ns"], attempt["end_ns"])
                key["said"].append((legs, attempt["status"], {**result, "served_by": "", "warning": ""}))
                key["claims"][result.get("account"), result.get("version")] = result.get("balance")
                need(key["said"][0] == key["said"][-1], f"answer {name} is another one than its key had before")
        elif is_ok and not operation.get("legs"):
            rows = result["accounts"] if isinstance(result.get("accounts"), list) else [result]
            shown = [row for row in rows if isinstance(row, dict) and "balance" in row and row.get("account") in books]
            if shown:
                looks[name] = {**attempt, "shown": shown}
    return keys, looks


def settle(keys: dict[str, Any], settled: dict[str, str], certified: object, postings: dict[Any, Any]) -> None:
    """Every intent is in the ledger once if anybody was told so, else at most once, and never if it was refused."""
    booked, unknown = Counter(key for _, key in postings), {}
    times = Counter(keys[key]["intent"] or key for key in booked.elements() if key in keys)
    for name, key in keys.items():
        answer, wanted = key["outcome"], times[key["intent"] or name]
        moves = any(any(legs.values()) for legs in key["asked"])
        if answer == "info":
            unknown[name] = {"settled": settled.get(name, ""), "in_ledger": booked[name] > 0}
            answer = MEANS.get(settled.get(name, ""), "info")
            need(name in settled or not moves, f"key {name} was never settled", code=2)
        is_right = wanted <= 1 and (wanted or answer != "ok" or not moves) and not (booked[name] and answer == "fail")
        need(is_right, f"key {name} ({answer}) is in the ledger {booked[name]} times, and what it was for {wanted} times")
    need(certified == unknown, "the certificate settles other keys than the history, or otherwise")


def verify(lines: list[bytes], certificate: dict[str, Any]) -> str:
    """What was followed, in one sentence. Raises `Stop`, or what a malformed history or certificate raises."""
    events = read(lines)
    need(certificate["run"] == events["run"][-1]["run"], "the certificate is of another run")
    accounts, postings = ledger(events)
    keys, looks = customers(events, set(accounts))
    settle(keys, events["fence"][-1]["settled"], certificate["unknown"], postings)
    need(not certificate["unplaced"], f"{len(certificate['unplaced'])} looks have no place in the order", code=2)
    latest_ns, held = 0, {account: [events["opening"][-1]["balances"].get(account, 0), 0] for account in accounts}
    for kind, *row in certificate["order"]:
        name: Any = (row[0], row[1])
        need(name in {"payment": postings, "look": looks}[kind], f"{kind} {name} is not in the history, or twice in the order")
        if kind == "payment":
            what, legs = keys.get(name[1], {"asked": (), "claims": {}}), Counter[str]()
            for posting in postings.pop(name):
                now, lowest = held[posting["account"]], accounts[posting["account"]]["lowest"]
                now[:] = now[0] + posting["amount"], now[1] + 1
                legs[posting["account"]] += posting["amount"]
                need(now == [posting["balance_after"], posting["version"]], f"{name} does not follow on {posting['account']}")
                need(what["claims"].get((posting["account"], now[1]), now[0]) == now[0], f"{name} is not as its customer was told")
                need(lowest is None or now[0] >= lowest, f"payment {name} takes more than {posting['account']} has")
            need(legs in what["asked"] and not sum(legs.values()), f"payment {name} is not what was asked for")
        else:
            what = looks.pop(name)
            for at in what["shown"]:
                now = held[at["account"]]
                need([at["balance"], row[2][at["account"]]] == now and at.get("version") in (None, now[1]), f"look {name} is wrong")
        need(what["end_ns"] >= latest_ns, f"{kind} {name} was over before something began that comes earlier in the order")
        latest_ns = max(latest_ns, what["start_ns"])
    need(not postings and not looks, f"{len(postings)} payments and {len(looks)} looks are not in the order")
    need(held == {name: [at["balance"], at["version"]] for name, at in accounts.items()}, "an account ends as no payment left it")
    return f"{len(certificate['order'])} payments and looks followed in one order, {'sealed' if events['sealed'] else 'not sealed'}"


if __name__ == "__main__":
    try:
        run, code = Path(sys.argv[1]), 0
        need(not (run / "witness.json").exists(), f"no certificate, but a witness of what is wrong: {run / 'witness.json'}")
        said = verify((run / "history.jsonl").read_bytes().splitlines(True), json.loads((run / "certificate.json").read_bytes()))
    except Stop as stop:
        code, said = stop.args
    except Exception as error:
        code, said = 2, f"the history or the certificate cannot be followed: {type(error).__name__}: {error}"
    print(said)  # noqa: T201 -- it is a command
    sys.exit(code)
