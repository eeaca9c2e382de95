"""The visits that journeys are given (`chaoskit.model.journey` is their protocol): what is sent, recorded and drawn by chance.

Each attempt is one call on the wire and is recorded before its first byte leaves; nothing here repeats a call by itself.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from chaoskit.loads import answer as http_answer
from chaoskit.loads.connection import Client, Reply
from chaoskit.loads.journal import Journal
from chaoskit.loads.outcome import BY_TROUBLE, Trouble, judge
from chaoskit.model.errors import UsageError
from chaoskit.model.history import Credentials, Outcome
from chaoskit.model.journey import Habit


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one call. `status` is 0 when no whole answer came; `why` is "" when the outcome is ok."""

    outcome: Outcome
    status: int = 0
    body: Mapping[str, object] = field(default_factory=dict)
    why: str = ""

    @property
    def is_ok(self) -> bool:
        return self.outcome is Outcome.OK


class Engine:
    """What visits share: the connections, the journal, a memory for journeys and the numbering of operations."""

    __slots__ = ("client", "habits", "host", "is_ending", "journal", "memory", "operations", "seed", "unanswered", "warned")

    def __init__(
        self,
        *,
        client: Client,
        journal: Journal,
        seed: int,
        habits: Mapping[str, float] | None = None,
        warned: Outcome = Outcome.OK,
    ) -> None:
        self.client = client
        self.journal = journal
        self.seed = seed
        self.habits = habits or {}
        self.warned = warned
        """The outcome of an answer that says "done" with a warning."""
        self.memory: dict[str, object] = {}
        self.host = client.target.name
        self.operations = 0
        self.unanswered: list[Operation] = []
        """What may be sent again at the end, of visits that are over."""
        self.is_ending = False
        """Calls that are cancelled from now on had no answer when the load ended; before, their journeys gave up."""


class Visit:
    """One customer's arrival. `number` is its place in the schedule, the same in every run with the same seed."""

    __slots__ = ("_began_ns", "_due_ns", "_engine", "_operations", "_random", "habit", "journey", "number")

    def __init__(self, engine: Engine, *, number: int, journey: str, due_ns: int) -> None:
        self.number = number
        self.journey = journey
        self._engine = engine
        self._due_ns = due_ns
        self._began_ns = time.monotonic_ns()
        self._operations: list[Operation] = []
        self._random: random.Random | None = None
        self.habit = _habit(engine.habits, f"habit of visit {number} of {engine.seed}") if engine.habits else None

    @property
    def random(self) -> random.Random:
        """Chance for this visit, from the seed and the arrival's number: whatever other visits do, it draws the same."""
        if self._random is None:
            # Made when asked for: it costs more than the rest of a visit.
            self._random = random.Random(f"visit {self.number} of {self._engine.seed}")
        return self._random

    @property
    def memory(self) -> dict[str, object]:
        """Shared by all visits of this load, for tokens and the like. Empty at first."""
        return self._engine.memory

    @property
    def intent(self) -> str:
        """A name for what this customer wants: unique in the load, the same in every run with the same seed."""
        return f"{self._engine.seed}-{self.number}"

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float,
    ) -> Answer:
        """Make a call that is not recorded, for preparations only: never for one that moves money."""
        reply = await self._exchange(method, path, body=body, headers=headers, timeout_s=timeout_s)
        return _answer(reply, self._engine.warned)[0]

    def operation(
        self,
        *,
        legs: Mapping[str, int] | None = None,
        key: str = "",
        session: str = "",
        intent: str = "",
        reverses: str = "",
        credentials: Credentials | None = None,
    ) -> Operation:
        """Begin an operation: something the customer wants once. Nothing is sent or recorded before its first attempt.

        The first one of a visit counts from the time the arrival was due, each later one from now.
        """
        self._engine.operations += 1
        now_ns = time.monotonic_ns()
        due_ns, begun_ns = (now_ns, now_ns) if self._operations else (self._due_ns, self._began_ns)
        operation = Operation(
            self,
            number=self._engine.operations,
            due_ns=due_ns,
            begun_ns=begun_ns,
            legs=legs or {},
            key=key,
            session=session,
            intent=intent or self.intent,
            reverses=reverses,
            credentials=credentials,
        )
        self._operations.append(operation)
        return operation

    def end(self, *, why: str = "") -> None:
        """Record that the customer is done; *why* says what went wrong if the journey did not end by itself. For the load only."""
        at_ns = time.monotonic_ns()
        if not any(operation.attempts for operation in self._operations):
            operation = self._operations[0] if self._operations else self.operation()
            operation.note(why or "the journey made no attempt of an operation", start_ns=self._began_ns, end_ns=at_ns)
        elif why:
            # It sent nothing, so it leaves the operation's outcome as the attempts before made it.
            last = next(operation for operation in reversed(self._operations) if operation.attempts)
            last.note(why, start_ns=at_ns, end_ns=at_ns)
        for operation in self._operations:
            if operation.attempts:
                self._engine.journal.closed(operation=operation.number, at_ns=at_ns)
        self._engine.unanswered += self._unanswered()

    def cut_off(self) -> None:
        """The load ended first: what was sent stays without an answer. For the load only."""
        if not any(operation.attempts for operation in self._operations):
            self.end(why="the load ended before the journey made an attempt")

    def _unanswered(self) -> list[Operation]:
        """What can be asked again without asking for anything new: under its own key, as long as nobody went another way since.

        Whoever had it taken back wants it no more, and whoever asked again under a new key may have got it by that one.
        """
        unclear = [operation for operation in self._operations if operation.is_unclear]
        if not unclear:
            return []
        reversed_ = {operation.reverses for operation in self._operations}
        keys: dict[str, set[str]] = {}
        for operation in self._operations:
            keys.setdefault(operation.intent, set()).add(operation.key)
        return [one for one in unclear if one.key not in reversed_ and len(keys[one.intent]) == 1]

    async def _exchange(
        self, method: str, path: str, *, body: Mapping[str, object] | None, headers: Mapping[str, str] | None, timeout_s: float
    ) -> Reply:
        request = encode(method, path, host=self._engine.host, body=body, headers=headers)
        return await self._engine.client.exchange(request, timeout_s=timeout_s, to_head=method == "HEAD")


