"""Each wrong way to book does its own harm on a real PostgreSQL, and the sound one does none of it."""

import asyncio

import pytest

from chaoskit.bank.broken.bookings import changed


def account(state, name):
    return next(found for found in state.accounts if found.account == name)


def posted(state, name):
    return [posting for posting in state.postings if posting.account == name]


async def pay_at_once(it, count, *, amount):
    """Payments between two accounts that are all under way at the same time."""
    payer, payee = it.rich()
    answers = await asyncio.gather(*(it.pay(f"k{n}", payer, payee, amount) for n in range(count)))
    return payer, payee, [status for status, _ in answers], await it.read()


@pytest.mark.parametrize("defect", ["none", "lost-update"])
def test_lost_update_keeps_the_postings_and_loses_balances(bank, defect):
    async def scenario():
        async with bank(defect=defect) as it:
            before = account(await it.read(), it.rich()[0]).balance
            payer, _, statuses, state = await pay_at_once(it, 4, amount=10)
            assert statuses == [200] * 4
            assert [posting.version for posting in posted(state, payer)] == [1, 2, 3, 4]
            lost = account(state, payer).balance - (before - 40)
            assert lost == {"none": 0, "lost-update": 30}[defect]

    asyncio.run(scenario())


@pytest.mark.parametrize("defect", ["none", "early-check"])
def test_early_check_lets_the_same_money_be_spent_twice(bank, defect):
    async def scenario():
        async with bank(defect=defect) as it:
            most = account(await it.read(), it.rich()[0]).balance
            payer, payee, statuses, state = await pay_at_once(it, 2, amount=most)
            assert sorted(statuses) == {"none": [200, 422], "early-check": [200, 200]}[defect]
            assert account(state, payer).balance == {"none": 0, "early-check": -most}[defect]
            # One payment by itself is still refused.
            assert (await it.pay("alone", payer, payee, 1))[0] == 422

    asyncio.run(scenario())


@pytest.mark.parametrize("defect", ["none", "write-skew"])
def test_write_skew_spends_the_sum_of_two_accounts_from_both(bank, defect):
    async def scenario():
        async with bank(defect=defect) as it:
            customer = next(customer for customer in it.people if len(customer.accounts) == 2)
            one, other = customer.accounts
            most = sum(customer.balances.values())
            payee, _ = it.rich()
            answers = await asyncio.gather(it.pay("k1", one, payee, most), it.pay("k2", other, payee, most))
            assert sorted(status for status, _ in answers) == {"none": [200, 422], "write-skew": [200, 200]}[defect]
            state = await it.read()
            together = account(state, one).balance + account(state, other).balance
            assert together == {"none": 0, "write-skew": -most}[defect]

    asyncio.run(scenario())


@pytest.mark.parametrize("defect", ["none", "torn-transfer"])
def test_torn_transfer_has_only_a_debit_for_a_moment_and_for_good_when_the_core_dies_then(bank, defect):
    async def scenario():
        async with bank(defect=defect) as it:
            payer, payee = it.rich()
            paying = asyncio.create_task(it.pay("k", payer, payee, 10))
            for _ in range(500):
                if posted(state := await it.read(), payer):
                    break
            halves = len(posted(state, payee))
            assert halves == {"none": 1, "torn-transfer": 0}[defect]
            assert (await paying)[0] == 200
            state = await it.read()
            assert [posting.balance_after for posting in posted(state, payee)] == [account(state, payee).balance]
            # Asked again, it answers and books nothing.
            assert (await it.pay("k", payer, payee, 10))[0] == 200
            assert len((await it.read()).postings) == 2

    asyncio.run(scenario())


@pytest.mark.parametrize("defect", ["none", "lost-outbox"])
def test_lost_outbox_tells_the_relay_later_than_the_ledger(bank, defect):
    async def scenario():
        async with bank(defect=defect) as it:
            order = {"kind": "interbank", "from": it.rich()[0], "to": "other-9", "amount": 7}
            sending = it.call("POST", "/movements", to="core", body=order, headers={"Idempotency-Key": "k"})
            paying = asyncio.create_task(sending)
            with it.connect() as stranger:
                stranger.autocommit = True
                look = "SELECT (SELECT count(*) FROM transactions), (SELECT count(*) FROM outbox)"
                for _ in range(500):
                    if (seen := stranger.execute(look).fetchone())[0]:
                        break
                    await asyncio.sleep(0.01)
                assert seen == {"none": (1, 1), "lost-outbox": (1, 0)}[defect]
                assert (await paying)[0] == 200
                assert stranger.execute(look).fetchone() == (1, 1)

    asyncio.run(scenario())


def test_a_change_to_a_function_that_has_changed_itself_is_noticed():
    assert changed("a b c", ("b", "x")) == "a x c"
    for text in ("a c", "b b"):
        with pytest.raises(AssertionError):
            changed(text, ("b", "x"))
