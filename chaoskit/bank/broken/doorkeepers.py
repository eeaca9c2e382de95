"""Doorkeepers whose book of sessions does not outlive a takeover."""

from __future__ import annotations

from typing import ClassVar

from chaoskit.bank import access
from chaoskit.bank.services.doorkeeper import Doorkeeper

# The statement is its own transaction, so it is this commit that does not wait for the standby.
UNCOPIED = "WITH how AS (SELECT set_config('synchronous_commit', 'local', true)) {} CROSS JOIN how"


class ForgetsOnTakeover(Doorkeeper):
    """Answers before the standby knows of a session, its end, or a wrong PIN: unlike the ledger, its book may be behind there."""

    log_in_statement: ClassVar[str] = UNCOPIED.format(access.CALL_LOG_IN)
    log_out_statement: ClassVar[str] = UNCOPIED.format(access.CALL_LOG_OUT)