class Operation:
    """Something the customer wants once, under one key. Made by `Visit.operation`."""

    __slots__ = (
        "_begun_ns",
        "_credentials",
        "_due_ns",
        "_is_answered",
        "_is_unknown",
        "_last",
        "_legs",
        "_session",
        "_visit",
        "attempts",
        "intent",
        "key",
        "number",
        "reverses",
    )

    def __init__(
        self,
        visit: Visit,
        *,
        number: int,
        due_ns: int,
        begun_ns: int,
        legs: Mapping[str, int],
        key: str,
        session: str,
        intent: str,
        reverses: str,
        credentials: Credentials | None,
    ) -> None:
        self.number = number
        self.attempts = 0
        self._visit = visit
        self._due_ns = due_ns
        self._begun_ns = begun_ns
        self._legs = legs
        self._session = session
        self._credentials = credentials
        self._last: tuple[bytes, float] | None = None
        self._is_unknown = False
        self._is_answered = False
        self.key = key
        self.intent = intent
        self.reverses = reverses

    @property
    def is_unclear(self) -> bool:
        """Whether nobody can say yet what became of it, and asking under its key would tell."""
        return self._is_unknown and not self._is_answered and self.key != ""

    async def attempt(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float,
        habit: Habit | None = None,
    ) -> Answer:
        """Make one recorded call and say what became of it. Does not raise for a failed call. Several may be under way at once."""
        visit = self._visit
        engine = visit._engine  # noqa: SLF001 -- a visit and its operations are one thing
        request = encode(method, path, host=engine.host, body=body, headers=headers)
        self._last = (request, timeout_s)
        return await self._send(request, timeout_s=timeout_s, to_head=method == "HEAD", habit=habit or "")

    async def again(self) -> Answer:
        """Make its last call once more, word for word. For the load only, after its end."""
        assert self._last is not None, "what is unclear was sent"
        request, timeout_s = self._last
        return await self._send(request, timeout_s=timeout_s, is_resent=True)

    async def _send(
        self, request: bytes, *, timeout_s: float, to_head: bool = False, habit: str = "", is_resent: bool = False
    ) -> Answer:
        engine = self._visit._engine  # noqa: SLF001 -- a visit and its operations are one thing
        number = self._invoked(time.monotonic_ns(), habit=habit, is_resent=is_resent)
        try:
            reply = await engine.client.exchange(request, timeout_s=timeout_s, to_head=to_head)
        except asyncio.CancelledError:
            self._is_unknown = True
            if not engine.is_ending:
                rule, at_ns = BY_TROUBLE[Trouble.GIVEN_UP], time.monotonic_ns()
                engine.journal.completed(
                    operation=self.number, attempt=number, end_ns=at_ns, outcome=rule.outcome, why=Trouble.GIVEN_UP.value
                )
            raise
        answer, served_by = _answer(reply, engine.warned)
        if answer.outcome is Outcome.OK:
            self._is_answered = True
        elif answer.outcome is Outcome.INFO:
            self._is_unknown = True
        engine.journal.completed(
            operation=self.number,
            attempt=number,
            end_ns=reply.end_ns,
            outcome=answer.outcome,
            status=answer.status,
            why=answer.why,
            served_by=served_by,
            result=answer.body,
        )
        return answer

    def dispensed(self, amount: int) -> None:
        """Write into the record that a cash machine pays out *amount* for it, in minor units. Call it before the notes are out."""
        journal = self._visit._engine.journal  # noqa: SLF001 -- a visit and its operations are one thing
        journal.dispensed(operation=self.number, key=self.key, amount=amount, at_ns=time.monotonic_ns())

    def note(self, why: str, *, start_ns: int, end_ns: int) -> None:
        """Record an attempt that sent nothing, and why. For the load only."""
        number = self._invoked(start_ns)
        journal = self._visit._engine.journal  # noqa: SLF001 -- a visit and its operations are one thing
        journal.completed(operation=self.number, attempt=number, end_ns=end_ns, outcome=Outcome.FAIL, why=why)

    def _invoked(self, start_ns: int, *, habit: str = "", is_resent: bool = False) -> int:
        self.attempts += 1
        visit = self._visit
        visit._engine.journal.invoked(  # noqa: SLF001 -- a visit and its operations are one thing
            operation=self.number,
            attempt=self.attempts,
            start_ns=start_ns,
            journey=visit.journey,
            due_ns=self._due_ns,
            begun_ns=self._begun_ns,
            intent=self.intent,
            key=self.key,
            legs=self._legs,
            session=self._session,
            reverses=self.reverses,
            credentials=self._credentials,
            habit=habit,
            is_resent=is_resent,
        )
        return self.attempts


