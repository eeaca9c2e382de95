"""A receiving side that books whatever is delivered."""

from __future__ import annotations

from typing import ClassVar

from chaoskit.bank.services.journal import Journal


class EveryDelivery(Journal):
    """Takes each delivery for a payment of its own. That the same one is delivered again is what relays must do."""

    table: ClassVar[str] = Journal.table.replace(" PRIMARY KEY", " NOT NULL")
    insert: ClassVar[str] = "INSERT INTO credits VALUES (?, ?, ?, 1) RETURNING creditor, amount"
