"""Ledgers that are not the bank's: any database by queries, or a service that only says of each key what became of it."""

from chaoskit.ledgers.sql import SqlLedger
from chaoskit.ledgers.status import StatusLedger

__all__ = ["SqlLedger", "StatusLedger"]
