"""What an answer, or the lack of one, says about the effect of a call: one table, each row with its source.

Calling an unknown effect "fail" makes false alarms about money; calling a failure "unknown" only loses power. So whatever
is not listed here is `info`.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from chaoskit.model.history import Outcome


class Trouble(enum.StrEnum):
    """Why a call has no whole answer. The first three happen before any byte of the request leaves."""

    REFUSED = "connection refused"
    UNREACHABLE = "no connection"
    NO_CONNECTION_IN_TIME = "no connection within the limit"
    TIMEOUT = "no answer within the limit"
    RESET = "connection lost after sending"
    TRUNCATED = "answer cut short"
    UNPARSABLE = "answer is not HTTP"
    GIVEN_UP = "the journey gave up waiting"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: the outcome of one kind of evidence, and who says so."""

    outcome: Outcome
    source: str


_UNSENT = "RFC 9110, 9.2.2: a call is known not to have been applied only if the request was not sent"
_UNKNOWN = "RFC 9110, 9.2.2 and 15.6: the server may have done the work before the answer was lost"

BY_TROUBLE: Mapping[Trouble, Rule] = MappingProxyType(
    {
        Trouble.REFUSED: Rule(Outcome.FAIL, _UNSENT),
        Trouble.UNREACHABLE: Rule(Outcome.FAIL, _UNSENT),
        Trouble.NO_CONNECTION_IN_TIME: Rule(Outcome.FAIL, _UNSENT),
        Trouble.TIMEOUT: Rule(Outcome.INFO, _UNKNOWN),
        Trouble.RESET: Rule(Outcome.INFO, _UNKNOWN),
        Trouble.TRUNCATED: Rule(Outcome.INFO, _UNKNOWN),
        Trouble.UNPARSABLE: Rule(Outcome.INFO, _UNKNOWN),
        Trouble.GIVEN_UP: Rule(Outcome.INFO, _UNKNOWN),
    }
)

BY_STATUS: Mapping[int, Rule] = MappingProxyType(
    {
        400: Rule(Outcome.FAIL, "RFC 9110, 15.5.1: the server will not process the request"),
        401: Rule(Outcome.FAIL, "RFC 9110, 15.5.2: not applied for want of credentials"),
        403: Rule(Outcome.FAIL, "RFC 9110, 15.5.4: understood and refused"),
        404: Rule(Outcome.FAIL, "RFC 9110, 15.5.5: there is nothing to act on"),
        409: Rule(Outcome.FAIL, "Idempotency-Key draft, 2.7: the key was used for another content, so this one was not applied"),
        422: Rule(Outcome.FAIL, "RFC 9110, 15.5.21 and Idempotency-Key draft, 2.7: understood, but not processed"),
        408: Rule(Outcome.INFO, "RFC 9110, 15.5.9: the server did not wait for all of it; what a proxy had passed on is not known"),
        425: Rule(Outcome.INFO, "RFC 8470, 5.2: refused as a possible replay; another copy may have been taken"),
        429: Rule(Outcome.INFO, "RFC 6585, 4: may be answered by a limiter behind the work"),
        499: Rule(Outcome.INFO, "nginx: the caller went away; the work may go on"),
    }
)

UNLISTED = Rule(Outcome.INFO, "an unknown effect must be looked up, never assumed")
ANSWERED = Rule(Outcome.OK, "RFC 9110, 15.3: received, understood and accepted")
HOLLOW = Rule(Outcome.INFO, "formancehq/ledger issue 364: a success without a body was seen for work that was not done")
WARNED = Rule(Outcome.INFO, "PostgreSQL, 26.2.8: a commit whose wait for the standby was cancelled may not be replicated")
NO_EFFECT = Rule(Outcome.FAIL, 'the answer\'s own word: "effect": "none"')

Body = Mapping[str, object]
_NOTHING: Body = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An answer's outcome, its JSON object (empty if it has none) and, unless it is ok, the reason in words."""

    rule: Rule
    body: Body
    why: str = ""


def judge(status: int, content: bytes, *, warned: Outcome = Outcome.OK) -> Judged:
    """Judge a whole HTTP answer. A success must carry a JSON object to count as one.

    *warned* is what one is that says "done" with a `warning` beside it: `ok`, as a customer sees it, or `info`, as who warned does.
    """
    body = _json_object(content)
    if body is not None and body.get("effect") == "none":
        return Judged(rule=NO_EFFECT, body=body, why=_reason(status, body))
    if not 200 <= status < 300:
        return Judged(rule=BY_STATUS.get(status, UNLISTED), body=body or _NOTHING, why=_reason(status, body))
    if body is None:
        what = "an empty body" if not content.strip() else "a body that is no JSON object"
        return Judged(rule=HOLLOW, body=_NOTHING, why=f"HTTP {status} with {what}")
    if warned is Outcome.INFO and body.get("warning"):
        return Judged(rule=WARNED, body=body, why=f"HTTP {status} with a warning: {str(body['warning'])[:200]}")
    return Judged(rule=ANSWERED, body=body)


def _json_object(content: bytes) -> Body | None:
    try:
        body = json.loads(content)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _reason(status: int, body: Body | None) -> str:
    said = next((body[name] for name in ("error", "why", "message") if name in body), None) if body else None
    # 200 characters tell the reason; a stack trace in an answer would fill the history.
    return f"HTTP {status}" if said is None else f"HTTP {status}: {str(said)[:200]}"