def encode(
    method: str, path: str, *, host: str, body: Mapping[str, object] | None = None, headers: Mapping[str, str] | None = None
) -> bytes:
    """The bytes of one request. Raises `UsageError` for a method, path or header that would break out of its place."""
    if not _METHOD.fullmatch(method) or not _PATH.fullmatch(path):
        raise UsageError(
            f"journey: {method!r} {path!r} is not a request; expected a method such as 'GET' and a path such as '/balance'"
        )
    head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n"
    for name, value in (headers or {}).items():
        if not _HEADER.fullmatch(f"{name}:{value}"):
            raise UsageError(
                f"journey: header {name!r} with value {value!r} is not a header; expected one line of plain characters"
            )
        head += f"{name}: {value}\r\n"
    if body is None:
        return (head + ("\r\n" if method in _WITHOUT_BODY else "Content-Length: 0\r\n\r\n")).encode("latin-1")
    content = json.dumps(body, separators=(",", ":")).encode()
    return (head + f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n").encode("latin-1") + content


_METHOD = re.compile(r"[A-Z]+")
_PATH = re.compile(r"/[!-~]*")
_HEADER = re.compile(r"[!#-'*+.^-z|~A-Z0-9-]+:[ -~\u00a1-\u00ff]*")
_WITHOUT_BODY = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


def _habit(habits: Mapping[str, float], chance: str) -> Habit | None:
    """One of *habits* by its share, or none. Its chance is its own: whoever has none does what they would do without habits."""
    drawn = random.Random(chance).random()
    for name in sorted(habits):  # so that the order in which a document names them does not matter
        drawn -= habits[name]
        if drawn < 0:
            return Habit(name)
    return None


def _answer(reply: Reply, warned: Outcome) -> tuple[Answer, str]:
    """The answer as a journey sees it, and who gave it."""
    if reply.trouble is not None:
        why = f"{reply.trouble.value}: {reply.detail}" if reply.detail else reply.trouble.value
        return Answer(outcome=BY_TROUBLE[reply.trouble].outcome, why=why), ""
    judged = judge(reply.status, reply.content, warned=warned)
    served_by = judged.body.get("served_by") or http_answer.header(reply.head, "X-Served-By")
    return Answer(outcome=judged.rule.outcome, status=reply.status, body=judged.body, why=judged.why), str(served_by)
