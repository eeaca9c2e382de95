"""Bookkeepers that book wrongly. What each does otherwise is written as a change to the sound function, so it follows that one."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from chaoskit.bank import schema
from chaoskit.bank.services.bookkeeper import Bookkeeper, Moved, Movement
from chaoskit.bank.services.serving import now_s
from chaoskit.bank.services.sessions import NotCarriedOut, Sessions, Unanswered

# Between two steps that belong together: as long as a call to another service takes. With 28 transfers a second, three are between
# their steps at any moment, so that one of two crashes surely hits one. More would take every slot of the gateway.
BETWEEN_S = 0.12
# A handover in batches is slower, and only one payment in five goes to another bank.
HANDOVER_S = 0.6
# After this nobody tries any more: a caller has long given up.
SECOND_STEP_S = 2.0


def changed(function: str, *changes: tuple[str, str]) -> str:
    """*function* with each first text replaced by its second one. Each must be in it once."""
    for sound, broken in changes:
        assert function.count(sound) == 1, sound
        function = function.replace(sound, broken)
    return function


LOCK = """
  PERFORM 1 FROM accounts WHERE account IN (p_from, p_to)
    OR customer = (SELECT customer FROM limits JOIN accounts USING (customer) WHERE account = p_from)
    ORDER BY account FOR UPDATE;
"""
DECLARED = """
  booking uuid := gen_random_uuid();
"""
ALL_TOGETHER = """
    SELECT sum(balance) - p_amount < min(limits.lowest) FROM limits JOIN accounts USING (customer) WHERE customer = payer.customer
"""
THIS_AND_OTHERS = """
    SELECT payer.balance + others - p_amount < lowest FROM limits WHERE customer = payer.customer
"""
READ_OTHERS = """
  SELECT sum(o.balance) INTO others FROM accounts a JOIN accounts o USING (customer)
  WHERE a.account = p_from AND o.account <> p_from;
"""
LOCK_TWO = """
  PERFORM 1 FROM accounts WHERE account IN (p_from, p_to) ORDER BY account FOR UPDATE;
"""
READ = """
  SELECT * INTO payer FROM accounts WHERE account = p_from;
  SELECT * INTO payee FROM accounts WHERE account = p_to;
"""
READ_VERSIONS = """
  SELECT version INTO payer.version FROM accounts WHERE account = p_from;
  SELECT version INTO payee.version FROM accounts WHERE account = p_to;
"""
BOOK = """
  INSERT INTO transactions (transaction, key, kind) VALUES (booking, p_key, p_kind);
"""
DEBIT_ONLY = """
    (booking, p_key, p_from, payer.version + 1, -p_amount, payer.balance - p_amount);
"""
BOTH_POSTINGS = """
    (booking, p_key, p_from, payer.version + 1, -p_amount, payer.balance - p_amount),
    (booking, p_key, p_to, payee.version + 1, p_amount, payee.balance + p_amount);
"""
RAISE_PAYEE = """
  UPDATE accounts SET balance = payee.balance + p_amount, version = payee.version + 1 WHERE account = p_to;
"""
TELL_RELAY = """
    INSERT INTO outbox (transaction, creditor, amount) VALUES (booking, p_creditor, p_amount);
"""
# Long against the way to the database and back, short against the time that a payment takes anyway.
THINK = """
  PERFORM pg_sleep(0.04);
"""


class LostUpdate(Bookkeeper):
    """Reads both balances, works the new ones out, and writes them whatever they have become. Versions are counted rightly."""

    functions: ClassVar[tuple[str, ...]] = (
        *Bookkeeper.functions,
        changed(schema.BOOK_PAYMENT, (LOCK, "\n"), (BOOK, f"{THINK}{LOCK}{READ_VERSIONS}{BOOK}")),
    )


class WriteSkew(Bookkeeper):
    """Locks what it changes and nothing else: the customer's other account may be debited while it counts on what was there."""

    functions: ClassVar[tuple[str, ...]] = (
        *Bookkeeper.functions,
        changed(
            schema.BOOK_PAYMENT,
            (DECLARED, f"{DECLARED}  others bigint;\n"),
            (LOCK, f"{READ_OTHERS}{THINK}{LOCK_TWO}"),
            (ALL_TOGETHER, THIS_AND_OTHERS),
        ),
    )


class EarlyCheck(Bookkeeper):
    """Looks whether there is enough money first, and takes it a moment later, without looking again."""

    functions: ClassVar[tuple[str, ...]] = (
        *Bookkeeper.functions,
        "ALTER TABLE accounts DROP CONSTRAINT IF EXISTS accounts_check",
        changed(schema.BOOK_PAYMENT, (LOCK, "\n"), (BOOK, f"{THINK}{LOCK}{READ}{BOOK}")),
    )


class TornTransfer(Bookkeeper):
    """Debits in one transaction and credits in the next. A crash in between leaves half of a payment."""

    functions: ClassVar[tuple[str, ...]] = (
        *Bookkeeper.functions,
        changed(schema.BOOK_PAYMENT, (BOTH_POSTINGS, DEBIT_ONLY), (RAISE_PAYEE, "\n")),
    )
    credit: ClassVar[str] = """
WITH payee AS (UPDATE accounts SET balance = balance + %s, version = version + 1 WHERE account = %s RETURNING *)
INSERT INTO postings (transaction, key, account, version, amount, balance_after)
SELECT %s::uuid, %s, account, version, %s, balance FROM payee
"""

    async def move(self, key: str, movement: Movement, *, deadline_s: float) -> Moved:
        moved = await super().move(key, movement, deadline_s=deadline_s)
        if moved.code == 200 and not moved.replayed:
            await asyncio.sleep(BETWEEN_S)
            amount, transaction = movement.amount, moved.body["transaction"]
            await _second_step(self._sessions, self.credit, (amount, movement.payee, transaction, key, amount))
        return moved


class LostOutbox(Bookkeeper):
    """Tells the relay of a payment to another bank after the payment, from memory. A crash in between, and nobody is told."""

    functions: ClassVar[tuple[str, ...]] = (
        *Bookkeeper.functions,
        changed(schema.BOOK_PAYMENT, (TELL_RELAY, "\n    NULL;\n")),
    )
    tell: ClassVar[str] = "INSERT INTO outbox (transaction, creditor, amount) VALUES (%s, %s, %s)"

    async def move(self, key: str, movement: Movement, *, deadline_s: float) -> Moved:
        moved = await super().move(key, movement, deadline_s=deadline_s)
        if moved.code == 200 and not moved.replayed and movement.creditor is not None:
            await asyncio.sleep(HANDOVER_S)
            await _second_step(self._sessions, self.tell, (moved.body["transaction"], movement.creditor, movement.amount))
        return moved


async def _second_step(sessions: Sessions, statement: str, values: tuple[object, ...]) -> None:
    """The rest of a payment, whatever time its customer has left. Without it nobody may say that nothing happened."""
    try:
        await sessions.run(statement, values, deadline_s=now_s() + SECOND_STEP_S)
    except NotCarriedOut as error:
        raise Unanswered(f"only half of it was done: {error}") from error
