"""Tokens that say who a customer is and in which session, signed with a key made from the run's seed.

The gateway checks one without asking anybody; whether its session has ended only the core can tell, from the ledger's database.
The key protects a bank that lives for a minute; a real one's key would not come from a seed.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a token says: whose it is, of which session, which accounts are theirs, and until when (Unix seconds)."""

    customer: str
    session: str
    accounts: tuple[str, ...]
    until_s: int


def sign(claims: Claims, *, seed: int) -> str:
    text = json.dumps([claims.customer, claims.session, list(claims.accounts), claims.until_s], separators=(",", ":")).encode()
    payload = base64.urlsafe_b64encode(text).decode()
    return f"{payload}.{_signature(payload, seed)}"


def verify(token: str, *, seed: int, now_s: float) -> Claims | None:
    """The claims of a token that this bank signed and that is still valid; None otherwise."""
    payload, _, signature = token.partition(".")
    if not hmac.compare_digest(signature.encode(), _signature(payload, seed).encode()):
        return None
    # Only after the signature held is the content our own and worth reading.
    customer, session, accounts, until_s = json.loads(base64.urlsafe_b64decode(payload))
    claims = Claims(customer=customer, session=session, accounts=tuple(accounts), until_s=until_s)
    return claims if now_s < claims.until_s else None


def pin_hash(customer: str, pin: str, *, seed: int) -> str:
    """How a PIN is kept. Keyed and fast: a slow hash would spend the machine's CPU on secrets that guard nothing."""
    return hmac.new(_key(seed, "pins"), f"{customer}:{pin}".encode(), hashlib.sha256).hexdigest()


def _signature(payload: str, seed: int) -> str:
    return hmac.new(_key(seed, "tokens"), payload.encode(), hashlib.sha256).hexdigest()


def _key(seed: int, purpose: str) -> bytes:
    return f"chaoskit bank {purpose} {seed}".encode()
