"""A small HTTP service on PostgreSQL, in the place of yours: POST /payments/ID takes a payment once, GET /payments counts them."""

import os
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

URL, CONNECT_S = os.environ["DATABASE_URL"], 2
PATIENCE_S = CONNECT_S + 1.0  # else a payment could still connect, and be taken, after its customer was told that it was not
WORKERS = ThreadPoolExecutor(16)


def execute(statement: str, *values: str) -> tuple[int, ...]:
    with psycopg.connect(URL, connect_timeout=CONNECT_S) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS payments (id text PRIMARY KEY)")
        return connection.execute(statement, values).fetchone() or (0,)


class Payments(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer(200, "SELECT count(*) FROM payments")

    def do_POST(self) -> None:
        payment = self.path.rpartition("/")[2]
        self.answer(201, "INSERT INTO payments VALUES (%s) ON CONFLICT DO NOTHING RETURNING 1", payment)

    def answer(self, status: int, statement: str, *values: str) -> None:
        """Somebody whose database does not answer says so, instead of keeping a customer waiting."""
        try:
            body = str(WORKERS.submit(execute, statement, *values).result(timeout=PATIENCE_S)[0]).encode()
        except (TimeoutError, psycopg.Error) as error:
            status, body = 503, type(error).__name__.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", 8080), Payments).serve_forever()
