"""What a customer does, and what the load hands to a journey: the meeting point of loads and of whoever knows the system.

async def transfer(visit: Visit) -> None:
    operation = visit.operation(legs={payer: -amount, payee: amount}, key=visit.intent)
    answer = await operation.attempt("POST", "/transfers", body={…}, headers={…}, timeout_s=5)
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from chaoskit.model.history import Outcome


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
    ) -> Answer:
        """Make one recorded call and say what became of it. Does not raise for a failed call."""


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

    def operation(self, *, legs: Mapping[str, int] | None = None, key: str = "", session: str = "") -> Wanted:
        """Begin an operation. *legs* is the effect on accounts that it must have if it is accepted, in signed minor units.

        *session* names who asks, for what one customer must see of their own doings; "" when that does not matter.
        """


Journey = Callable[[Visit], Awaitable[None]]
"""Called once for each arrival. What it raises is recorded with the operation it was at, and ends this visit only."""
