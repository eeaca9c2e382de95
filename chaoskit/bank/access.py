"""Who may come in, as SQL: customers' sessions, which can be ended, and how many wrong PINs each customer gave.

All of it is in the ledger's database and committed like money: an end that was confirmed, and a PIN that was refused, outlive a
takeover. Each function is one statement of the core, so one transaction.
"""

from __future__ import annotations

MOST_WRONG = 3
"""So many wrong PINs lock a customer out, for good: nobody at this bank unlocks one. Three are common for cards and apps."""

TABLES = """
CREATE TABLE IF NOT EXISTS customer_sessions (
  session text PRIMARY KEY,
  customer text NOT NULL REFERENCES customers,
  ended boolean NOT NULL DEFAULT false
);
CREATE TABLE IF NOT EXISTS wrong_pins (
  customer text PRIMARY KEY REFERENCES customers,
  wrong integer NOT NULL
);
"""

# Logins of one customer come one after the other, or two wrong PINs at once would count as one.
LOG_IN = """
CREATE OR REPLACE FUNCTION log_in(
  p_customer text, p_pin_hash text, p_most_wrong integer, OUT code integer, OUT body jsonb
) LANGUAGE plpgsql AS $$
DECLARE
  known customers%ROWTYPE;
  opened text := gen_random_uuid()::text;
BEGIN
  SELECT * INTO known FROM customers WHERE customer = p_customer FOR NO KEY UPDATE;
  IF EXISTS (SELECT FROM wrong_pins WHERE customer = p_customer AND wrong >= p_most_wrong) THEN
    code := 423;
    body := jsonb_build_object('error', 'locked', 'effect', 'none');
  ELSIF known.customer IS NULL OR known.pin_hash <> p_pin_hash THEN
    code := 401;
    body := jsonb_build_object('error', 'wrong-customer-or-pin', 'effect', 'none');
    INSERT INTO wrong_pins (customer, wrong) SELECT known.customer, 1 WHERE known.customer IS NOT NULL
    ON CONFLICT (customer) DO UPDATE SET wrong = wrong_pins.wrong + 1;
  ELSE
    code := 200;
    DELETE FROM wrong_pins WHERE customer = p_customer;
    INSERT INTO customer_sessions (session, customer) VALUES (opened, p_customer);
    body := jsonb_build_object(
      'customer', p_customer, 'session', opened,
      'accounts', ARRAY(SELECT account FROM accounts WHERE customer = p_customer ORDER BY account),
      'served_by', coalesce(current_setting('bank.node', true), ''));
  END IF;
END
$$;
"""

# Doing it again waits for the first one and then changes nothing.
LOG_OUT = """
CREATE OR REPLACE FUNCTION log_out(p_session text, OUT code integer, OUT body jsonb) LANGUAGE plpgsql AS $$
BEGIN
  UPDATE customer_sessions SET ended = true WHERE session = p_session AND NOT ended;
  IF EXISTS (SELECT FROM customer_sessions WHERE session = p_session) THEN
    code := 200;
    body := jsonb_build_object('session', p_session, 'ended', true, 'served_by', coalesce(current_setting('bank.node', true), ''));
  ELSE
    code := 404;
    body := jsonb_build_object('error', 'unknown-session', 'effect', 'none');
  END IF;
END
$$;
"""

CALL_LOG_IN = "SELECT code, body FROM log_in(%s, %s, %s)"
CALL_LOG_OUT = "SELECT code, body FROM log_out(%s)"
IS_LIVE = "SELECT EXISTS (SELECT FROM customer_sessions WHERE session = %s AND NOT ended)"
