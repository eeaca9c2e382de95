"""Each wrong way with keys does its own harm on a real PostgreSQL, and the sound one does none of it."""

import asyncio

import pytest

from chaoskit.bank.broken.apps import NewKeyPerRetry
from chaoskit.bank.journeys import journeys

TOO_OLD_S = 1.1
"""A little longer than a key lives in the bank that forgets them."""


WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'bank-core' AND wait_event_type = 'Lock'
"""


async def at_once(it, *amounts):
    """Payments over these amounts under one key, all under way at once: the statuses, and the amounts that were booked.

    The payer's account is held by somebody else until all of them wait: for it, or for the one that came first.
    """
    payer, payee = it.rich()
    with it.connect() as holding, it.connect() as looking:
        looking.autocommit = True
        holding.execute("SELECT FROM accounts WHERE account = %s FOR UPDATE", (payer,))
        calls = [asyncio.create_task(it.pay("k", payer, payee, amount)) for amount in amounts]
        for _ in range(500):
            if looking.execute(WAITING).fetchone() == (len(amounts),):
                break
            await asyncio.sleep(0.002)  # between two looks; the core gives a lock up after a second
        holding.rollback()
        answers = await asyncio.gather(*calls)
    state = await it.read()
    return [status for status, _ in answers], sorted(posting.amount for posting in state.postings if posting.amount > 0)


@pytest.mark.parametrize(
    "defect, booked", [("none", [10]), ("key-race", [10] * 4), ("key-body-race", [10]), ("short-key-life", [10])]
)
def test_four_calls_at_once_with_one_key(bank, defect, booked):
    async def scenario():
        async with bank(defect=defect) as it:
            assert await at_once(it, *[10] * 4) == ([200] * 4, booked)

    asyncio.run(scenario())


@pytest.mark.parametrize("defect, booked", [("none", 1), ("key-race", 2), ("key-body-race", 2), ("short-key-life", 1)])
def test_two_payments_at_once_with_one_key(bank, defect, booked):
    async def scenario():
        async with bank(defect=defect) as it:
            statuses, amounts = await at_once(it, 10, 20)
            assert sorted(statuses) == ([200, 200] if defect == "key-race" else [200, 422])
            assert len(amounts) == booked

    asyncio.run(scenario())


@pytest.mark.parametrize("defect", ["none", "key-race", "key-body-race", "short-key-life"])
def test_one_after_the_other_none_of_them_is_seen_to_be_wrong(bank, defect):
    async def scenario():
        async with bank(defect=defect) as it:
            payer, payee = it.rich()
            first, again, other = [await it.pay("k", payer, payee, amount) for amount in (10, 10, 20)]
            assert (first[0], again, other[0]) == (200, first, 422)
            refused = [await it.pay("r", *it.rich()[::-1], 10**12) for _ in range(2)]
            assert refused[0] == refused[1]
            assert refused[0][0] == 422
            await it.settle("closed")
            assert (await it.pay("closed", payer, payee, 10))[0] == 409
            assert len((await it.read()).postings) == 2

    asyncio.run(scenario())


@pytest.mark.parametrize("defect, booked", [("none", [10]), ("key-race", [10]), ("short-key-life", [10, 10])])
def test_a_retry_after_the_life_time_of_a_short_lived_key(bank, defect, booked):
    async def scenario():
        async with bank(defect=defect) as it:
            payer, payee = it.rich()
            await it.pay("k", payer, payee, 10)
            with it.connect() as connection:
                connection.execute("UPDATE transactions SET at = at - %s * interval '1 second'", (TOO_OLD_S,))
            assert (await it.pay("k", payer, payee, 10))[0] == 200
            assert [posting.amount for posting in (await it.read()).postings if posting.amount > 0] == booked

    asyncio.run(scenario())


def test_the_broken_app_pays_under_a_new_key_each_time_for_everybody():
    transfer = journeys({"defect": "new-key-per-retry"}, 7)["transfer"]
    assert isinstance(transfer.__self__, NewKeyPerRetry)
    assert not isinstance(journeys({}, 7)["transfer"].__self__, NewKeyPerRetry)
