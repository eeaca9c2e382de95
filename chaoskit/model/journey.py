"""What a customer does, and what the load hands to a journey: the meeting point of loads and of whoever knows the system.

async def transfer(visit: Visit) -> None:
    operation = visit.operation(legs={payer: -amount, payee: amount}, key=visit.intent)
    answer = await operation.attempt("POST", "/transfers", body={…}, headers={…}, timeout_s=5)
"""

from __future__ import annotations

import enum
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from chaoskit.model.history import Credentials, Outcome


class Habit(enum.StrEnum):
    """What some customers, or their apps, do besides asking once and waiting. A document says how often: `load.habits`.

    What each has to come to in the bank is said in docs/explanation/money.md.
    """

    DOUBLE_TAP = "double-tap"
    """Send one payment twice at once, with one key."""
    OTHER_BODY = "other-body"
    """Use the key of a payment for another payment. Only one of the two may be accepted."""
    NEW_KEY = "new-key"
    """Ask again with a new key when no clear answer came: the broken client. What is wanted once may then happen twice."""
    LATE_RETRY = "late-retry"
    """Ask again with the same key when everybody else has forgotten: after the life time of short-lived keys."""


class Answer(Protocol):
    """What became of one call. `status` is 0 when no whole answer came, `body` is empty when it was no JSON object."""

    @property
    def outcome(self) -> Outcome: ...
    @property
    def status(self) -> int: ...
    @property
    def body(self) -> Mapping[str, object]: ...
    @property
    def why(self) -> str: ...


class Wanted(Protocol):
    """Something that a customer wants once, under one key. Every attempt is one call on the wire; nothing repeats it by itself."""

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
        """Make one recorded call and say what became of it. Does not raise for a failed call.

        Several may be under way at once. *habit* is why it is made, if it is one that no careful client would make.
        """

    def dispensed(self, amount: int) -> None:
        """Write into the record that a cash machine pays out *amount* for it, in minor units. Call it before the notes are out."""


class Visit(Protocol):
    """One customer's arrival. All chance in it comes from `random`, so that it is the same in every run with the same seed."""

    @property
    def random(self) -> random.Random: ...
    @property
    def memory(self) -> dict[str, object]:
        """Shared by all visits of this load, for tokens and the like. Empty at first."""

    @property
    def intent(self) -> str:
        """A name for what this customer wants: unique in the load, fit for a key."""

    @property
    def habit(self) -> Habit | None:
        """What this customer does besides, as often as the document asks for it; None for most. A journey need not heed it."""

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

    def operation(
        self,
        *,
        legs: Mapping[str, int] | None = None,
        key: str = "",
        session: str = "",
        intent: str = "",
        reverses: str = "",
        credentials: Credentials | None = None,
    ) -> Wanted:
        """Begin an operation. *legs* is the effect on accounts that it must have if it is accepted, in signed minor units.

        *session* names who asks, for what one customer must see of their own doings; "" when that does not matter. *intent* is
        what it is for, "" for what the visit is for: operations of one intent may together have one effect. *reverses* is the key
        of the operation whose effect it is to take back, if there was any. *credentials* say by what the customer is known.
        """


Journey = Callable[[Visit], Awaitable[None]]
"""Called once for each arrival. What it raises is recorded with the operation it was at, and ends this visit only."""
