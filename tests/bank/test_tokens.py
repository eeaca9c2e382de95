from chaoskit.bank.tokens import Claims, pin_hash, sign, verify

CLAIMS = Claims(customer="c001", session="s1", accounts=("c001-1", "c001-2"), until_s=1000)


def test_a_token_of_this_bank_says_who_it_is_until_it_ends():
    token = sign(CLAIMS, seed=7)
    assert verify(token, seed=7, now_s=999.9) == CLAIMS
    assert verify(token, seed=7, now_s=1000) is None


def test_a_token_that_was_changed_or_comes_from_elsewhere_is_nobodys():
    token = sign(CLAIMS, seed=7)
    other = sign(Claims(customer="c002", session="s2", accounts=("c002-1",), until_s=1000), seed=7)
    payload, signature = other.split(".")[0], token.split(".")[1]
    for forged in ("", ".", "x", token[:-1], f"{payload}.{signature}", f"{token}.", f"{token}é", sign(CLAIMS, seed=8)):
        assert verify(forged, seed=7, now_s=0) is None


def test_a_pin_is_kept_as_something_else_for_each_customer_and_bank():
    hashes = {pin_hash(customer, pin, seed=seed) for customer in ("a", "b") for pin in ("1", "2") for seed in (1, 2)}
    assert len(hashes) == 8
    assert pin_hash("a", "1", seed=1) in hashes
