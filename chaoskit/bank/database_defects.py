"""The ways to break the bank's database tier: its two copies, its sessions, and who decides which copy is the primary.

What each changes is a row of a table in `chaoskit.bank.ledger_db` or a session in `chaoskit.bank.broken`.
"""

from __future__ import annotations

from chaoskit.bank.defect import Defect

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
