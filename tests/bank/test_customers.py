from chaoskit.bank import customers


def test_the_same_seed_makes_the_same_customers_and_another_seed_others():
    assert customers.customers(7) == customers.customers(7)
    assert customers.customers(7) != customers.customers(8)
    assert customers.opening(7, {}) == customers.opening(7, {})


def test_everybody_has_one_or_two_accounts_and_a_pin():
    everybody = customers.customers(7)
    assert len(everybody) == 60
    assert {len(customer.accounts) for customer in everybody} == {1, 2}
    assert all(len(customer.pin) == 6 for customer in everybody)
    assert min(min(customer.balances.values()) for customer in everybody) >= 0


def test_the_opening_lists_every_account_once_and_the_houses_begin_empty():
    opening = customers.opening(7, {})
    assert (opening[customers.VAULT], opening[customers.CLEARING]) == (0, 0)
    accounts = [account for customer in (*customers.customers(7), customers.watcher(7)) for account in customer.accounts]
    assert len(accounts) == len(set(accounts)) == len(opening) - 2


def test_the_status_pages_customer_is_nobody_elses():
    assert customers.WATCHER not in {customer.name for customer in customers.customers(7)}


def test_few_customers_have_hardly_more_than_one_payment_and_half_of_them_two_accounts():
    few = customers.customers(7, who=customers.FEW)
    assert [len(customer.accounts) for customer in few] == [2, 1] * 4
    assert [customer.lowest_sum for customer in few] == [0, None] * 4
    assert max(max(customer.balances.values()) for customer in few) < 60_000
    assert sum(customers.opening(7, {"customers": "few"}).values()) == sum(
        sum(customer.balances.values()) for customer in (*few, customers.watcher(7))
    )
