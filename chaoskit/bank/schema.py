"""The ledger's tables and the two functions that move money, as SQL: one knows keys, the other books.

Key, locks, postings, balances and the stored answer change in one statement, so in one transaction and one round trip. The
implicit commit of a single statement comes after its statement_timeout was switched off: a time limit can therefore roll a
payment back, but never cut short the wait for the synchronous standby, which would acknowledge money that a takeover then loses.
"""

from __future__ import annotations

CORE_SESSION = "bank-core"
"""What the core's sessions that move money are called in the database; the fence looks for it."""

TABLES = """
CREATE TABLE IF NOT EXISTS customers (
  customer text PRIMARY KEY,
  pin_hash text NOT NULL
);
CREATE TABLE IF NOT EXISTS accounts (
  account text PRIMARY KEY,
  customer text REFERENCES customers,
  kind text NOT NULL CHECK (kind IN ('customer', 'vault', 'clearing')),
  balance bigint NOT NULL,
  version bigint NOT NULL DEFAULT 0,
  lowest bigint,
  CHECK (lowest IS NULL OR balance >= lowest)
);
CREATE INDEX IF NOT EXISTS accounts_customer ON accounts (customer);
CREATE TABLE IF NOT EXISTS limits (
  customer text PRIMARY KEY REFERENCES customers,
  lowest bigint NOT NULL
);
CREATE TABLE IF NOT EXISTS operation_keys (
  key text PRIMARY KEY,
  request_hash text NOT NULL,
  status text NOT NULL CHECK (status IN ('open', 'applied', 'refused', 'tombstone')),
  http_status integer,
  answer jsonb
);
CREATE TABLE IF NOT EXISTS transactions (
  transaction uuid PRIMARY KEY,
  key text NOT NULL REFERENCES operation_keys,
  kind text NOT NULL,
  at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS postings (
  transaction uuid NOT NULL REFERENCES transactions,
  key text NOT NULL,
  account text NOT NULL REFERENCES accounts,
  version bigint NOT NULL,
  amount bigint NOT NULL,
  balance_after bigint NOT NULL,
  UNIQUE (account, version)
);
CREATE TABLE IF NOT EXISTS outbox (
  transaction uuid PRIMARY KEY REFERENCES transactions,
  creditor text NOT NULL,
  amount bigint NOT NULL,
  sent boolean NOT NULL DEFAULT false
);
CREATE INDEX IF NOT EXISTS outbox_unsent ON outbox (transaction) WHERE NOT sent;
"""

# Accounts are locked in the order of their names, after the key, so no two payments can wait for each other. With a limit on the
# sum of a customer's accounts, all of these are locked: two payments from two of them would otherwise both find enough.
BOOK_PAYMENT = """
CREATE OR REPLACE FUNCTION book_payment(
  p_key text, p_kind text, p_from text, p_to text, p_amount bigint, p_creditor text, OUT code integer, OUT body jsonb
) LANGUAGE plpgsql AS $$
DECLARE
  payer accounts%ROWTYPE;
  payee accounts%ROWTYPE;
  booking uuid := gen_random_uuid();
BEGIN
  PERFORM 1 FROM accounts WHERE account IN (p_from, p_to)
    OR customer = (SELECT customer FROM limits JOIN accounts USING (customer) WHERE account = p_from)
    ORDER BY account FOR UPDATE;
  SELECT * INTO payer FROM accounts WHERE account = p_from;
  SELECT * INTO payee FROM accounts WHERE account = p_to;
  code := 422;
  IF payer.account IS NULL OR payee.account IS NULL THEN
    body := jsonb_build_object('error', 'unknown-account', 'effect', 'none');
    RETURN;
  ELSIF payer.balance - p_amount < payer.lowest OR payee.customer IS DISTINCT FROM payer.customer AND (
    SELECT sum(balance) - p_amount < min(limits.lowest) FROM limits JOIN accounts USING (customer) WHERE customer = payer.customer
  ) THEN
    body := jsonb_build_object('error', 'insufficient-funds', 'effect', 'none');
    RETURN;
  END IF;

  INSERT INTO transactions (transaction, key, kind) VALUES (booking, p_key, p_kind);
  INSERT INTO postings (transaction, key, account, version, amount, balance_after) VALUES
    (booking, p_key, p_from, payer.version + 1, -p_amount, payer.balance - p_amount),
    (booking, p_key, p_to, payee.version + 1, p_amount, payee.balance + p_amount);
  UPDATE accounts SET balance = payer.balance - p_amount, version = payer.version + 1 WHERE account = p_from;
  UPDATE accounts SET balance = payee.balance + p_amount, version = payee.version + 1 WHERE account = p_to;
  IF p_creditor IS NOT NULL THEN
    INSERT INTO outbox (transaction, creditor, amount) VALUES (booking, p_creditor, p_amount);
  END IF;
  code := 200;
  body := jsonb_build_object(
    'transaction', booking, 'account', p_from, 'balance', payer.balance - p_amount, 'version', payer.version + 1,
    'served_by', coalesce(current_setting('bank.node', true), ''));
END
$$;
"""

