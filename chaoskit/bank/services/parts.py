"""Which classes a service is made of: the sound ones, or the one that takes a sound one's place in a bank with a defect.

This is the only place where a service, or an app or a cash machine of the load, looks at a defect. What is broken lies in
`chaoskit.bank.broken`, and is loaded only there.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TypeVar

T = TypeVar("T")

BROKEN: Mapping[str, Mapping[str, str]] = {
    "local-commit": {"Sessions": "waiting:LocalCommit"},
    "cancelled-wait": {"Sessions": "waiting:CancelledWait"},
    "split-brain": {"Sessions": "standbys:AnyPrimary"},
    "standby-reads": {"Bookkeeper": "standbys:StandbyReads"},
    "mixed-reads": {"Bookkeeper": "standbys:MixedReads"},
    "cash-without-debit": {"CashMachine": "cash_machines:PaysOnSilence"},
    "no-idempotency": {"Bookkeeper": "keys:NoIdempotency"},
    "new-key-per-retry": {"App": "apps:NewKeyPerRetry"},
    "key-race": {"Bookkeeper": "keys:KeyRace"},
    "key-body-race": {"Bookkeeper": "keys:KeyBodyRace"},
    "short-key-life": {"Bookkeeper": "keys:ShortKeyLife"},
    "revoked-session": {"Doorkeeper": "doorkeepers:ForgetsOnTakeover"},
    "unbounded-queue": {"Admission": "queues:EndlessQueue"},
    "lost-update": {"Bookkeeper": "bookings:LostUpdate"},
    "write-skew": {"Bookkeeper": "bookings:WriteSkew"},
    "early-check": {"Bookkeeper": "bookings:EarlyCheck"},
    "dirty-read": {"Bookkeeper": "caches:DirtyRead"},
    "torn-transfer": {"Bookkeeper": "bookings:TornTransfer"},
    "double-relay": {"Journal": "journals:EveryDelivery"},
    "lost-outbox": {"Bookkeeper": "bookings:LostOutbox"},
    "gateway-retries": {"CoreDoor": "repeats:RepeatingDoor", "Bookkeeper": "repeats:FiledUnderReference"},
}
"""By defect: the name of a sound class, and `module:class` of what takes its place. A defect of the database is not here."""


def part(sound: type[T], *, defect: str) -> type[T]:
    """*sound*, or its broken subclass in a bank with *defect*."""
    place = BROKEN.get(defect, {}).get(sound.__name__)
    if place is None:
        return sound
    module, _, name = place.partition(":")
    broken = getattr(import_module(f"chaoskit.bank.broken.{module}"), name)
    assert isinstance(broken, type), place
    assert issubclass(broken, sound), place
    return broken
