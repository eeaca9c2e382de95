"""A small HTTP service on PostgreSQL: POST /payments/ID takes a payment once, GET /payments counts them. Answers are JSON.

A payment that was surely not taken is answered with `"effect": "none"`. When the database is lost half-way, nobody can know: that
is a 503 without it, and the customer may ask again with the same ID.
"""

import json
import os
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

URL = f"{os.environ['DATABASE_URL']}?connect_timeout=1&options=-c%20statement_timeout%3D1000"
TABLE = "CREATE TABLE IF NOT EXISTS payments (id text PRIMARY KEY, amount bigint NOT NULL)"
TAKE = "INSERT INTO payments VALUES (%s, %s) ON CONFLICT DO NOTHING RETURNING 1"
COUNT = "SELECT count(*), coalesce(sum(amount), 0)::bigint FROM payments"


class Payments(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        def count(connection: psycopg.Connection) -> dict[str, object]:
            payments, amount = connection.execute(COUNT).fetchone() or (0, 0)
            return {"payments": payments, "amount": amount}

        self.answer(200, count)

    def do_POST(self) -> None:
        payment = self.path.rpartition("/")[2]
        amount = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["amount"]

        def take(connection: psycopg.Connection) -> dict[str, object]:
            is_new = connection.execute(TAKE, (payment, amount)).fetchone() is not None
            return {"payment": payment, "was_taken_before": not is_new}

        self.answer(201, take)

    def answer(self, status: int, do: Callable[[psycopg.Connection], dict[str, object]]) -> None:
        is_begun = False
        try:
            with psycopg.connect(URL) as connection:
                is_begun = True
                body = do(connection)
        except psycopg.Error as error:
            status, body = 503, {"error": type(error).__name__, **({} if is_begun else {"effect": "none"})}
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    with psycopg.connect(URL) as connection:
        connection.execute(TABLE)
    ThreadingHTTPServer(("0.0.0.0", 8080), Payments).serve_forever()
