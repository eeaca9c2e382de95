"""A session that is hung up: its connection may be closed only when the driver is done with it."""

import asyncio
import socket

import pytest

from chaoskit.bank.services.serving import now_s
from chaoskit.bank.services.sessions import Session, Unanswered


class Connection:
    """Waits for an answer as the driver does, and needs some turns of the loop until it has noticed the end."""

    closed = False

    def __init__(self, ours):
        self._ours = ours
        self.is_busy = False

    def fileno(self):
        return self._ours.fileno()

    async def execute(self, *_args, **_kwargs):
        self.is_busy = True
        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        loop.add_reader(self._ours, lambda: ended.done() or ended.set_result(None))
        await ended
        loop.remove_reader(self._ours)
        for _ in range(3):
            await asyncio.sleep(0)
        self.is_busy = False
        raise OSError("the connection was ended")


def test_a_session_counts_as_lost_only_when_its_statement_has_ended():
    """Whoever waits for the loss closes the connection; closed under a statement, the driver reads freed memory and the core dies."""

    async def run(ours):
        connection = Connection(ours)
        session = Session(connection)
        seen = []

        async def keeper():
            await session.lost.wait()
            seen.append(connection.is_busy)

        waiting = asyncio.create_task(keeper())
        with pytest.raises(Unanswered):
            await session.ask("SELECT 1", (), deadline_s=now_s() + 0.01)
        await waiting
        return seen

    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert asyncio.run(run(ours)) == [False]
