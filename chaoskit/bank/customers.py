"""Who banks here: customers, their PINs, accounts and opening balances, all made from the seed. Pure.

The services, the load and the judge each make the same list for themselves; nothing is handed over but the seed.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

MANY, FEW = "many", "few"
CUSTOMERS = 60
# Twelve accounts: at the normal load two payments at once are then often from the same account, or from two of one customer.
FEW_CUSTOMERS = 8
# Few customers have about as much as one payment moves, so that each payment may be the one too many.
POOR = (15_000, 45_000)
VAULT = "vault"
"""Cash that left through machines. It begins empty, so that the sum over all accounts never changes."""
CLEARING = "clearing"
"""Money under way to other banks. It begins empty."""
GUESSED = 4
"""Customers whose PIN somebody guesses. They have no account and no other journey uses them, since a lock is for good. So few that
some are locked before the first fault, and others only after it."""
WATCHER = "status-page"
"""The customer as whom the public status page looks at the bank. No journey uses it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """One customer. Balances are minor units."""

    name: str
    pin: str
    balances: Mapping[str, int]

    @property
    def accounts(self) -> tuple[str, ...]:
        return tuple(self.balances)

    @property
    def lowest_sum(self) -> int | None:
        """How low all accounts together may go. None for who has a single one: its own limit is 0, those of several have none."""
        return 0 if len(self.balances) > 1 else None


def customers(seed: int, *, who: str = MANY) -> tuple[Customer, ...]:
    """The customers of the run with this seed, without the status page's own and those whose PIN is guessed."""
    chance = random.Random(f"{seed} customers")
    if who == FEW:
        return tuple(_poor_customer(number, chance) for number in range(1, FEW_CUSTOMERS + 1))
    return tuple(_customer(f"c{number:03}", chance) for number in range(1, CUSTOMERS + 1))


def guessed(seed: int) -> tuple[Customer, ...]:
    """The customers whose PIN somebody guesses."""
    chance = random.Random(f"{seed} guessed")
    return tuple(Customer(name=f"guessed-{number}", pin=_pin(chance), balances={}) for number in range(1, GUESSED + 1))


def watcher(seed: int) -> Customer:
    """The status page's own customer."""
    return Customer(name=WATCHER, pin=_pin(random.Random(f"{seed} watcher")), balances={f"{WATCHER}-1": 100})


def opening(seed: int, options: Mapping[str, str]) -> dict[str, int]:
    """Opening balances by account."""
    everybody = (*customers(seed, who=options.get("customers", MANY)), watcher(seed))
    balances = {account: balance for customer in everybody for account, balance in customer.balances.items()}
    return {**balances, VAULT: 0, CLEARING: 0}


def _customer(name: str, chance: random.Random) -> Customer:
    # One account in thirty is nearly empty, so that a few percent of the payments are refused from the start.
    balances = {
        f"{name}-{number}": chance.randrange(0, 20_000) if chance.random() < 1 / 30 else chance.randrange(300_000, 1_500_000)
        for number in range(1, chance.choice((1, 2)) + 1)
    }
    return Customer(name=name, pin=_pin(chance), balances=balances)


def _poor_customer(number: int, chance: random.Random) -> Customer:
    name, (low, high) = f"c{number:03}", POOR
    # Every second one has two accounts, which have their limit together.
    balances = {f"{name}-{account}": chance.randrange(low, high) for account in range(1, number % 2 + 2)}
    return Customer(name=name, pin=_pin(chance), balances=balances)


def _pin(chance: random.Random) -> str:
    return f"{chance.randrange(10**6):06}"
