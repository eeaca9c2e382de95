"""HTTP to a Toxiproxy's control port, and the errors it can end with.

Every call has a limit, no proxy of the machine's environment is asked, and anything but a success is an error: the server has three
words for ten mishaps, so its text decides which one it is.
"""

from __future__ import annotations

import http.client
import json
from urllib.parse import quote

from chaoskit.model.errors import ChaoskitError, UsageError

CALL_S = 2.0  # a healthy server answers in a millisecond; a wedged one never does


class Wire:
    """One server. No connection is kept, so it may be used from any thread."""

    def __init__(self, host: str, port: int, *, timeout_s: float = CALL_S) -> None:
        self.host = host
        self.port = port
        self.timeout_s = timeout_s

    def __str__(self) -> str:
        return f"Toxiproxy at {self.host}:{self.port}"

    def call(self, method: str, path: str, body: object = None) -> dict[str, object]:
        """One call. Returns the answer's JSON object, {} for none. Raises a `ToxiproxyError` for anything but a 2xx."""
        status, text = self._exchange(method, path, body)
        if not 200 <= status < 300:
            raise _error(f"{self}: {method} {path}", body, status, text)
        data = json.loads(text) if text.strip() else {}
        return data if isinstance(data, dict) else {"items": data}

    def _exchange(self, method: str, path: str, body: object) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout_s)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": "application/json", "User-Agent": "chaoskit"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise ToxiproxyUnreachable(
                f"{self}: {method} {path}: no answer within {self.timeout_s:g} s ({type(error).__name__}: {error})"
            ) from error
        finally:
            connection.close()


def proxy_path(name: str) -> str:
    """The proxy's path. A slash or a dot-name is refused: the server would store it and never find it again, quoted or not."""
    if not name or "/" in name or name in {".", ".."}:
        raise UsageError(f"{name!r} was given as a name; expected one that is not empty, not a dot-name and has no slash")
    return f"/proxies/{quote(name, safe='')}"


def toxic_path(name: str, toxic: str) -> str:
    return f"{proxy_path(name)}/toxics/{proxy_path(toxic).rpartition('/')[2]}"


class ToxiproxyError(ChaoskitError):
    """Toxiproxy did not do what was asked. `status` is its answer's, None when there was none; `text` is what it said."""

    def __init__(self, message: str, *, status: int | None = None, text: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.text = text


class ToxiproxyUnreachable(ToxiproxyError):
    """No answer in time. The server has ended or its control is wedged: heal, which replaces the proxy or the server."""


class ProxyExists(ToxiproxyError):
    """A proxy of this name is there. Choose another name or delete it first."""


class ProxyMissing(ToxiproxyError):
    """No proxy of this name is there. Create it first."""


class ToxicExists(ToxiproxyError):
    """A toxic of this name is on the proxy. Choose another name or update it."""


class ToxicMissing(ToxiproxyError):
    """No toxic of this name is on the proxy. Add it first."""


class InvalidRequest(ToxiproxyError):
    """The server did not understand the request. The text says why."""


class CannotListen(ToxiproxyError):
    """The proxy cannot listen at its address. End what uses the port, or choose another one."""


class NotAsAsked(ToxiproxyError):
    """The server answered with success and stored something else. Nothing can be built on it: use another server."""


def _error(what: str, body: object, status: int, text: str) -> ToxiproxyError:
    """The class for a refusal. The server has one status for two things, so its words decide."""
    try:
        said = str(json.loads(text).get("error", text))
    except (ValueError, AttributeError):
        said = text.strip()
    kind: type[ToxiproxyError] = ToxiproxyError
    if status == 404:
        kind = ToxicMissing if "toxic" in said else ProxyMissing
    elif status == 409:
        kind = ToxicExists if "toxic" in said else ProxyExists
    elif status == 400:
        kind = InvalidRequest
    elif "listen" in said and ("bind" in said or "lookup" in said or "listen tcp" in said):
        kind = CannotListen
    sent = f" with {json.dumps(body)}" if body is not None else ""
    return kind(f"{what}{sent}: the server answered {status}: {said}", status=status, text=said)
