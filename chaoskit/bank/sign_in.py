"""Logging in and out, and trying what must not work: sessions that have ended, and PINs that are wrong.

An ended session is tried again once a takeover would be over; a bank that forgets its end then lets the customer in.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import cast

from chaoskit.bank.access import MOST_WRONG
from chaoskit.bank.asking import READ_PAUSES_S, Call, insist
from chaoskit.bank.customers import Customer
from chaoskit.model.history import Credentials, Outcome
from chaoskit.model.journey import Answer, Visit

# How long a customer looks around before they log out: long enough that some log out while nobody can log in.
STAY_S = (0.5, 2.5)
# An ended session is tried again after this: longer than a takeover of the bank's database takes, seven seconds at most.
LATER_S = 8.0
# One visit in ten is somebody who guesses a PIN: in forty seconds enough for every guessed customer to be locked and tried again.
GUESS_SHARE = 0.1
MEMORY = "sign-in"
"""Where the load's memory keeps what this journey remembers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A session whose end was confirmed, at a time of the event loop, with what once let its customer in."""

    customer: Customer
    session: str
    token: str
    at_s: float


@dataclass(slots=True)
class Memory:
    """What all visits of one load share: ended sessions that nobody tried yet, and how many wrong PINs each customer gave."""

    ended: deque[Ended] = field(default_factory=deque)
    wrong: dict[str, int] = field(default_factory=dict)


class SignIn:
    """The journey `login`. *people* log in, look around and log out; the PINs of *guessed* are guessed."""

    def __init__(
        self,
        people: tuple[Customer, ...],
        guessed: tuple[Customer, ...],
        *,
        guess_share: float = GUESS_SHARE,
        stay_s: tuple[float, float] = STAY_S,
        later_s: float = LATER_S,
        pauses_s: tuple[float, ...] = READ_PAUSES_S,
    ) -> None:
        self._people = people
        self._guessed = guessed
        self._guess_share = guess_share
        self._stay_s = stay_s
        self._later_s = later_s
        self._pauses_s = pauses_s

    async def visit(self, visit: Visit) -> None:
        if self._guessed and visit.random.random() < self._guess_share:
            await self._guess(visit)
            return
        customer = visit.random.choice(self._people)
        stay_s = visit.random.uniform(*self._stay_s)
        answer = await self._log_in(visit, customer, right=True)
        session, token = (answer.body.get(name) for name in ("session", "token"))
        if answer.outcome is Outcome.OK and isinstance(session, str) and isinstance(token, str):
            await self._try_an_ended_session(visit)
            await asyncio.sleep(stay_s)
            await self._log_out(visit, customer, session=session, token=token)

    async def _guess(self, visit: Visit) -> None:
        """A wrong PIN; for a customer who is locked by now the right one, which must not help."""
        customer, wrong = visit.random.choice(self._guessed), _memory(visit).wrong
        is_locked = wrong.get(customer.name, 0) >= MOST_WRONG
        answer = await self._log_in(visit, customer, right=is_locked)
        if not is_locked and answer.outcome is Outcome.FAIL and answer.status == 401:
            wrong[customer.name] = wrong.get(customer.name, 0) + 1

    async def _log_in(self, visit: Visit, customer: Customer, *, right: bool) -> Answer:
        credentials = Credentials(customer=customer.name, secret="right" if right else "wrong")
        pin = customer.pin if right else f"{(int(customer.pin) + 1) % 10**6:06}"
        body = {"customer": customer.name, "pin": pin}
        return await self._ask(visit, credentials, Call("POST", "/login", body=body))

    async def _log_out(self, visit: Visit, customer: Customer, *, session: str, token: str) -> None:
        credentials = Credentials(customer=customer.name, session=session, ends=True)
        answer = await self._ask(visit, credentials, Call("POST", "/logout", headers=_signed(token)))
        if answer.outcome is Outcome.OK:
            ended = Ended(customer=customer, session=session, token=token, at_s=asyncio.get_running_loop().time())
            _memory(visit).ended.append(ended)

    async def _try_an_ended_session(self, visit: Visit) -> None:
        """The one that ended first, if that is long enough ago; each is tried once."""
        waiting = _memory(visit).ended
        if not waiting or asyncio.get_running_loop().time() < waiting[0].at_s + self._later_s:
            return
        ended = waiting.popleft()
        credentials = Credentials(customer=ended.customer.name, session=ended.session)
        look = Call("GET", f"/accounts/{ended.customer.accounts[0]}", headers=_signed(ended.token))
        await self._ask(visit, credentials, look)

    async def _ask(self, visit: Visit, credentials: Credentials, call: Call) -> Answer:
        return await insist(visit, call.of(visit.operation(credentials=credentials)), pauses_s=self._pauses_s)


def _signed(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _memory(visit: Visit) -> Memory:
    return cast("Memory", visit.memory.setdefault(MEMORY, Memory()))
