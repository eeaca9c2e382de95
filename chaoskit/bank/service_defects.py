"""Defects of the services: of how the core books and shows money, of the gateway, and of the way to other banks."""

from __future__ import annotations

from chaoskit.bank.defect import Defect

LOST_UPDATE = Defect(
    name="lost-update",
    title="Of two payments at once, one leaves no trace in the balance",
    breaks="The core reads both balances, works the new ones out, and writes them over whatever they have become meanwhile.",
    incident="MariaDB Galera lost updates on a healthy cluster (Jepsen's report on 12.1.2, 2026); balances that were read, changed "
    "and written back no longer added up (cockroachdb/cockroach#4687).",
    convicted_by="balance-is-ledger",
    experiment="server_saturation",
)
WRITE_SKEW = Defect(
    name="write-skew",
    title="Two accounts are spent against each other",
    breaks="The core locks only what it changes, so two payments from two accounts of one customer both count on their sum.",
    incident="PostgreSQL showed this anomaly even under SERIALIZABLE until 12.4 (Jepsen's report on 12.3, 2020).",
    convicted_by="no-overdraft",
    experiment="empty_accounts",
)
EARLY_CHECK = Defect(
    name="early-check",
    title="The same money is spent twice at once",
    breaks="The core looks whether there is enough money first, without a lock, and takes it a moment later without looking again.",
    incident="A balance turned negative in a bank of several tables (tarantool/tarantool#6099).",
    convicted_by="no-overdraft",
    experiment="empty_accounts",
)
DIRTY_READ = Defect(
    name="dirty-read",
    title="A customer sees a payment that never happened",
    breaks="The core puts the new balance into a cache before the payment is done, and leaves it there when it is refused.",
    incident="Intermediate states of transactions were shown to readers (Jepsen's report on Radix DLT 1.0).",
    convicted_by="read-window",
    experiment="network_partition",
)
TORN_TRANSFER = Defect(
    name="torn-transfer",
    title="Money leaves one account and arrives at none",
    breaks="The core debits in one transaction and credits in the next, so a crash in between leaves half of a payment.",
    incident="Committed transfers were partly missing (Jepsen's report on Radix DLT 1.0); a bank's total went from 50 to 48 and "
    "stayed there (cockroachdb/cockroach#17815).",
    convicted_by="double-entry",
    experiment="interbank",
)
DOUBLE_RELAY = Defect(
    name="double-relay",
    title="A payment to another bank arrives twice",
    breaks="The receiving side books every delivery, and the relay delivers again what was not confirmed.",
    incident="An outbox dispatches again when marking a message as sent fails (Particular/docs.particular.net#1816).",
    convicted_by="reconciled",
    experiment="interbank",
)
LOST_OUTBOX = Defect(
    name="lost-outbox",
    title="A payment to another bank never arrives",
    breaks="The core tells the relay of a payment in a step of its own, after the payment; a crash in between, and nobody is told.",
    incident="Bank Mandiri, 22 June 2017: customers saw balances fall while the payment failed, and reversals were worked off over "
    "the following days.",
    convicted_by="reconciled",
    experiment="interbank",
)
GATEWAY_RETRIES = Defect(
    name="gateway-retries",
    title="The gateway pays again by itself",
    breaks="A payment that the core does not answer in time is sent again by the gateway, under a key of the gateway's own.",
    incident="A ledger's journal was written twice when its answer was lost and a sender in between tried again without a key "
    "(artivisi/balaka#29).",
    convicted_by="at-most-once",
    experiment="network_partition",
)
