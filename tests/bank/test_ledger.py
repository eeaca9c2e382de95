"""The reader of the money against a real database."""

import asyncio

import pytest

from chaoskit.bank import customers
from chaoskit.bank.ledger import BankLedger
from chaoskit.model.errors import NotReady
from chaoskit.model.topology import Credit


def test_the_books_sum_to_the_opening_after_payments_of_every_kind(bank):
    async def scenario():
        async with bank() as it:
            opening = customers.opening(7, {})
            state = await it.read()
            assert {account.account: account.balance for account in state.accounts} == opening
            several = {customer.name: customer.accounts for customer in it.people if len(customer.accounts) > 1}
            assert {limit.group: limit.accounts for limit in state.limits if limit.lowest == 0} == several
            together = {account for accounts in several.values() for account in accounts}
            lowest = {account.account: account.lowest for account in state.accounts if account.kind == "customer"}
            assert lowest == {account: None if account in together else 0 for account in lowest}
            assert state.read_from == "solo"
            payer, payee = it.rich()
            await it.pay("t", payer, payee, 10)
            for kind in ("withdrawal", "interbank"):
                order = {"kind": kind, "from": payer, "to": "other-1", "amount": 5}
                await it.call("POST", "/movements", to="core", body=order, headers={"Idempotency-Key": kind})
            state = await it.read()
            balances = {account.account: account.balance for account in state.accounts}
            assert sum(balances.values()) == sum(opening.values())
            assert balances[payer] == opening[payer] - 20
            assert (balances["vault"], balances["clearing"]) == (5, 5)
            for posting in state.postings:
                if posting.account != payer:
                    assert posting.balance_after == balances[posting.account]

    asyncio.run(scenario())


def test_settling_says_for_every_key_what_became_of_it(bank):
    async def scenario():
        async with bank() as it:
            payer, payee = it.rich()
            await it.pay("paid", payer, payee, 10)
            await it.pay("refused", payer, payee, 10**12)
            never = [f"never-{number}" for number in range(1200)]
            settled = await it.settle("paid", "refused", *never)
            assert settled == {"paid": "applied", "refused": "refused", **dict.fromkeys(never, "tombstone")}
            assert await it.settle() == {}

    asyncio.run(scenario())


def test_an_open_payment_is_seen_and_the_fence_waits_for_it(bank):
    async def scenario():
        async with bank() as it:
            payer, payee = it.rich()
            with it.connect() as stranger:
                stranger.execute("SELECT 1 FROM accounts WHERE account = %s FOR UPDATE", (payer,))
                paying = asyncio.create_task(it.pay("k", payer, payee, 10))
                assert await it.waits_for_a_lock()
                assert await asyncio.to_thread(it.ledger.open_transactions, timeout_s=0) == 1
                fence = asyncio.create_task(asyncio.to_thread(it.ledger.open_transactions, timeout_s=5))
                # The fence has its own session when it has had its first look.
                watch = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'chaoskit-ledger' AND query LIKE '%count%'"
                for _ in range(500):
                    stranger.execute("SELECT pg_stat_clear_snapshot()")
                    if stranger.execute(watch).fetchone():
                        break
                    await asyncio.sleep(0.01)
                stranger.rollback()
            assert (await paying)[0] == 200
            assert await fence == 0

    asyncio.run(scenario())


def test_digests_change_with_the_money(bank):
    async def scenario():
        async with bank() as it:
            payer, payee = it.rich()
            first = await asyncio.to_thread(it.ledger.digests, timeout_s=5)
            assert first.keys() == {"solo"}
            assert await asyncio.to_thread(it.ledger.digests, timeout_s=5) == first
            await it.pay("k", payer, payee, 10)
            second = await asyncio.to_thread(it.ledger.digests, timeout_s=5)
            assert second != first
            with it.connect() as stranger:
                stranger.execute("UPDATE accounts SET balance = balance + 1 WHERE account = 'vault'")
            assert await asyncio.to_thread(it.ledger.digests, timeout_s=5) != second

    asyncio.run(scenario())


def test_a_member_that_does_not_answer_is_left_out_of_the_digests(bank):
    async def scenario():
        async with bank() as it:
            members = {"solo": (it.postgres.host, it.postgres.port), "gone": ("127.0.0.1", 1)}
            ledger = BankLedger(members, user=it.postgres.user, name=it.database)
            assert (await asyncio.to_thread(ledger.digests, timeout_s=0.2)).keys() == {"solo"}
            # The primary is found behind a member that is away.
            assert (await asyncio.to_thread(ledger.read, timeout_s=5)).read_from == "solo"

    asyncio.run(scenario())


def test_a_ledger_that_cannot_be_read_is_an_error_that_says_where():
    ledger = BankLedger({"gone": ("127.0.0.1", 1)}, user="postgres", name="bank")
    with pytest.raises(NotReady, match=r"could not read the ledger within 0.1 s \(gone at 127.0.0.1:1\)"):
        ledger.read(timeout_s=0.1)
    with pytest.raises(NotReady, match="make digests"):
        ledger.digests(timeout_s=0.1)


@pytest.mark.parametrize("is_struck_off", [True, False])
def test_the_other_banks_book_is_read_and_what_waits_to_be_sent_is_named(bank, is_struck_off):
    async def scenario():
        async with bank() as it:
            assert (await it.read()).credits == ()
            if not is_struck_off:
                with it.connect() as stranger:
                    stranger.execute("CREATE RULE never_sent AS ON UPDATE TO outbox DO INSTEAD NOTHING")
            order = {"kind": "interbank", "from": it.rich()[0], "to": "other-9", "amount": 7}
            assert (await it.call("POST", "/movements", to="core", body=order, headers={"Idempotency-Key": "k"}))[0] == 200
            # It is no open transaction of ours, but it is waited for.
            assert await asyncio.to_thread(it.ledger.open_transactions, timeout_s=10 if is_struck_off else 1) == 0
            state = await it.read()
            assert state.credits == (Credit(key="k", account="other-9", amount=7),)
            assert state.unsent == (() if is_struck_off else ("k",))

    asyncio.run(scenario())


def test_a_switch_that_cannot_be_read_is_an_error_that_says_where(bank):
    async def scenario():
        async with bank() as it:
            where = {"solo": (it.postgres.host, it.postgres.port)}
            ledger = BankLedger(where, user=it.postgres.user, name=it.database, rail=("127.0.0.1", 1))
            with pytest.raises(NotReady, match=r"could not read what other banks have booked \(http://127.0.0.1:1/journal\)"):
                await asyncio.to_thread(ledger.read, timeout_s=0.2)
            alone = BankLedger(where, user=it.postgres.user, name=it.database)
            assert (await asyncio.to_thread(alone.read, timeout_s=5)).credits is None

    asyncio.run(scenario())
