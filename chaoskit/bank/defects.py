"""The ways in which the reference bank can be broken on purpose, one published failure each.

An experiment that has never failed a broken bank has shown nothing: every reference experiment names the defect it convicts.
Those of the database tier stand in `database_defects`, those of how services book and pass money on in `service_defects`, those of
idempotency keys in `key_defects`.
"""

from __future__ import annotations

from chaoskit.bank import database_defects as database
from chaoskit.bank import key_defects as keys
from chaoskit.bank import service_defects as services
from chaoskit.bank.defect import Defect

NO_IDEMPOTENCY = Defect(
    name="no-idempotency",
    title="A retried payment is paid twice",
    breaks="The core writes the idempotency key down but never looks it up, so every retry moves the money again.",
    incident="A double-entry ledger committed, lost its answer, and its outbox sent the journal again without a key "
    "(artivisi/balaka#29, LerianStudio/midaz#1974).",
    convicted_by="at-most-once",
    experiment="network_partition",
)
CASH_WITHOUT_DEBIT = Defect(
    name="cash-without-debit",
    title="A machine pays out although nobody answered",
    breaks="Cash machines take no answer for a yes: they pay out, and ask for no reversal.",
    incident="Bank DKI, May to August 2019: withdrawals at another network's machines did not lower the account's balance.",
    convicted_by="cash",
    experiment="network_partition",
)
REVOKED_SESSION = Defect(
    name="revoked-session",
    title="Who had logged out is let in again",
    breaks="Sessions, their ends and wrong PINs are answered before the standby has them, so a takeover brings back what was over.",
    incident="Acknowledged writes were gone after a takeover by a copy that was behind (sorintlab/stolon#783); here they had ended "
    "sessions.",
    convicted_by="login",
    experiment="ended_sessions",
)
UNBOUNDED_QUEUE = Defect(
    name="unbounded-queue",
    title="The gateway lets everybody in and serves nobody",
    breaks="The gateway queues every request without limit, payments behind look-ups, and works on requests whose customer has "
    "long gone.",
    incident="Mobile banks at holiday peaks and pay days: retries of customers who gave up kept the queue full long after the peak "
    "(Bank Mandiri 2019, DBS 2023).",
    convicted_by="availability",
    experiment="server_saturation",
)

DEFECTS: dict[str, Defect] = {
    defect.name: defect
    for defect in (
        database.ASYNC_REPLICATION,
        database.LOCAL_COMMIT,
        database.CANCELLED_WAIT,
        database.RESTART_SHOWS_WAITING,
        database.STALE_PROMOTION,
        database.DEGRADE_TO_ASYNC,
        database.SPLIT_BRAIN,
        NO_IDEMPOTENCY,
        keys.NEW_KEY_PER_RETRY,
        keys.KEY_RACE,
        keys.KEY_BODY_RACE,
        keys.SHORT_KEY_LIFE,
        services.LOST_UPDATE,
        services.WRITE_SKEW,
        services.EARLY_CHECK,
        database.STANDBY_READS,
        database.MIXED_READS,
        services.DIRTY_READ,
        services.TORN_TRANSFER,
        database.ASYNC_COMMIT,
        services.DOUBLE_RELAY,
        services.LOST_OUTBOX,
        services.GATEWAY_RETRIES,
        CASH_WITHOUT_DEBIT,
        REVOKED_SESSION,
        database.NO_TAKEOVER,
        database.READ_ONLY_TAKEOVER,
        UNBOUNDED_QUEUE,
    )
}
"""In the order in which they are listed: the ledger's copies, keys, bookings, looks, the switch and cash, then the rest."""
