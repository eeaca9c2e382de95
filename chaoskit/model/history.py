"""What happened, as ordered events: the only input to judgement. A stored run can be judged again without any service.

`history.jsonl` has one JSON object a line. The runner and the load process both append whole lines to it; times are
`time.monotonic_ns()` of one machine, comparable between processes. An operation with no answer stays unknown (`info`).
"""

from __future__ import annotations

import enum
import gc
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import cast

from chaoskit.model.errors import ChaoskitError
from chaoskit.model.topology import AccountState, Credit, Currency, Evidence, GroupLimit, LedgerState, Posting

FORMAT = 1

_DECODER = json.JSONDecoder()


class Outcome(enum.StrEnum):
    """What is known of an operation's effect."""

    OK = "ok"
    FAIL = "fail"
    """It surely had no effect."""
    INFO = "info"
    """Unknown: it may have happened, or may yet happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call on the wire. `end_ns` is None when no answer was ever recorded."""

    number: int
    start_ns: int
    end_ns: int | None = None
    outcome: Outcome = Outcome.INFO
    status: int = 0
    """The HTTP status, 0 when there was none."""
    why: str = ""
    served_by: str = ""
    """The member that did the work, as its answer says; "" when it does not."""
    result: Mapping[str, object] = field(default_factory=dict)
    habit: str = ""
    """The habit for which it was made (`chaoskit.model.journey.Habit`); "" for a call that a careful client would make, too."""
    is_resent: bool = False
    """Whether the load sent it after its end, to learn what became of the operation. Its customer saw nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """By what the customer of one operation said who they are: by a secret, or by a session that they were given for one before.

    The record never has the secret itself, only whether it was the `right` or the `wrong` one ("" for none). `session` is the name
    of a session, which lets nobody in. With `ends` the operation asks for the end of that session.
    """

    customer: str = ""
    secret: str = ""
    session: str = ""
    ends: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What a customer wanted, once, with every call that was made for it.

    `legs` is the effect on accounts that an accepted operation must have (signed minor units by account; empty for reads).
    `due_ns` is when the open-loop schedule wanted it to begin: latency counts from there.
    """

    number: int
    journey: str
    due_ns: int
    attempts: tuple[Attempt, ...]
    begun_ns: int | None = None
    """When the load began with it: what is later than `due_ns` is the load's own lateness. None when that was not recorded."""
    intent: str = ""
    key: str = ""
    legs: Mapping[str, int] = field(default_factory=dict)
    closed_ns: int | None = None
    """When the customer was done with it, after the last attempt; None when the load ended before."""
    session: str = ""
    """Who asked; "" when that was not recorded."""
    reverses: str = ""
    """The key of the operation whose effect it takes back, if there was one; "" for all but reversals."""
    credentials: Credentials | None = None
    """None where it was not recorded."""

    @property
    def outcome(self) -> Outcome:
        """Ok if any attempt was ok; fail if every attempt surely had no effect; otherwise unknown.

        A refusal after an unknown attempt stays unknown: the first attempt may be why the second was refused.
        """
        if len(self.attempts) == 1:
            return self.attempts[0].outcome  # nearly every operation, and asked by every checker
        outcomes = {attempt.outcome for attempt in self.attempts}
        if Outcome.OK in outcomes:
            return Outcome.OK
        return Outcome.FAIL if outcomes == {Outcome.FAIL} else Outcome.INFO

    @property
    def start_ns(self) -> int:
        return self.attempts[0].start_ns

    @property
    def answer(self) -> Attempt | None:
        """The ok attempt that was answered first, or None."""
        answers = [attempt for attempt in self.attempts if attempt.outcome is Outcome.OK]
        return min(answers, key=lambda attempt: attempt.end_ns or 0) if len(answers) > 1 else answers[0] if answers else None

    @property
    def end_ns(self) -> int | None:
        """When the customer knew: the first ok answer, else the last answer; None if one is still to come, or never came."""
        answer = self.answer
        return answer.end_ns if answer else self.ended_ns

    @property
    def ended_ns(self) -> int | None:
        """When the last answer to any of its attempts came; None while one is without. Attempts may be under way at once."""
        if len(self.attempts) == 1:
            return self.attempts[0].end_ns
        ends = [attempt.end_ns for attempt in self.attempts if attempt.end_ns is not None]
        return max(ends) if len(ends) == len(self.attempts) else None

    @property
    def as_its_customer_saw(self) -> Operation:
        """Without what the load sent again after its end: how well customers were served is judged by this."""
        if len(self.attempts) == 1 or not self.attempts[-1].is_resent:
            return self
        return replace(self, attempts=tuple(attempt for attempt in self.attempts if not attempt.is_resent))

    @property
    def habit(self) -> str:
        """The habit for which any of its attempts was made; "" when a careful client would have made all of them."""
        return next((attempt.habit for attempt in self.attempts if attempt.habit), "")

    @property
    def why(self) -> str:
        return self.attempts[-1].why


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispensed:
    """One line of a cash machine's own journal: notes that left it for an operation. Customers' side wrote it, not the bank."""

    operation: int
    key: str
    amount: int
    at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRecord:
    """One fault's life. A time is None when that step was not reached."""

    fault: str
    """Its name in the run: `faults[0] kill`."""
    kind: str
    targets: tuple[str, ...]
    """What it really hit, roles resolved: `ledger-db-1`, or `core -> ledger-db-1`."""
    due_ns: int
    injecting_ns: int | None = None
    injected_ns: int | None = None
    effect_seen: bool = False
    evidence: str = ""
    healing_ns: int | None = None
    healed_ns: int | None = None
    heal_evidence: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at the live system. `role` samples of a member have `role`, `accepts_writes`, `streaming` in `values`."""

    probe: str
    subject: str
    at_ns: int
    values: Mapping[str, str | float | bool | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadCounts:
    """The load's own account of itself, from its trailer."""

    scheduled: int
    sent: int
    finished: int
    drained: bool
    """False when operations were still open at the end of the drain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalReads:
    """The end of a run: what was fenced off and what the ledger said, twice.

    `settled` says for every key without a definite answer whether it was `applied`, `refused` or given a `tombstone`; keys that
    could not be made definite are left out. `open_transactions` is None when nobody could tell.
    `error` is "" when every step succeeded; otherwise it names the one that did not, and no safety verdict can be drawn.
    """

    settled: Mapping[str, str] = field(default_factory=dict)
    open_transactions: int | None = None
    first: LedgerState | None = None
    second: LedgerState | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyRead:
    """The ledger while customers were there, before anything was injected; None, with the `error`, if it could not be read."""

    begun_ns: int
    ledger: LedgerState | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProblem:
    """What ended or spoilt the run: `result` is `aborted`, `error` or `inconclusive` where that was not the system.

    `failed` where it was: what was found before anything was injected made that needless.
    """

    result: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Everything that was recorded, in order of time. `complete` is false when the trailer is missing (the runner died)."""

    run: Mapping[str, object] = field(default_factory=dict)
    opening: Mapping[str, int] | None = None
    """Opening balances by account; None when the system keeps no money."""
    earlier: frozenset[tuple[str, str]] = frozenset()
    """The transactions, with their keys, that were in the ledger before anybody was let in."""
    phases: Mapping[str, int] = field(default_factory=dict)
    """When each phase began: `load`, `drain`, `settle`, `end`."""
    operations: tuple[Operation, ...] = ()
    dispensed: tuple[Dispensed, ...] = ()
    """What cash machines paid out, in the order of their journals."""
    faults: tuple[FaultRecord, ...] = ()
    samples: tuple[Sample, ...] = ()
    load: LoadCounts | None = None
    final: FinalReads | None = None
    early: EarlyRead | None = None
    """None when the ledger was not looked at before the first injection."""
    problems: tuple[RunProblem, ...] = ()
    complete: bool = False
    torn_lines: int = 0
    """Lines that could not be read: at most the last one of a killed process, unless the disk was full."""
    memo: dict[str, object] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What checkers have worked out from this history, so that all of them group a ledger once. Not part of the record."""

    @property
    def currency(self) -> Currency:
        """How amounts of this run are shown."""
        stored = self.run.get("currency")
        if not isinstance(stored, Mapping):
            return Currency()
        return Currency(code=str(stored.get("code", "")), minor_digits=_int(stored.get("minor_digits", 0)))

    @property
    def load_started_ns(self) -> int | None:
        """Due time of the first operation."""
        return self.operations[0].due_ns if self.operations else None

    @property
    def load_ended_ns(self) -> int | None:
        """When the last operation was due, or the drain began, whichever is later."""
        if not self.operations:
            return None
        return max(self.operations[-1].due_ns, self.phases.get("drain", 0))

    @property
    def first_injected_ns(self) -> int | None:
        """When the first fault began to be applied; None if none was."""
        return min((f.injecting_ns for f in self.faults if f.injecting_ns is not None), default=None)

    @property
    def last_healed_ns(self) -> int | None:
        """When the last fault was healed; None while one is not, or if there was none."""
        healed = [f.healed_ns for f in self.faults if f.injecting_ns is not None]
        return max((at for at in healed if at is not None), default=None) if None not in healed else None

    def of(self, journey: str) -> tuple[Operation, ...]:
        """The operations of one journey."""
        return tuple(operation for operation in self.operations if operation.journey == journey)

    def until(self, at_ns: int) -> History:
        """The same history with only what was due, and the phases that had begun, before *at_ns*."""
        phases = {phase: began_ns for phase, began_ns in self.phases.items() if began_ns < at_ns}
        return replace(self.due_between(0, at_ns), phases=phases)

    def due_between(self, from_ns: int, to_ns: int) -> History:
        """The same history with only the operations due in [from_ns, to_ns), as if the load had ended then."""
        kept = tuple(operation for operation in self.operations if from_ns <= operation.due_ns < to_ns)
        # Without this, a window at the end would count as whole and hold next to nothing.
        phases = {name: min(at_ns, to_ns) if name == "drain" else at_ns for name, at_ns in self.phases.items()}
        return replace(self, operations=kept, phases=phases)

    def seconds(self, at_ns: int) -> float:
        """A time as seconds into the load, as reports show it: the profile's 0 s, which the document's `at` counts from."""
        return (at_ns - self.phases.get("load", self.load_started_ns or at_ns)) / 1e9


Event = Mapping[str, object]


class HistoryReader:
    """Turns events into a `History`, one by one, so that a run can be judged while it goes on.

    Not for use by several threads at once. `history()` may be called at any time and as often as wanted.
    """

    def __init__(self) -> None:
        self._run: dict[str, object] = {}
        self._opening: dict[str, int] | None = None
        self._earlier: frozenset[tuple[str, str]] = frozenset()
        self._phases: dict[str, int] = {}
        self._operations: dict[int, _Draft] = {}
        self._dispensed: list[Dispensed] = []
        self._faults: dict[str, FaultRecord] = {}
        self._samples: list[Sample] = []
        self._load: LoadCounts | None = None
        self._final: FinalReads | None = None
        self._early: EarlyRead | None = None
        self._accounts: dict[int, list[AccountState]] = {}
        self._postings: dict[int, list[Posting]] = {}
        self._credits: dict[int, list[Credit]] = {}
        self._limits: dict[int, list[GroupLimit]] = {}
        self._keys: dict[int, dict[str, str]] = {}
        self._problems: list[RunProblem] = []
        self._complete = False
        self._torn = 0

    def feed_line(self, line: str | bytes) -> None:
        """Take one line of `history.jsonl`. A line that is no event is counted as torn, never guessed at."""
        try:
            text = line if isinstance(line, str) else line.decode()
            # Not json.loads: it looks for the encoding and for white space on both sides, half of the time of so short a text.
            event, end = _DECODER.raw_decode(text)
            if text[end:].strip():
                raise ValueError("more than one value in a line")
            self.feed(event)
        except (ValueError, KeyError, TypeError):
            self._torn += 1

    def feed(self, event: Event) -> None:
        """Take one event. Raises KeyError, TypeError or ValueError for one that is not of the format."""
        _TAKE.get(cast("str", event["event"]), HistoryReader._on_unknown)(self, event)

    def history(self) -> History:
        operations = sorted((draft.operation() for draft in self._operations.values()), key=lambda o: (o.due_ns, o.number))
        return History(
            run=dict(self._run),
            opening=self._opening,
            earlier=self._earlier,
            phases=dict(self._phases),
            operations=tuple(operations),
            dispensed=tuple(self._dispensed),
            faults=tuple(self._faults.values()),
            samples=tuple(self._samples),
            load=self._load,
            final=self._final,
            early=self._early,
            problems=tuple(self._problems),
            complete=self._complete,
            torn_lines=self._torn,
        )

    def _on_unknown(self, event: Event) -> None:
        raise ValueError(f"{event['event']!r} is not an event of history format {FORMAT}")

    def _on_run(self, event: Event) -> None:
        self._run = dict(event)

    def _on_facts(self, event: Event) -> None:
        self._run["facts"] = event["facts"]

    def _on_opening(self, event: Event) -> None:
        self._opening = {str(a): _int(b) for a, b in _mapping(event["balances"]).items()}
        rows = cast("Iterable[tuple[str, str]]", event.get("transactions", ()))
        self._earlier = frozenset((str(transaction), str(key)) for transaction, key in rows)

    def _on_phase(self, event: Event) -> None:
        self._phases[str(event["phase"])] = _int(event["at_ns"])

    def _on_invoked(self, event: Event) -> None:
        number, attempt, start_ns = _int(event["operation"]), _int(event["attempt"]), _int(event["start_ns"])
        draft = self._operations.get(number)
        if draft is None:
            self._operations[number] = draft = _Draft(
                number=number,
                journey=_name(event["journey"]),
                due_ns=_int(event["due_ns"]),
                begun_ns=None if event.get("begun_ns") is None else _int(event["begun_ns"]),
                intent=_name(event.get("intent", "")),
                key=_name(event.get("key", "")),
                legs={_name(account): _int(amount) for account, amount in _mapping(event.get("legs", {})).items()},
                session=_name(event.get("session", "")),
                reverses=str(event.get("reverses", "")),
                credentials=_credentials(event.get("credentials")),
            )
        draft.attempts.setdefault(attempt, start_ns)
        if "habit" in event:
            draft.habits = {**(draft.habits or {}), attempt: str(event["habit"])}
        if event.get("resent"):
            draft.resent_from = min(attempt, draft.resent_from or attempt)
        draft.built = None

    def _on_completed(self, event: Event) -> None:
        draft = self._operations[_int(event["operation"])]
        number = _int(event["attempt"])
        begun = draft.attempts[number]
        draft.attempts[number] = Attempt(
            number=number,
            start_ns=begun if isinstance(begun, int) else begun.start_ns,
            end_ns=_int(event["end_ns"]),
            outcome=Outcome(str(event["outcome"])),
            status=_int(event.get("status", 0)),
            why=_name(event.get("why", "")),
            served_by=_name(event.get("served_by", "")),
            result={_name(name): value for name, value in _mapping(event.get("result", {})).items()},
            habit=draft.habits.get(number, "") if draft.habits else "",
            is_resent=draft.is_resent(number),
        )
        draft.built = None

    def _on_closed(self, event: Event) -> None:
        draft = self._operations[_int(event["operation"])]
        draft.closed_ns = _int(event["at_ns"])
        draft.built = None

    def _on_dispensed(self, event: Event) -> None:
        number, key = _int(event["operation"]), str(event["key"])
        self._dispensed.append(Dispensed(operation=number, key=key, amount=_int(event["amount"]), at_ns=_int(event["at_ns"])))

    def _on_planned(self, event: Event) -> None:
        name = str(event["fault"])
        targets = tuple(str(t) for t in cast("Iterable[object]", event["targets"]))
        self._faults[name] = FaultRecord(fault=name, kind=str(event["kind"]), targets=targets, due_ns=_int(event["due_ns"]))

    def _on_injecting(self, event: Event) -> None:
        targets = tuple(str(t) for t in cast("Iterable[object]", event["targets"]))
        self._change_fault(event, injecting_ns=_int(event["at_ns"]), targets=targets)

    def _on_injected(self, event: Event) -> None:
        self._change_fault(
            event, injected_ns=_int(event["at_ns"]), effect_seen=bool(event["effect_seen"]), evidence=str(event["evidence"])
        )

    def _on_healing(self, event: Event) -> None:
        self._change_fault(event, healing_ns=_int(event["at_ns"]))

    def _on_healed(self, event: Event) -> None:
        self._change_fault(event, healed_ns=_int(event["at_ns"]), heal_evidence=str(event["evidence"]))

    def _on_not_injected(self, event: Event) -> None:
        self._change_fault(event, error=str(event["error"]))

    _on_not_healed = _on_not_injected

    def _change_fault(self, event: Event, **changes: object) -> None:
        name = str(event["fault"])
        self._faults[name] = replace(self._faults[name], **changes)  # type: ignore[arg-type]

    def _on_sample(self, event: Event) -> None:
        values = cast("Mapping[str, str | float | bool | None]", event["values"])
        self._samples.append(
            Sample(probe=str(event["probe"]), subject=str(event["subject"]), at_ns=_int(event["at_ns"]), values=values)
        )

    def _on_load(self, event: Event) -> None:
        self._load = LoadCounts(
            scheduled=_int(event["scheduled"]),
            sent=_int(event["sent"]),
            finished=_int(event["finished"]),
            drained=bool(event["drained"]),
        )

    def _on_fence(self, event: Event) -> None:
        settled = {str(k): str(v) for k, v in _mapping(event["settled"]).items()}
        count = event["open_transactions"]
        open_transactions = None if count is None else _int(count)
        self._final = replace(self._final or FinalReads(), settled=settled, open_transactions=open_transactions)

    def _on_account(self, event: Event) -> None:
        lowest = event["lowest"]
        self._accounts.setdefault(_int(event["read"]), []).append(
            AccountState(
                account=str(event["account"]),
                kind=str(event["kind"]),
                balance=_int(event["balance"]),
                version=_int(event["version"]),
                lowest=None if lowest is None else _int(lowest),
            )
        )

    def _on_posting(self, event: Event) -> None:
        self._postings.setdefault(_int(event["read"]), []).append(
            Posting(
                transaction=_name(event["transaction"]),
                key=_name(event["key"]),
                account=_name(event["account"]),
                version=_int(event["version"]),
                amount=_int(event["amount"]),
                balance_after=_int(event["balance_after"]),
            )
        )

    def _on_key(self, event: Event) -> None:
        self._keys.setdefault(_int(event["read"]), {})[str(event["key"])] = str(event["state"])

    def _on_limit(self, event: Event) -> None:
        accounts = tuple(str(account) for account in cast("Iterable[object]", event["accounts"]))
        limit = GroupLimit(group=str(event["group"]), accounts=accounts, lowest=_int(event["lowest"]))
        self._limits.setdefault(_int(event["read"]), []).append(limit)

    def _on_credit(self, event: Event) -> None:
        credit = Credit(key=str(event["key"]), account=str(event["account"]), amount=_int(event["amount"]))
        self._credits.setdefault(_int(event["read"]), []).append(credit)

    def _on_ledger(self, event: Event) -> None:
        read = _int(event["read"])
        if event.get("same_as_first"):
            state = self._final.first if self._final else None
        else:
            accounts, postings = self._accounts.pop(read, []), self._postings.pop(read, [])
            keys = self._keys.pop(read, {})
            credits_, limits = self._credits.pop(read, []), self._limits.pop(read, [])
            said = [
                _int(event["accounts"]),
                _int(event["postings"]),
                *(_int(event.get(n, 0)) for n in ("keys", "credits", "limits")),
            ]
            if [len(accounts), len(postings), len(keys), len(credits_), len(limits)] != said:
                raise ValueError("the ledger's lines are not all here")
            state = LedgerState(
                read_from=str(event["read_from"]),
                accounts=tuple(accounts),
                postings=tuple(postings),
                keys=keys,
                lacks=frozenset(map(Evidence, cast("Iterable[str]", event.get("lacks", ())))),
                limits=tuple(limits),
                credits=tuple(credits_) if "credits" in event else None,
                unsent=tuple(str(key) for key in cast("Iterable[object]", event.get("unsent", ()))),
            )
        if read == 0:
            self._early = EarlyRead(begun_ns=_int(event["begun_ns"]), ledger=state)
            return
        final = self._final or FinalReads()
        self._final = replace(final, first=state) if read == 1 else replace(final, second=state)

    def _on_not_read_early(self, event: Event) -> None:
        self._early = EarlyRead(begun_ns=_int(event["at_ns"]), error=str(event["error"]))

    def _on_digests(self, event: Event) -> None:
        digests = {str(k): str(v) for k, v in _mapping(event["members"]).items()}
        self._final = replace(self._final or FinalReads(), digests=digests)

    def _on_not_settled(self, event: Event) -> None:
        self._final = replace(self._final or FinalReads(), error=str(event["error"]))

    def _on_problem(self, event: Event) -> None:
        self._problems.append(RunProblem(result=str(event["result"]), text=str(event["text"])))

    def _on_finished(self, event: Event) -> None:
        self._phases["end"] = _int(event["at_ns"])
        self._complete = True

    def _on_sealed(self, event: Event) -> None:
        """Nothing that happened: who has the lines sees whether it fits."""


_TAKE: Mapping[str, Callable[[HistoryReader, Event], None]] = {
    name.removeprefix("_on_").replace("_", "-"): take for name, take in vars(HistoryReader).items() if name.startswith("_on_")
}
"""What to do with each event, by its name: `_on_not_settled` takes `not-settled`."""

EVENTS = tuple(name for name in _TAKE if name != "unknown")
"""The names of all events of the format."""


@dataclass(slots=True, kw_only=True)
class _Draft:
    """An operation that events are still being added to. An attempt is only its start until its answer is read.

    The frozen `Operation` is made when a history is asked for: making a new one for each event would take twice as long.
    """

    number: int
    journey: str
    due_ns: int
    begun_ns: int | None
    intent: str
    key: str
    legs: Mapping[str, int]
    session: str
    reverses: str
    credentials: Credentials | None
    attempts: dict[int, int | Attempt] = field(default_factory=dict)
    habits: Mapping[int, str] | None = None
    """By attempt; None for nearly every operation, which has none."""
    resent_from: int | None = None
    """The first attempt that the load made after its end; None for nearly every operation."""
    closed_ns: int | None = None
    built: Operation | None = None

    def is_resent(self, attempt: int) -> bool:
        return self.resent_from is not None and attempt >= self.resent_from

    def operation(self) -> Operation:
        if self.built is None:
            self.built = Operation(
                number=self.number,
                journey=self.journey,
                due_ns=self.due_ns,
                begun_ns=self.begun_ns,
                attempts=tuple(
                    Attempt(
                        number=number,
                        start_ns=known,
                        habit=(self.habits or {}).get(number, ""),
                        is_resent=self.is_resent(number),
                    )
                    if isinstance(known, int)
                    else known
                    for number, known in self.attempts.items()
                ),
                intent=self.intent,
                key=self.key,
                legs=self.legs,
                closed_ns=self.closed_ns,
                session=self.session,
                reverses=self.reverses,
                credentials=self.credentials,
            )
        return self.built


def read_history(lines: Iterable[str | bytes]) -> History:
    """The history stored in *lines* of `history.jsonl`."""
    reader = HistoryReader()
    # A million small objects and no cycle among them: the collector would go over them again and again, a quarter of the time.
    was_collecting = gc.isenabled()
    gc.disable()
    try:
        for line in lines:
            reader.feed_line(line)
        return reader.history()
    finally:
        if was_collecting:
            gc.enable()


def ledger_events(state: LedgerState, *, read: int) -> Iterator[Event]:
    """The events that store one reading of the ledger: 1 and 2 are the final ones, 0 is the early one."""
    for account in state.accounts:
        yield {
            "event": "account",
            "read": read,
            "account": account.account,
            "kind": account.kind,
            "balance": account.balance,
            "version": account.version,
            "lowest": account.lowest,
        }
    for limit in state.limits:
        yield {"event": "limit", "read": read, "group": limit.group, "accounts": list(limit.accounts), "lowest": limit.lowest}
    for posting in state.postings:
        yield {
            "event": "posting",
            "read": read,
            "transaction": posting.transaction,
            "key": posting.key,
            "account": posting.account,
            "version": posting.version,
            "amount": posting.amount,
            "balance_after": posting.balance_after,
        }
    for key, found in state.keys.items():
        yield {"event": "key", "read": read, "key": key, "state": found}
    for credit in state.credits or ():
        yield {"event": "credit", "read": read, "key": credit.key, "account": credit.account, "amount": credit.amount}
    yield {
        "event": "ledger",
        "read": read,
        "read_from": state.read_from,
        "accounts": len(state.accounts),
        "postings": len(state.postings),
        **({"keys": len(state.keys)} if state.keys else {}),
        **({"limits": len(state.limits)} if state.limits else {}),
        **({"credits": len(state.credits), "unsent": list(state.unsent)} if state.credits is not None else {}),
        **({"lacks": sorted(one.value for one in state.lacks)} if state.lacks else {}),
    }


class NoHistory(ChaoskitError):
    """There is no readable history in that folder. Name a run folder, such as one below `runs/`."""


def _credentials(value: object) -> Credentials | None:
    if value is None:
        return None
    given = _mapping(value)
    customer, secret, session = (str(given.get(name, "")) for name in ("customer", "secret", "session"))
    return Credentials(customer=customer, secret=secret, session=session, ends=given.get("ends") is True)


def _name(value: object) -> str:
    """One object for each name: a million payments name a thousand accounts, and each key three times."""
    return sys.intern(str(value))


def _int(value: object) -> int:
    if type(value) is not int:  # not isinstance: true is no whole number here
        raise TypeError(f"{value!r} is not a whole number")
    return value


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is not a mapping")
    return value
