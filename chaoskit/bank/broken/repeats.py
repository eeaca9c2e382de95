"""A gateway that repeats payments, and the core behind it, which files a repetition under the customer's own key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from chaoskit.bank.services.bookkeeper import Bookkeeper, Moved, Movement
from chaoskit.bank.services.core_door import CoreDoor, Said

# No key of a customer ends so.
REPEATED = "~again"


class RepeatingDoor(CoreDoor):
    """Gives the core half of the time, and then sends the same payment again under a key of the gateway's own."""

    async def call(
        self, method: str, path: str, *, body: Mapping[str, object] | None, headers: Mapping[str, str], limit_s: float
    ) -> Said:
        key = headers.get("Idempotency-Key", "")
        if not key or path != "/movements":
            return await super().call(method, path, body=body, headers=headers, limit_s=limit_s)
        status, said = await super().call(method, path, body=body, headers=headers, limit_s=limit_s / 2)
        if status != 504:
            return status, said
        again = {**headers, "Idempotency-Key": key + REPEATED}
        return await super().call(method, path, body=body, headers=again, limit_s=limit_s / 2)


REPEAT_PAYMENT = """
CREATE OR REPLACE FUNCTION repeat_payment(
  p_reference text, p_key text, p_request_hash text, p_kind text, p_from text, p_to text, p_amount bigint, p_creditor text,
  OUT code integer, OUT body jsonb, OUT replayed boolean
) LANGUAGE plpgsql AS $$
BEGIN
  SELECT m.code, m.body, m.replayed INTO code, body, replayed
  FROM move_money(p_key, p_request_hash, p_kind, p_from, p_to, p_amount, p_creditor) m;
  INSERT INTO operation_keys (key, request_hash, status, http_status, answer)
  SELECT p_reference, k.request_hash, k.status, k.http_status, k.answer FROM operation_keys k WHERE k.key = p_key
  ON CONFLICT (key) DO NOTHING;
  UPDATE transactions SET key = p_reference WHERE key = p_key;
  UPDATE postings SET key = p_reference WHERE key = p_key;
END
$$;
"""


class FiledUnderReference(Bookkeeper):
    """Takes a repetition for another payment, as its key is another one, and files it under the customer's key all the same."""

    functions: ClassVar[tuple[str, ...]] = (*Bookkeeper.functions, REPEAT_PAYMENT)
    repeat: ClassVar[str] = "SELECT code, body, replayed FROM repeat_payment(%s, %s, %s, %s, %s, %s, %s, %s)"

    async def move(self, key: str, movement: Movement, *, deadline_s: float) -> Moved:
        reference = key.removesuffix(REPEATED)
        if reference == key:
            return await super().move(key, movement, deadline_s=deadline_s)
        return await self._call(self.repeat, (reference, key, *movement.values()), deadline_s=deadline_s)