# A second call with the same key waits in the INSERT until the first one's transaction has ended.
MOVE_MONEY = """
CREATE OR REPLACE FUNCTION move_money(
  p_key text, p_request_hash text, p_kind text, p_from text, p_to text, p_amount bigint, p_creditor text,
  OUT code integer, OUT body jsonb, OUT replayed boolean
) LANGUAGE plpgsql AS $$
DECLARE
  known operation_keys%ROWTYPE;
BEGIN
  replayed := false;
  INSERT INTO operation_keys (key, request_hash, status) VALUES (p_key, p_request_hash, 'open') ON CONFLICT (key) DO NOTHING;
  IF NOT FOUND THEN
    SELECT * INTO known FROM operation_keys WHERE key = p_key;
    IF known.status = 'tombstone' THEN
      code := 409;
      body := jsonb_build_object('error', 'key-closed', 'effect', 'none');
    ELSIF known.request_hash <> p_request_hash THEN
      code := 422;
      body := jsonb_build_object('error', 'key-used-for-another-request', 'effect', 'none');
    ELSE
      code := known.http_status;
      body := known.answer;
      replayed := true;
    END IF;
    RETURN;
  END IF;

  SELECT b.code, b.body INTO code, body FROM book_payment(p_key, p_kind, p_from, p_to, p_amount, p_creditor) b;
  UPDATE operation_keys SET status = CASE code WHEN 200 THEN 'applied' ELSE 'refused' END, http_status = code, answer = body
  WHERE key = p_key;
END
$$;
"""

# A withdrawal that is still under way is refused from now on: its key is taken. The key it reverses comes first, as in the order of
# their names in which the fence closes keys, so neither waits for the other.
REVERSE_WITHDRAWAL = """
CREATE OR REPLACE FUNCTION reverse_withdrawal(
  p_key text, p_request_hash text, p_reverses text, p_reversed_hash text, p_from text, p_to text, p_amount bigint,
  OUT code integer, OUT body jsonb, OUT replayed boolean
) LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO operation_keys (key, request_hash, status) VALUES (p_reverses, '', 'tombstone') ON CONFLICT (key) DO NOTHING;
  IF EXISTS (SELECT FROM operation_keys WHERE key = p_reverses AND request_hash = p_reversed_hash AND status = 'applied') THEN
    SELECT m.code, m.body, m.replayed INTO code, body, replayed
    FROM move_money(p_key, p_request_hash, 'reversal', p_from, p_to, p_amount, NULL) m;
  ELSE
    code := 422;
    body := jsonb_build_object('error', 'nothing-to-reverse', 'effect', 'none');
    replayed := false;
  END IF;
END
$$;
"""

LOCK_OPENING = "SELECT pg_advisory_xact_lock(4217)"
"""Two cores that start at once open the books one after the other. The number is arbitrary and used nowhere else."""

ADD_CUSTOMER = "INSERT INTO customers (customer, pin_hash) VALUES (%s, %s) ON CONFLICT DO NOTHING"
ADD_LIMIT = "INSERT INTO limits (customer, lowest) VALUES (%s, %s) ON CONFLICT DO NOTHING"
ADD_ACCOUNT = """
INSERT INTO accounts (account, customer, kind, balance, lowest) VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""

CALL_MOVE_MONEY = "SELECT code, body, replayed FROM move_money(%s, %s, %s, %s, %s, %s, %s)"
CALL_REVERSE_WITHDRAWAL = "SELECT code, body, replayed FROM reverse_withdrawal(%s, %s, %s, %s, %s, %s, %s)"
READ_BALANCE = """
SELECT balance, version, coalesce(current_setting('bank.node', true), '') FROM accounts WHERE account = %s
"""
UNSENT = """
SELECT o.transaction::text, t.key, o.creditor, o.amount FROM outbox o JOIN transactions t USING (transaction)
WHERE NOT o.sent ORDER BY t.at LIMIT %s
"""
MARK_SENT = "UPDATE outbox SET sent = true WHERE transaction = ANY(%s::uuid[])"

CLOSE_KEYS = """
INSERT INTO operation_keys (key, request_hash, status) SELECT k, '', 'tombstone' FROM unnest(%s::text[]) k ORDER BY k
ON CONFLICT (key) DO NOTHING
"""
KEY_STATES = "SELECT key, status FROM operation_keys WHERE key = ANY(%s::text[])"
