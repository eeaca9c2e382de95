"""Bookkeepers that get idempotency keys wrong. All of them still refuse a key with a tombstone, or no run could be judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, cast

from chaoskit.bank import schema
from chaoskit.bank.broken.bookings import changed
from chaoskit.bank.services.bookkeeper import Bookkeeper, Moved, Movement
from chaoskit.bank.services.sessions import Sessions

# Takes the place of the sound function of the same name.
FORGET_KEYS = """
CREATE OR REPLACE FUNCTION move_money(
  p_key text, p_request_hash text, p_kind text, p_from text, p_to text, p_amount bigint, p_creditor text,
  OUT code integer, OUT body jsonb, OUT replayed boolean
) LANGUAGE plpgsql AS $$
BEGIN
  replayed := false;
  INSERT INTO operation_keys (key, request_hash, status) VALUES (p_key, p_request_hash, 'open') ON CONFLICT (key) DO NOTHING;
  IF EXISTS (SELECT FROM operation_keys WHERE key = p_key AND status = 'tombstone') THEN
    code := 409;
    body := jsonb_build_object('error', 'key-closed', 'effect', 'none');
    RETURN;
  END IF;
  SELECT b.code, b.body INTO code, body FROM book_payment(p_key, p_kind, p_from, p_to, p_amount, p_creditor) b;
  UPDATE operation_keys SET status = CASE code WHEN 200 THEN 'applied' ELSE 'refused' END, http_status = code, answer = body
  WHERE key = p_key;
END
$$;
"""

REFUSE_OTHER = """
      body := jsonb_build_object('error', 'key-used-for-another-request', 'effect', 'none');
"""
BOOK_ALL_THE_SAME = """
      PERFORM book_payment(p_key, p_kind, p_from, p_to, p_amount, p_creditor);
"""
IS_KNOWN = """
  IF NOT FOUND THEN
"""
# The network drops answers for longer than this, and an app waits for one for longer, too.
IS_KNOWN_AND_YOUNG = """
  IF NOT FOUND AND NOT EXISTS (SELECT FROM transactions WHERE key = p_key AND at < now() - interval '1 second') THEN
"""


class NoIdempotency(Bookkeeper):
    """Writes the key down and never looks it up."""

    functions: ClassVar[tuple[str, ...]] = (*Bookkeeper.functions, FORGET_KEYS)


class KeyRace(NoIdempotency):
    """Looks a key up in one transaction and writes it down in the next. Of two calls at once, both find nothing."""

    async def move(self, key: str, movement: Movement, *, deadline_s: float) -> Moved:
        known = await _looked_up(self._sessions, key, movement, deadline_s=deadline_s)
        return known or await super().move(key, movement, deadline_s=deadline_s)


class KeyBodyRace(Bookkeeper):
    """Compares a payment with what is known of its key before it books, and again afterwards, when it is too late."""

    functions: ClassVar[tuple[str, ...]] = (
        *Bookkeeper.functions,
        changed(schema.MOVE_MONEY, (REFUSE_OTHER, f"{REFUSE_OTHER}{BOOK_ALL_THE_SAME}")),
    )

    async def move(self, key: str, movement: Movement, *, deadline_s: float) -> Moved:
        known = await _looked_up(self._sessions, key, movement, deadline_s=deadline_s)
        return known or await super().move(key, movement, deadline_s=deadline_s)


class ShortKeyLife(Bookkeeper):
    """Knows the key of a payment for a second."""

    functions: ClassVar[tuple[str, ...]] = (*Bookkeeper.functions, changed(schema.MOVE_MONEY, (IS_KNOWN, IS_KNOWN_AND_YOUNG)))


async def _looked_up(sessions: Sessions, key: str, movement: Movement, *, deadline_s: float) -> Moved | None:
    """The answer of a key that is known to have one; None for one that is new, or still under way."""
    rows = await sessions.run(
        "SELECT request_hash, http_status, answer FROM operation_keys WHERE key = %s", (key,), deadline_s=deadline_s
    )
    for fingerprint, code, body in rows:
        if code is not None and fingerprint == movement.fingerprint():
            return Moved(int(str(code)), cast("Mapping[str, object]", body), replayed=True)
        if code is not None:
            return Moved(422, {"error": "key-used-for-another-request", "effect": "none"}, replayed=False)
    return None
