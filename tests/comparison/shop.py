"""The smallest service: `python shop.py ADDRESS PORT MOOD MARK`. `closed` answers 503 to customers, and stays healthy."""

import http.server
import sys


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    mood = "open"

    def do_GET(self):
        is_served = self.mood != "closed" or self.path == "/health"
        self.send_response(200 if is_served else 503)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_words):
        """Say nothing: nobody reads it."""


def main(host, port, mood, _mark):
    Server.mood = mood
    http.server.ThreadingHTTPServer((host, int(port)), Server).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
