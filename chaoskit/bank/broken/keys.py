"""Bookkeepers that get idempotency keys wrong. All of them still refuse a key with a tombstone, or no run could be judged."""

from __future__ import annotations

from typing import ClassVar

from chaoskit.bank.services.bookkeeper import Bookkeeper

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


class NoIdempotency(Bookkeeper):
    """Writes the key down and never looks it up."""

    functions: ClassVar[tuple[str, ...]] = (*Bookkeeper.functions, FORGET_KEYS)
