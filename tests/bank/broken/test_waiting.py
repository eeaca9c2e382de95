"""Sessions that do not wait, on a server that waits for a standby which is not there."""

import asyncio
import time
from contextlib import contextmanager, suppress

import psycopg
import pytest

from chaoskit.bank.services.parts import part
from chaoskit.bank.services.sessions import Database, NotCarriedOut, Sessions, Unanswered

COMMIT = "SELECT pg_logical_emit_message(true, 'test', 'a commit that must reach the standby')"


@contextmanager
def standby_away(postgres):
    """Commits wait for somebody who never comes."""
    with psycopg.connect(host=postgres.host, port=postgres.port, user=postgres.user, dbname="postgres", autocommit=True) as admin:
        try:
            admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            admin.execute("SELECT pg_reload_conf()")
            yield
        finally:
            admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
            admin.execute("SELECT pg_reload_conf()")


async def said(postgres, defect, *statements):
    """What each statement gives: its first value, or the kind of its error."""
    database = Database(hosts=((postgres.host, postgres.port),), user=postgres.user, name="postgres")
    sessions = part(Sessions, defect=defect)(database, count=1, application="test")
    sessions.start()
    heard = []
    try:
        deadline_s = time.monotonic() + 10
        while time.monotonic() < deadline_s:
            with suppress(NotCarriedOut, Unanswered):
                await sessions.run("SELECT 1", (), deadline_s=time.monotonic() + 1)
                break
            await asyncio.sleep(0.02)
        for statement in statements:
            try:
                ((value,),) = await sessions.run(statement, (), deadline_s=time.monotonic() + 1.2)
                heard.append(value)
            except (NotCarriedOut, Unanswered) as error:
                heard.append(type(error).__name__)
    finally:
        await sessions.close()
    return heard


@pytest.mark.parametrize("defect,expected", [("none", "on"), ("local-commit", "local")])
def test_local_commit_asks_for_less_and_keeps_its_limits(postgres, defect, expected):
    told = asyncio.run(said(postgres, defect, "SHOW synchronous_commit", "SHOW statement_timeout", "SHOW lock_timeout"))
    assert told == [expected, "1200ms", "1s"]


@pytest.mark.parametrize("defect", ["none", "local-commit", "cancelled-wait"])
def test_only_a_broken_session_calls_done_what_no_standby_has(postgres, defect):
    with standby_away(postgres):
        (heard,) = asyncio.run(said(postgres, defect, COMMIT))
    assert (heard == "Unanswered") is (defect == "none"), heard


def test_what_is_cancelled_before_its_commit_is_still_known_to_have_no_effect(postgres):
    assert asyncio.run(said(postgres, "cancelled-wait", "SELECT pg_sleep(1)::text", "SELECT 2")) == ["NotCarriedOut", 2]
