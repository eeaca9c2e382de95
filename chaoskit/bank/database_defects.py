"""The ways to break the bank's database tier: its two copies, its sessions, and who decides which copy is the primary.

What each changes is a row of `chaoskit.bank.ledger_db.TIERS`, a session or a way to look in `chaoskit.bank.broken`, or both.
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
LOCAL_COMMIT = Defect(
    name="local-commit",
    title="The core asks not to wait for the standby",
    breaks="The core's database sessions set synchronous_commit to local: the cluster is synchronous, its payments are not.",
    incident="A single node acknowledged a write, crashed, and no longer had it (etcd-io/etcd#14370): durable on one machine only.",
    convicted_by="ack-durable",
)
CANCELLED_WAIT = Defect(
    name="cancelled-wait",
    title="The core loses patience with the standby and calls the payment done",
    breaks="The core cancels a payment that takes longer than 0.4 s. One that waits for the standby is then committed without it, "
    "with a warning that nobody reads.",
    incident="patroni/patroni#1412: a wait for the synchronous standby was cancelled, others acted on the data, and it was gone.",
    convicted_by="ack-durable",
)
RESTART_SHOWS_WAITING = Defect(
    name="restart-shows-waiting",
    title="A restart shows payments that wait for the standby, and a takeover takes them back",
    breaks="Payments wait for the standby also while it is away, but a restart of the primary shows those that waited, and the "
    "manager promotes the standby that never had them.",
    incident="sorintlab/stolon#514, and a caveat of the PostgreSQL manual: commits that waited became visible after a restart, and "
    "were lost.",
    convicted_by="observed-stays",
    experiment="primary_restart",
)
STALE_PROMOTION = Defect(
    name="stale-promotion",
    title="A standby that has been away becomes the primary",
    breaks="The database manager does not ask whether a standby was in step when the primary was last seen.",
    incident="The order in which nodes came back made a stale one the primary (patroni/patroni#2175, "
    "cloudnative-pg/cloudnative-pg#1688); a standby six days behind was promoted (sorintlab/stolon#783).",
    convicted_by="ack-durable",
    experiment="standby_away",
)
DEGRADE_TO_ASYNC = Defect(
    name="degrade-to-async",
    title="When the standby leaves, nobody is told that it no longer counts",
    breaks="When its last standby leaves, the database manager turns synchronous replication off, and with it the rule that only a "
    "standby in step may take over.",
    incident="A standby six days behind was promoted (sorintlab/stolon#783).",
    convicted_by="ack-durable",
    experiment="standby_away",
)
SPLIT_BRAIN = Defect(
    name="split-brain",
    title="Two primaries take payments at once",
    breaks="A primary that is cut off goes on as if nothing had happened, another one is promoted, and the core pays at whichever "
    "answers. What the old one took is discarded later.",
    incident="Two primaries after a partition (cloudnative-pg/cloudnative-pg#7407, fly-apps/postgres-flex#55, "
    "EnterpriseDB/repmgr#766).",
    convicted_by="ack-durable",
    experiment="primary_isolated",
)
STANDBY_READS = Defect(
    name="standby-reads",
    title="Balances of the standby are shown as today's",
    breaks="The core reads balances from the standby, however far behind it is.",
    incident="Two readers on standbys disagreed about which of two transfers came first (Jepsen's report on RDS for PostgreSQL "
    "17.4).",
    convicted_by="read-window",
    experiment="standby_away",
)
MIXED_READS = Defect(
    name="mixed-reads",
    title="Some balances come from the primary and some from the standby",
    breaks="Each look at a balance goes to either node, as if both were one snapshot.",
    incident="Two readers on standbys disagreed about which of two transfers came first (Jepsen's report on RDS for PostgreSQL "
    "17.4).",
    convicted_by="read-window",
    experiment="standby_away",
)
ASYNC_COMMIT = Defect(
    name="async-commit",
    title="Payments are called done before they are on any disk",
    breaks="PostgreSQL answers before it has written the commit down (synchronous_commit=off), and writes every 10 s.",
    incident="Acknowledged commits were lost when nodes crashed close together, because the advised setting does not flush "
    "(Jepsen's report on MariaDB Galera 12.1.2).",
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
READ_ONLY_TAKEOVER = Defect(
    name="read-only-takeover",
    title="The standby takes over and refuses to write",
    breaks="The second node is set up read-only, which nobody notices while it is the standby.",
    incident="GoCardless, October 2017, in kind: the backup was there, and people had to make it work by hand.",
    convicted_by="takeover",
)
