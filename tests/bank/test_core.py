"""The core on a real PostgreSQL: a payment happens once, whatever is sent."""

import asyncio


def amounts(state, key):
    return sorted(posting.amount for posting in state.postings if posting.key == key)


def test_same_key_twice_applies_once_and_replays_the_same_answer(bank):
    async def scenario():
        async with bank() as it:
            payer, payee = it.rich()
            first = await it.pay("k", payer, payee, 500)
            second = await it.pay("k", payer, payee, 500)
            assert first == second
            assert first[0] == 200
            assert first[1]["served_by"] == "solo"
            assert amounts(await it.read(), "k") == [-500, 500]

    asyncio.run(scenario())


def test_same_key_with_another_body_is_refused_without_effect(bank):
    async def scenario():
        async with bank() as it:
            payer, payee = it.rich()
            await it.pay("k", payer, payee, 500)
            status, said = await it.pay("k", payer, payee, 501)
            assert (status, said["effect"]) == (422, "none")
            assert amounts(await it.read(), "k") == [-500, 500]

    asyncio.run(scenario())


def test_one_key_sent_by_many_at_once_applies_once(bank):
    async def scenario():
        async with bank() as it:
            payer, payee = it.rich()
            answers = await asyncio.gather(*(it.pay("k", payer, payee, 500) for _ in range(6)))
            assert all(answer == answers[0] for answer in answers)
            assert answers[0][0] == 200
            assert amounts(await it.read(), "k") == [-500, 500]

    asyncio.run(scenario())


def test_insufficient_funds_are_refused_and_the_refusal_is_kept(bank):
    async def scenario():
        async with bank() as it:
            payer, payee = it.rich()
            refused = await it.pay("k", payer, payee, 10**9)
            assert refused == (422, {"error": "insufficient-funds", "effect": "none"})
            # Even if there is money later: the customer was told no.
            assert await it.pay("k", payer, payee, 10**9) == refused
            assert amounts(await it.read(), "k") == []
            assert await it.settle("k") == {"k": "refused"}

    asyncio.run(scenario())


def test_who_has_two_accounts_may_overdraw_one_as_long_as_both_together_hold_enough(bank):
    async def scenario():
        async with bank() as it:
            customer = next(customer for customer in it.people if len(customer.accounts) == 2)
            one, other = customer.accounts
            most = sum(customer.balances.values())
            payee, _ = it.rich()
            assert (await it.pay("more", one, payee, most + 1))[0] == 422
            assert (await it.pay("all", one, payee, most))[0] == 200
            assert (await it.pay("from the other", other, payee, 1))[0] == 422
            # Between their own accounts the sum stays as it is.
            assert (await it.pay("own", other, one, 5))[0] == 200
            state = await it.read()
            assert [limit.accounts for limit in state.limits if limit.group == customer.name] == [customer.accounts]

    asyncio.run(scenario())


def test_all_accounts_of_a_customer_with_a_common_limit_are_locked_in_the_order_of_their_names(bank):
    async def scenario():
        async with bank() as it:
            customer = next(customer for customer in it.people if len(customer.accounts) == 2)
            first, second = sorted(customer.accounts)
            payee, _ = it.rich()
            with it.connect() as stranger:
                stranger.execute("SELECT 1 FROM accounts WHERE account = %s FOR UPDATE", (first,))
                paying = asyncio.create_task(it.pay("k", second, payee, 1))
                assert await it.waits_for_a_lock()
                stranger.execute("SELECT 1 FROM accounts WHERE account = %s FOR UPDATE NOWAIT", (second,))
                stranger.rollback()
            assert (await paying)[0] == 200

    asyncio.run(scenario())


def test_a_tombstone_refuses_a_late_arrival(bank):
    async def scenario():
        async with bank() as it:
            payer, payee = it.rich()
            assert await it.settle("late") == {"late": "tombstone"}
            assert await it.pay("late", payer, payee, 500) == (409, {"error": "key-closed", "effect": "none"})
            assert amounts(await it.read(), "late") == []
            assert await it.settle("late") == {"late": "tombstone"}

    asyncio.run(scenario())


def test_no_idempotency_applies_a_retry_again_under_the_same_key(bank):
    async def scenario():
        async with bank(defect="no-idempotency") as it:
            payer, payee = it.rich()
            await it.pay("k", payer, payee, 500)
            await it.pay("k", payer, payee, 500)
            assert amounts(await it.read(), "k") == [-500, -500, 500, 500]
            await it.settle("late")
            assert (await it.pay("late", payer, payee, 500))[0] == 409

    asyncio.run(scenario())


