"""What the bank's customers do: log in, look at a balance, pay, draw cash. Loaded in the load's own process.

A customer who gets no clear answer asks again with the same key, as the bank's app would; one who was clearly refused does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from chaoskit.bank.customers import CLEARING, VAULT, Customer, customers
from chaoskit.bank.options import bank_options
from chaoskit.model.history import Outcome
from chaoskit.model.journey import Answer, Journey, Visit, Wanted

# As long as a phone's app waits; the gateway gives up half a second earlier, so that its answer is still heard.
ATTEMPT_LIMIT_S = 2.0
# Before the second and the third call of a payment. Spread by half either way, or all who were cut off together would come back
# together.
PAUSES_S = (0.4, 0.8)
READ_PAUSES_S = (0.4,)
# Minor units. With the opening balances of `customers` a few percent of payments are refused for want of funds.
AMOUNTS = (1_000, 60_000)
# A fifth of the transfers go to other banks; no public split for the country was found, and this keeps the rail busy but not in
# the way.
OTHER_BANK_SHARE = 0.2


JOURNEY_NAMES = ("login", "balance", "transfer", "withdraw")


def journeys(options: Mapping[str, str], seed: int) -> Mapping[str, Journey]:
    """The journeys of the bank with this seed."""
    bank_options(options)
    return App(customers(seed)).journeys()


class App:
    """The bank's app on everybody's phone. The pauses are those before a second and a third call."""

    def __init__(
        self,
        people: tuple[Customer, ...],
        *,
        pauses_s: tuple[float, ...] = PAUSES_S,
        read_pauses_s: tuple[float, ...] = READ_PAUSES_S,
    ) -> None:
        self._people = people
        self._pauses_s = pauses_s
        self._read_pauses_s = read_pauses_s
        self._accounts = tuple(account for customer in people for account in customer.accounts)

    def journeys(self) -> Mapping[str, Journey]:
        return {"login": self.log_in, "balance": self.read_balance, "transfer": self.transfer, "withdraw": self.withdraw}

    async def log_in(self, visit: Visit) -> None:
        customer = visit.random.choice(self._people)
        answer = await _insist(
            visit, visit.operation(), "POST", "/login", body=_credentials(customer), pauses_s=self._read_pauses_s
        )
        _remember(visit, customer, answer)

    async def read_balance(self, visit: Visit) -> None:
        customer, account = self._choose(visit)
        headers = await self._signed_in(visit, customer)
        operation = visit.operation(session=customer.name)
        await _insist(visit, operation, "GET", f"/accounts/{account}", headers=headers, pauses_s=self._read_pauses_s)

    async def transfer(self, visit: Visit) -> None:
        customer, payer = self._choose(visit)
        amount = visit.random.randrange(*AMOUNTS)
        if visit.random.random() < OTHER_BANK_SHARE:
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
        legs = {account: -amount, VAULT: amount}
        await self._pay(visit, customer, "/withdrawals", body={"account": account, "amount": amount}, legs=legs)

    def _choose(self, visit: Visit) -> tuple[Customer, str]:
        customer = visit.random.choice(self._people)
        return customer, visit.random.choice(customer.accounts)

    async def _pay(
        self, visit: Visit, customer: Customer, path: str, *, body: Mapping[str, object], legs: Mapping[str, int]
    ) -> None:
        headers = {**await self._signed_in(visit, customer), "Idempotency-Key": visit.intent}
        operation = visit.operation(legs=legs, key=visit.intent, session=customer.name)
        await _insist(visit, operation, "POST", path, body=body, headers=headers, pauses_s=self._pauses_s)

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


async def _insist(
    visit: Visit,
    operation: Wanted,
    method: str,
    path: str,
    *,
    body: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
    pauses_s: tuple[float, ...],
) -> Answer:
    """Ask, and ask again while it is not clear what happened."""
    is_unclear = False
    answer: Answer | None = None
    for pause_s in (0.0, *pauses_s):
        if answer is not None:
            await asyncio.sleep(pause_s * visit.random.uniform(0.5, 1.5))
        answer = await operation.attempt(method, path, body=body, headers=headers, timeout_s=ATTEMPT_LIMIT_S)
        is_unclear = is_unclear or answer.outcome is Outcome.INFO
        # 503 without effect says nothing of the call before it, which may have paid: then it is still worth asking.
        is_settled = answer.outcome is Outcome.OK or (answer.outcome is Outcome.FAIL and answer.status != 503)
        if is_settled or not is_unclear:
            break
    assert answer is not None
    return answer


def _remember(visit: Visit, customer: Customer, answer: Answer) -> None:
    if answer.outcome is Outcome.OK and "token" in answer.body:
        visit.memory[customer.name] = answer.body["token"]


def _credentials(customer: Customer) -> dict[str, object]:
    return {"customer": customer.name, "pin": customer.pin}
