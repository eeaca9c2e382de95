"""What the bank's customers do: log in, look at a balance, pay, draw cash. Loaded in the load's own process.

A customer who gets no clear answer asks again with the same key, as the bank's app would; one who was clearly refused does not.
Some have a habit besides (`chaoskit.model.journey.Habit`), as often as the document says.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from chaoskit.bank.asking import ATTEMPT_LIMIT_S, READ_PAUSES_S, Ask, Call, insist
from chaoskit.bank.cash_machine import CashMachine, Draw
from chaoskit.bank.customers import CLEARING, FEW, Customer, customers, guessed
from chaoskit.bank.options import bank_options
from chaoskit.bank.services.parts import part
from chaoskit.bank.sign_in import SignIn
from chaoskit.model.history import Outcome
from chaoskit.model.journey import Answer, Habit, Journey, Visit

# Before the second and the third call of a payment. Spread by half either way, or all who were cut off together would come back
# together.
PAUSES_S = (0.4, 0.8)
# Minor units. With the opening balances of `customers` a few percent of payments are refused for want of funds.
AMOUNTS = (1_000, 60_000)
# A fifth of the transfers go to other banks; no public split for the country was found, and this keeps the rail busy but not in
# the way.
OTHER_BANK_SHARE = 0.2
# Who asks again late does so after this. Longer than any retry above, and than a short-lived key lives; short enough for the answer
# to come while the load still waits for the last ones (six seconds).
LATE_S = 4.0
# What another payment under a used key asks for more than the first one: any other amount would do.
OTHER_BY = 1_000


JOURNEY_NAMES = ("login", "balance", "transfer", "withdraw")
HABIT_NAMES = tuple(habit.value for habit in Habit)
"""All that there are; whoever only looks has none of them."""


def journeys(options: Mapping[str, str], seed: int) -> Mapping[str, Journey]:
    """The journeys of the bank with this seed."""
    defect = bank_options(options).defect
    app, machine = part(App, defect=defect), part(CashMachine, defect=defect)
    who = bank_options(options).customers
    people, share = customers(seed, who=who), 0.0 if who == FEW else OTHER_BANK_SHARE
    return app(people, machine=machine(), sign_in=SignIn(people, guessed(seed)), other_bank_share=share).journeys()


class App:
    """The bank's app on everybody's phone. The pauses are those before a second and a third call, and before a late one."""

    def __init__(
        self,
        people: tuple[Customer, ...],
        *,
        pauses_s: tuple[float, ...] = PAUSES_S,
        read_pauses_s: tuple[float, ...] = READ_PAUSES_S,
        late_s: float = LATE_S,
        machine: CashMachine | None = None,
        sign_in: SignIn | None = None,
        other_bank_share: float = OTHER_BANK_SHARE,
    ) -> None:
        self._people = people
        self._pauses_s = pauses_s
        self._read_pauses_s = read_pauses_s
        self._late_s = late_s
        self._machine = machine or CashMachine()
        self._sign_in = sign_in or SignIn(people, ())
        self._other_bank_share = other_bank_share
        self._accounts = tuple(account for customer in people for account in customer.accounts)

    def journeys(self) -> Mapping[str, Journey]:
        return {"login": self._sign_in.visit, "balance": self.read_balance, "transfer": self.transfer, "withdraw": self.withdraw}

    async def read_balance(self, visit: Visit) -> None:
        customer, account = self._choose(visit)
        headers = await self._signed_in(visit, customer)
        look = Call("GET", f"/accounts/{account}", headers=headers)
        answer = await insist(visit, look.of(visit.operation(session=customer.name)), pauses_s=self._read_pauses_s)
        if answer.status == 401:
            visit.memory.pop(customer.name, None)  # the bank no longer knows this session: log in again the next time

    async def transfer(self, visit: Visit) -> None:
        customer, payer = self._choose(visit)
        amount = visit.random.randrange(*AMOUNTS)
        if visit.random.random() < self._other_bank_share:
            creditor = f"other-{visit.random.randrange(10**6):06}"
            legs = {payer: -amount, CLEARING: amount}
            body = {"from": payer, "to": creditor, "amount": amount, "bank": "other"}
        else:
            payee = visit.random.choice([account for account in self._accounts if account != payer])
            legs = {payer: -amount, payee: amount}
            body = {"from": payer, "to": payee, "amount": amount, "bank": "own"}
        await self._pay(visit, customer, "/transfers", body=body, legs=legs)

    async def withdraw(self, visit: Visit) -> None:
        customer, account = self._choose(visit)
        amount = visit.random.randrange(*AMOUNTS)
        headers = await self._signed_in(visit, customer)
        await self._machine.serve(visit, Draw(customer=customer.name, account=account, amount=amount, headers=headers))

    def _choose(self, visit: Visit) -> tuple[Customer, str]:
        customer = visit.random.choice(self._people)
        return customer, visit.random.choice(customer.accounts)

    def habit_of(self, visit: Visit) -> Habit | None:
        """What this customer does besides asking once and waiting."""
        return visit.habit

    async def _pay(
        self, visit: Visit, customer: Customer, path: str, *, body: Mapping[str, object], legs: Mapping[str, int]
    ) -> None:
        headers = await self._signed_in(visit, customer)
        payment = _Payment(visit, session=customer.name, call=Call("POST", path, body=body, headers=headers), legs=legs)
        habit = self.habit_of(visit)
        if habit is Habit.NEW_KEY:
            await insist(visit, payment.ask_with_new_keys, pauses_s=self._pauses_s)
            return
        ask = payment.under(visit.intent)
        if habit is None:
            await insist(visit, ask, pauses_s=self._pauses_s)
            return
        async with asyncio.TaskGroup() as calls:
            asked = calls.create_task(insist(visit, ask, pauses_s=self._pauses_s))
            match habit:
                case Habit.DOUBLE_TAP:
                    calls.create_task(ask(habit))
                case Habit.OTHER_BODY:
                    # At once with the first one, or after its answer: a bank may notice the one and not the other.
                    if visit.random.random() < 0.5:
                        await asked
                    other = payment.over(OTHER_BY, intent=f"{visit.intent}-other")
                    calls.create_task(other.under(visit.intent)(habit))
                case Habit.LATE_RETRY:
                    if (await asked).outcome is not Outcome.FAIL:  # who was refused has nothing to ask about
                        await asyncio.sleep(self._late_s)
                        await ask(habit)

    async def _signed_in(self, visit: Visit, customer: Customer) -> dict[str, str]:
        """The headers of a signed-in customer; the app keeps its token.

        Without an answer from the login the call is made unsigned: that customer cannot pay, and must be seen on the record.
        """
        for pause_s in (0.0, *self._read_pauses_s):
            if customer.name in visit.memory:
                break
            if pause_s:
                await asyncio.sleep(pause_s * visit.random.uniform(0.5, 1.5))
            answer = await visit.request("POST", "/login", body=_credentials(customer), timeout_s=ATTEMPT_LIMIT_S)
            _remember(visit, customer, answer)
        token = visit.memory.get(customer.name)
        return {"Authorization": f"Bearer {token}"} if token else {}


@dataclass(frozen=True, slots=True)
class _Payment:
    """What a customer wants to pay, before it has a key."""

    visit: Visit
    session: str
    call: Call
    legs: Mapping[str, int]
    intent: str = ""
    keys: Iterator[int] = field(default_factory=itertools.count)

    def under(self, key: str) -> Ask:
        """Begin to ask for it under this key."""
        operation = self.visit.operation(legs=self.legs, key=key, session=self.session, intent=self.intent)
        return replace(self.call, headers={**self.call.headers, "Idempotency-Key": key}).of(operation)

    def over(self, more: int, *, intent: str) -> _Payment:
        """A payment of the same customer to the same payee, over *more* than this one."""
        assert self.call.body is not None, "a payment has a body"
        legs = {account: amount + (more if amount > 0 else -more) for account, amount in self.legs.items()}
        call = replace(self.call, body={**self.call.body, "amount": max(legs.values())})
        return replace(self, call=call, legs=legs, intent=intent)

    async def ask_with_new_keys(self, habit: Habit | None) -> Answer:
        """Ask under a key of its own each time."""
        number = next(self.keys)
        key = f"{self.visit.intent}-{number}" if number else self.visit.intent
        return await self.under(key)(Habit.NEW_KEY if number else habit)


def _remember(visit: Visit, customer: Customer, answer: Answer) -> None:
    if answer.outcome is Outcome.OK and "token" in answer.body:
        visit.memory[customer.name] = answer.body["token"]


def _credentials(customer: Customer) -> dict[str, object]:
    return {"customer": customer.name, "pin": customer.pin}