def test_accounts_are_locked_in_the_order_of_their_names_whoever_pays(bank):
    """Payments in both directions between two accounts can then never wait for each other."""

    async def scenario():
        async with bank(slots=12) as it:
            first, second = sorted(it.rich())
            for payer, payee in ((first, second), (second, first)):
                with it.connect() as stranger:
                    stranger.execute("SELECT 1 FROM accounts WHERE account = %s FOR UPDATE", (first,))
                    paying = asyncio.create_task(it.pay(f"from {payer}", payer, payee, 10))
                    assert await it.waits_for_a_lock()
                    # It waits for the first account and does not yet hold the second.
                    stranger.execute("SELECT 1 FROM accounts WHERE account = %s FOR UPDATE NOWAIT", (second,))
                    stranger.rollback()
                assert (await paying)[0] == 200
            there = [it.pay(f"there-{n}", first, second, 10) for n in range(60)]
            back = [it.pay(f"back-{n}", second, first, 10) for n in range(60)]
            assert {status for status, _ in await asyncio.gather(*there, *back)} == {200}

    asyncio.run(scenario())


def test_every_posting_carries_the_next_version_and_the_balance_after_it(bank):
    async def scenario():
        async with bank() as it:
            payer, payee = it.rich()
            await asyncio.gather(*(it.pay(f"k{n}", payer, payee, 100 + n) for n in range(20)))
            state = await it.read()
            mine = [posting for posting in state.postings if posting.account == payer]
            assert [posting.version for posting in mine] == list(range(1, 21))
            assert mine[-1].balance_after == next(a.balance for a in state.accounts if a.account == payer)

    asyncio.run(scenario())


def test_a_payment_that_waits_for_a_lock_past_its_deadline_has_no_effect(bank):
    async def scenario():
        async with bank() as it:
            payer, payee = it.rich()
            with it.connect() as stranger:
                stranger.execute("SELECT 1 FROM accounts WHERE account = %s FOR UPDATE", (payer,))
                status, said = await it.pay("k", payer, payee, 500)
            assert (status, said["effect"], said["detail"]) == (503, "none", "rolled back: 55P03")
            assert await it.settle("k") == {"k": "tombstone"}

    asyncio.run(scenario())


def test_an_overdue_payment_is_unknown_and_the_fence_makes_it_definite(bank):
    """The caller waits less long than the database: nobody may claim that nothing happened."""

    async def scenario():
        async with bank() as it:
            payer, payee = it.rich()
            order = {"kind": "transfer", "from": payer, "to": payee, "amount": 500}
            headers = {"Idempotency-Key": "k", "Deadline-Ms": "200"}
            with it.connect() as stranger:
                stranger.execute("SELECT 1 FROM accounts WHERE account = %s FOR UPDATE", (payer,))
                status, said = await it.call("POST", "/movements", to="core", body=order, headers=headers)
            assert (status, said["effect"]) == (504, "unknown")
            settled = await it.settle("k")
            assert await asyncio.to_thread(it.ledger.open_transactions, timeout_s=5) == 0
            applied = {"applied": [-500, 500], "tombstone": []}
            assert amounts(await it.read(), "k") == applied[settled["k"]]
            # The hung-up session is replaced, and nothing else noticed.
            assert (await it.pay("next", payer, payee, 1))[0] == 200

    asyncio.run(scenario())


def test_sessions_come_back_after_the_server_ended_them_and_nothing_is_sent_into_a_dead_one(bank):
    async def scenario():
        async with bank() as it:
            payer, payee = it.rich()
            with it.connect() as stranger:
                ended = stranger.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'bank-core'"
                    " AND datname = current_database()"
                ).fetchall()
            assert len(ended) == 6
            status, said = await it.pay("k", payer, payee, 500)
            assert status == 200 or said["effect"] == "none"
            await it.wait_until_core_answers()
            assert (await it.pay("next", payer, payee, 500))[0] == 200

    asyncio.run(scenario())


def test_books_are_opened_once(bank):
    async def scenario():
        async with bank() as it:
            payer, payee = it.rich()
            await it.pay("k", payer, payee, 500)
            before = await it.read()
            from chaoskit.bank.services import books, sessions
            from chaoskit.bank.services.bookkeeper import Bookkeeper

            where = ((it.postgres.host, it.postgres.port),)
            database = sessions.Database(hosts=where, user=it.postgres.user, name=it.database)
            await books._open_once(database, seed=7, who="many", functions=Bookkeeper.functions)
            assert await it.read() == before

    asyncio.run(scenario())


def test_amounts_that_are_no_amounts_are_refused_before_anything_is_done(bank):
    async def scenario():
        async with bank() as it:
            payer, payee = it.rich()
            for amount in (0, -5, 1.5, "7", True, None, 2**60):
                status, said = await it.pay("k", payer, payee, amount)
                assert (status, said["effect"]) == (400, "none"), amount
            assert (await it.pay("", payer, payee, 5))[0] == 400
            assert (await it.pay("k", payer, payer, 5))[0] == 400
            assert (await it.read()).postings == ()

    asyncio.run(scenario())
