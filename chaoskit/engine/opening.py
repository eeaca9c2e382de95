"""The books as they were found, for a system of which nobody says what it holds at the beginning.

What is there already may be of an earlier run, or of people. It stays in the books, since versions count from the first posting,
but nobody in this run has asked for it.
"""

from __future__ import annotations

from collections import Counter

from chaoskit.model.history import Event
from chaoskit.model.topology import Evidence, Ledger

READ_WITHIN_S = 20.0
"""The environment is up already; as long as the reading at the end may take."""


def found(ledger: Ledger) -> Event:
    """The event with the balances from before the first posting, and the transactions that are there already.

    Raises `NotReady` and `UnreadableLedger`: before anybody is let in is the best time to learn that a query is wrong.
    """
    state = ledger.read(timeout_s=READ_WITHIN_S)
    moved: Counter[str] = Counter()
    for posting in state.postings:
        moved[posting.account] += posting.amount
    earlier = dict.fromkeys((posting.transaction, posting.key) for posting in state.postings)
    has_balances = Evidence.BALANCES not in state.lacks
    return {
        "event": "opening",
        "balances": {one.account: one.balance - moved[one.account] for one in state.accounts if has_balances},
        "found": True,
        **({"transactions": [list(one) for one in earlier]} if earlier else {}),
    }
