"""A small wallet service on SQLite, in the place of yours. Every transfer is one row; amounts are decimals, as people write them.

POST /transfers moves money once for each `request`; GET /transfers/REQUEST says what became of one. `FORGETS=1` breaks it: it no
longer knows which requests it has had.
"""

import json
import os
import sqlite3
import sys
from contextlib import closing
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

OWNERS = tuple(f"owner-{number}" for number in range(20))
IS_FORGETFUL = os.environ.get("FORGETS") == "1"
TABLES = f"""
CREATE TABLE IF NOT EXISTS wallets (owner TEXT PRIMARY KEY, balance TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS transfers (
  id INTEGER PRIMARY KEY, request TEXT NOT NULL {"" if IS_FORGETFUL else "UNIQUE"},
  payer TEXT, payee TEXT, amount TEXT, state TEXT NOT NULL
);
"""


def open_books(path: str) -> None:
    with closing(sqlite3.connect(path)) as books, books:
        books.execute("PRAGMA journal_mode = WAL")  # who reads keeps nobody from writing
        books.executescript(TABLES)
        books.executemany("INSERT OR IGNORE INTO wallets VALUES (?, '1000.00')", [(owner,) for owner in OWNERS])


def transfer(books: sqlite3.Connection, request: str, payer: str, payee: str, amount: Decimal) -> tuple[int, dict[str, object]]:
    """Request, row and both balances change in one transaction, which nobody else can come between."""
    books.execute("BEGIN IMMEDIATE")
    known = None if IS_FORGETFUL else state_of(books, request)
    if known == "done":
        return 201, {"request": request, "state": "done"}
    if known == "barred":
        return 409, {"error": "this request was given up", "effect": "none"}
    balances = {owner: Decimal(balance) for owner, balance in books.execute("SELECT owner, balance FROM wallets")}
    if balances[payer] < amount:
        return 422, {"error": "not enough money", "effect": "none"}
    books.execute(
        "INSERT INTO transfers (request, payer, payee, amount, state) VALUES (?, ?, ?, ?, 'done')",
        (request, payer, payee, str(amount)),
    )
    for owner, change in ((payer, -amount), (payee, amount)):
        books.execute("UPDATE wallets SET balance = ? WHERE owner = ?", (str(balances[owner] + change), owner))
    books.execute("COMMIT")
    return 201, {"request": request, "state": "done"}


def state_of(books: sqlite3.Connection, request: str) -> str | None:
    row = books.execute("SELECT state FROM transfers WHERE request = ?", (request,)).fetchone()
    return None if row is None else str(row[0])


class Wallets(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    path_of_books = ""

    def do_GET(self) -> None:
        with self.books() as books:
            state = state_of(books, self.path.rpartition("/")[2])
        self.answer(404 if state is None else 200, {"state": state or "unknown"})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            with self.books() as books:
                answer = transfer(books, asked["request"], asked["from"], asked["to"], Decimal(asked["amount"]))
        except sqlite3.OperationalError as error:
            answer = 503, {"error": str(error)}
        self.answer(*answer)

    def books(self) -> closing[sqlite3.Connection]:
        books = sqlite3.connect(self.path_of_books, timeout=0.5, isolation_level=None)
        books.execute("PRAGMA synchronous = NORMAL")  # outlives the death of the service, not every loss of power
        return closing(books)

    def answer(self, status: int, body: dict[str, object]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


if __name__ == "__main__":
    host, port, Wallets.path_of_books = sys.argv[1:]
    open_books(Wallets.path_of_books)
    ThreadingHTTPServer((host, int(port)), Wallets).serve_forever()
