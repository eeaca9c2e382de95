"""The ways in which the reference bank can be broken on purpose, one published failure each.

An experiment that has never failed a broken bank has shown nothing: every reference experiment names the defect it convicts.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One switch that breaks the bank. `convicted_by` names the checker that must say FAILED."""

    name: str
    title: str
    breaks: str
    """What is different in the bank, in one sentence."""
    incident: str
    """The published failure that it reproduces in kind."""
    convicted_by: str


NO_IDEMPOTENCY = Defect(
    name="no-idempotency",
    title="A retried payment is paid twice",
    breaks="The core writes the idempotency key down but never looks it up, so every retry moves the money again.",
    incident="A double-entry ledger committed, lost its answer, and its outbox sent the journal again without a key "
    "(artivisi/balaka#29, LerianStudio/midaz#1974).",
    convicted_by="at-most-once",
)
ASYNC_REPLICATION = Defect(
    name="async-replication",
    title="The standby takes over without the last payments",
    breaks="The database primary answers before its standby has the change.",
    incident="An acknowledged write was gone after its only node crashed (etcd-io/etcd#14370), and stale standbys were promoted "
    "(sorintlab/stolon#783).",
    convicted_by="ack-durable",
)
NO_TAKEOVER = Defect(
    name="no-takeover",
    title="The standby never takes over",
    breaks="The database manager is told not to fail over by itself, so the standby stays a standby.",
    incident="GoCardless, October 2017: the cluster manager could not promote a standby after the primary's disks failed, and the "
    "service was down until people did it by hand.",
    convicted_by="takeover",
)
UNBOUNDED_QUEUE = Defect(
    name="unbounded-queue",
    title="The gateway lets everybody in and serves nobody",
    breaks="The gateway queues every request without limit, payments behind look-ups, and works on requests whose customer has "
    "long gone.",
    incident="Mobile banks at holiday peaks and pay days: retries of customers who gave up kept the queue full long after the peak "
    "(Bank Mandiri 2019, DBS 2023).",
    convicted_by="availability",
)

DEFECTS: dict[str, Defect] = {defect.name: defect for defect in (NO_IDEMPOTENCY, ASYNC_REPLICATION, NO_TAKEOVER, UNBOUNDED_QUEUE)}
