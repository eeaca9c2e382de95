"""A service that can be asked what became of a key."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Service:
    """Answers `GET /payments/KEY` with what it was told, and `DELETE` by cancelling what it does not know."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                service.asked.append((self.path, self.headers.get("Authorization")))
                answer = service.answers.get(self.path.rpartition("/")[2], (404, {}))
                if isinstance(answer, list):
                    answer = answer.pop(0) if len(answer) > 1 else answer[0]
                self.send(*answer)

            def do_DELETE(self):
                key = self.path.rpartition("/")[2]
                is_new = key not in service.answers
                service.answers.setdefault(key, (200, {"payment": {"state": "cancelled"}}))
                self.send(200 if is_new else 409, {})

            def send(self, status, body):
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_words):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/payments/{{key}}"

    def says(self, **states):
        self.answers |= {key: (200, {"payment": {"state": state}}) for key, state in states.items()}


@pytest.fixture
def service():
    it = Service()
    thread = threading.Thread(target=it.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield it
    it.server.shutdown()
    it.server.server_close()
    thread.join()
