"""The situations in which a tool may say that all is well although it is not: the same trouble, written for both tools.

Texts in braces are filled in by `compare.py`: `{pid}` and `{url}` of the service that Chaos Toolkit is let loose on, `{tells}` a file
by which a step says that it has begun, `{admin}` the port of Toxiproxy's control.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SECRET = "CORNER_TOKEN"
"""The variable with a secret, for both tools."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """What one tool is given: its document, more words on the command line, how customers are served, and who disturbs it."""

    document: Mapping[str, object]
    words: Sequence[str] = ()
    mood: str = "open"
    signal: signal.Signals | None = None
    """Sent to the tool as soon as a step has begun that does not end by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    title: str
    rows: str
    """The rows of the table of false greens that it is about."""
    peer: Play
    ours: Play
    has_proxy: bool = False
    """Whether Chaos Toolkit is given a Toxiproxy in front of the service."""
    has_secret: bool = False


def step(
    function: str, *, module: str = "steps", name: str = "", secrets: Sequence[str] = (), **arguments: object
) -> dict[str, object]:
    provider = {"type": "python", "module": module, "func": function, "arguments": arguments}
    if secrets:
        provider["secrets"] = [*secrets]
    return {"type": "action", "name": name or function, "provider": provider}


SERVED = {
    "title": "customers are served",
    "probes": [
        {
            "type": "probe",
            "name": "look",
            "tolerance": 200,
            "provider": {"type": "http", "url": "{url}/look", "timeout": 1},
        }
    ],
}


def toolkit(*method: Mapping[str, object], rollbacks: Sequence[Mapping[str, object]] = (), **more: object) -> dict[str, object]:
    return {
        "title": "The shop stays open",
        "description": "compared",
        "steady-state-hypothesis": SERVED,
        "method": [*method],
        "rollbacks": [*rollbacks],
        **more,
    }


CHECK = {"check": "availability", "journey": "look", "at_least": "99%"}


def kit(*faults: Mapping[str, object], mood: str = "open", duration: str = "4s", **more: object) -> dict[str, object]:
    return {
        "chaoskit": 1,
        "title": "The shop stays open",
        "environment": {"use": "corner:topology", "options": {"mood": mood}},
        "load": {"arrivals_per_s": 50, "duration": duration, "mix": {"look": 1}},
        "steady_state": [CHECK],
        "faults": [*faults],
        "expect": [{**CHECK, "at_least": "50%"}],
        **more,
    }


def fault(kind: str, **more: object) -> dict[str, object]:
    return {"fault": kind, **more, "at": "1500ms"}


FREEZE, THAW = step("freeze", pid="{pid}"), step("thaw", pid="{pid}")
HANG = step("hang", tells="{tells}", seconds=8)
PAUSE = fault("pause", service="shop") | {"for": "500ms"}
LINK = {"toxiproxy_url": "http://127.0.0.1:{admin}"}


def slow(name: str, **attributes: object) -> dict[str, object]:
    return step(
        "create_toxic",
        module="chaostoxi.toxic.actions",
        for_proxy=name,
        toxic_name="late",
        toxic_type="latency",
        attributes=attributes,
    )


UNSLOW = step("delete_toxic", module="chaostoxi.toxic.actions", for_proxy="shop", toxic_name="late")
LATE = fault("latency", between=["customers", "shop"], add="500ms") | {"for": "500ms"}


def interrupted(number: signal.Signals, *, name: str, rows: str) -> Situation:
    return Situation(
        title=name,
        rows=rows,
        peer=Play(document=toolkit(FREEZE, HANG, rollbacks=[THAW]), signal=number),
        ours=Play(document=kit(fault("hang", tells="{tells}"), duration="12s"), signal=number),
    )


SITUATIONS = (
    Situation(
        title="nothing goes wrong",
        rows="",
        peer=Play(document=toolkit(FREEZE, step("wait", seconds=0.5), THAW, rollbacks=[THAW])),
        ours=Play(document=kit(PAUSE)),
    ),
    Situation(
        title="there is no steady state before the first fault",
        rows="2, 5, 12",
        peer=Play(document=toolkit(FREEZE, rollbacks=[THAW]), mood="closed"),
        ours=Play(document=kit(PAUSE, mood="closed")),
    ),
    Situation(
        title="the fault raises an error",
        rows="1",
        peer=Play(document=toolkit(step("fail"))),
        ours=Play(document=kit(fault("raises", text="refused"))),
    ),
    Situation(
        title="the fault does nothing",
        rows="22",
        peer=Play(document=toolkit(step("nothing"))),
        ours=Play(document=kit(fault("no-fault"))),
    ),
    Situation(
        title="customers are not served for 3 of 8 seconds",
        rows="3",
        peer=Play(
            document=toolkit(step("wait", seconds=2), FREEZE, step("wait", seconds=3), THAW, step("wait", seconds=3)),
            words=("--hypothesis-strategy", "continuously", "--hypothesis-frequency", "1"),
        ),
        ours=Play(
            document=kit({"fault": "pause", "service": "shop", "at": "2s", "for": "3s"}, duration="8s", expect=[CHECK]),
        ),
    ),
    Situation(
        title="the undo fails",
        rows="15",
        peer=Play(document=toolkit(step("nothing"), rollbacks=[step("fail")])),
        ours=Play(document=kit(fault("stuck") | {"for": "500ms"})),
    ),
    Situation(
        title="SIGTERM while a step waits that has not hurt anything yet",
        rows="6, 40",
        peer=Play(document=toolkit(HANG, rollbacks=[THAW]), signal=signal.SIGTERM),
        ours=Play(document=kit(fault("hang", tells="{tells}", freezes=False), duration="12s"), signal=signal.SIGTERM),
    ),
    interrupted(signal.SIGTERM, name="SIGTERM while a fault is being injected", rows="6, 40"),
    interrupted(signal.SIGINT, name="SIGINT while a fault is being injected", rows="6, 7, 13"),
    interrupted(signal.SIGKILL, name="kill -9 while a fault is injected", rows="7, 16, 37"),
    Situation(
        title="the proxy's name is misspelt",
        rows="1",
        has_proxy=True,
        peer=Play(document=toolkit(slow("shpo", latency=500), rollbacks=[UNSLOW], configuration=LINK)),
        ours=Play(document=kit({**LATE, "between": ["customers", "shpo"]})),
    ),
    Situation(
        title="an attribute of the fault is misspelt",
        rows="9, 22",
        has_proxy=True,
        peer=Play(document=toolkit(slow("shop", latencyy=500), configuration=LINK)),
        ours=Play(document=kit({k if k != "add" else "addd": v for k, v in LATE.items()})),
    ),
    Situation(
        title="a key of the document is misspelt",
        rows="9",
        peer=Play(document={("rolbacks" if k == "rollbacks" else k): v for k, v in toolkit(FREEZE, rollbacks=[THAW]).items()}),
        ours=Play(document={("abort_iff" if k == "abort_if" else k): v for k, v in kit(PAUSE, abort_if=[]).items()}),
    ),
    Situation(
        title="a secret is in the text of an error",
        rows="8",
        has_secret=True,
        peer=Play(
            document=toolkit(step("fail_with_secret", secrets=["api"]), secrets={"api": {"token": {"type": "env", "key": SECRET}}})
        ),
        ours=Play(document=kit(fault("raises", text="!secret"))),
    ),
)
