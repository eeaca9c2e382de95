"""The end of a run, where soundness is won or lost: nothing may still take effect when the books are read.

Open answers are made definite, open transactions are waited for, and the ledger is read twice; the two reads must be equal.
"""

from __future__ import annotations

import time

from chaoskit.engine.guard import StopFlag
from chaoskit.engine.recorder import JsonLines
from chaoskit.model.errors import NotReady, UnreadableLedger
from chaoskit.model.history import History, Outcome, ledger_events
from chaoskit.model.topology import Ledger

SETTLE_WITHIN_S = 20.0
"""After the last fault a primary must be writable again; a lease of five seconds and a promotion fit three times."""
FENCE_WITHIN_S = 10.0
PAUSE_S = 0.5
"""Between the two reads: longer than any transaction of the bank takes."""
COPIES_WITHIN_S = 12.0
"""An old primary that was killed needs up to ten seconds to be rewound and to catch up."""


def settle(ledger: Ledger, history: History, recorder: JsonLines, stop: StopFlag) -> None:
    """Fence, read twice, compare the copies; all of it into the history. What cannot be had is named there, not raised.

    Blocks up to the sum of the limits above. Raises `Stopped` and `CannotRecord`.
    """
    sent = tuple(dict.fromkeys(o.key for o in history.operations if o.key))
    unknown = tuple(o.key for o in history.operations if o.key and o.outcome is Outcome.INFO)
    try:
        settled = ledger.settle(unknown, timeout_s=SETTLE_WITHIN_S)
        open_transactions = _fence(ledger, stop)
        recorder.append(
            {"event": "fence", "at_ns": time.monotonic_ns(), "settled": dict(settled), "open_transactions": open_transactions}
        )
        first = ledger.read(sent, timeout_s=SETTLE_WITHIN_S)
        recorder.append(*ledger_events(first, read=1))
        stop.wait(PAUSE_S)
        second = ledger.read(sent, timeout_s=SETTLE_WITHIN_S)
        if second == first:
            recorder.append({"event": "ledger", "read": 2, "same_as_first": True})
        else:
            recorder.append(*ledger_events(second, read=2))
        recorder.append({"event": "digests", "members": dict(ledger.digests(timeout_s=COPIES_WITHIN_S))})
    except (NotReady, UnreadableLedger) as error:
        recorder.append({"event": "not-settled", "error": str(error)})


def _fence(ledger: Ledger, stop: StopFlag) -> int | None:
    """Wait until no transaction of the bank is open; the number that still is when the limit is over, None if nobody can tell."""
    deadline = time.monotonic() + FENCE_WITHIN_S
    while (count := ledger.open_transactions(timeout_s=FENCE_WITHIN_S)) and time.monotonic() < deadline:
        stop.wait(0.1)
    return count
