"""Sessions and looks that do not care which node they are on."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import ClassVar

import psycopg

from chaoskit.bank.services.bookkeeper import Bookkeeper
from chaoskit.bank.services.serving import now_s
from chaoskit.bank.services.sessions import Row, Session, Sessions

# A node in recovery cannot say its timeline, and who does not compare timelines follows anybody.
ANY_TIMELINE = "SELECT coalesce(current_setting('bank.node', true), ''), '00000000'"
# Sessions are made anew this often, as pools do to spread over nodes that have come back. Not all of them at once.
LIVES_S = (1.0, 3.0)


class ShortLived(Session):
    __slots__ = ("ends_s",)

    def __init__(self, connection: psycopg.AsyncConnection[Row]) -> None:
        super().__init__(connection)
        self.ends_s = now_s() + random.uniform(*LIVES_S)


class AnyPrimary(Sessions):
    """On any node that takes writes, in any order, also on one that was deposed."""

    session: ClassVar[type[Session]] = ShortLived
    settings: ClassVar[Mapping[str, str]] = {"load_balance_hosts": "random"}
    who_are_you: ClassVar[str] = ANY_TIMELINE

    def _is_usable(self, session: Session) -> bool:
        assert isinstance(session, ShortLived)
        return super()._is_usable(session) and now_s() < session.ends_s


class AnyNode(Sessions):
    """On the standby if there is one."""

    settings: ClassVar[Mapping[str, str]] = {"target_session_attrs": "prefer-standby"}
    who_are_you: ClassVar[str] = ANY_TIMELINE


class StandbyReads(Bookkeeper):
    """Shows the standby's balances."""

    def __init__(self, sessions: Sessions, *, hold_s: float) -> None:
        super().__init__(sessions, hold_s=hold_s)
        self._looking = AnyNode(sessions.database, count=sessions.count, application="bank-looks")
        self._looking.start()  # it ends with the process

    async def balance(self, account: str, *, deadline_s: float) -> Row | None:
        return await Bookkeeper(self._looking, hold_s=self._hold_s).balance(account, deadline_s=deadline_s)


class MixedReads(StandbyReads):
    """Shows the balance of whichever node comes first."""

    async def balance(self, account: str, *, deadline_s: float) -> Row | None:
        kind = random.choice((StandbyReads, Bookkeeper))
        return await kind.balance(self, account, deadline_s=deadline_s)
