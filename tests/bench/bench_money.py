"""The money checks over one right history, as ratios to a plain exactly-once pass over the same one.

    python tests/bench/bench_money.py [--operations 1000000] [--rows]

The plain pass is what most ledgers' own tests do: every acknowledged key is in the ledger once, every refused one is not. CPU time
only, with the history in memory; figures of two runs must not be compared: the machine is another one each time.
"""

from __future__ import annotations

import argparse
import gc
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from chaoskit.checkers.money import MONEY
from chaoskit.checkers.money.certificate import certificate
from chaoskit.model.history import Attempt, FinalReads, History, LoadCounts, Operation, Outcome
from chaoskit.model.topology import AccountState, LedgerState, Posting
from chaoskit.model.verdict import Result

ACCOUNTS = 1_000
WAITING = 50
"""Customers at any time."""
LOOKS, UNKNOWN = 0.3, 0.01


def history(count: int) -> History:
    """A right bank's day: 70 % payments, 30 % looks, 1 % without an answer, 50 customers at any time."""
    dice = random.Random(count)
    names = [f"a{number}" for number in range(ACCOUNTS)]
    balances, versions = dict.fromkeys(names, 10**9), dict.fromkeys(names, 0)
    operations, postings, settled = [], [], {}
    for number in range(1, count + 1):
        now_ns = number * 1_000_000
        start_ns, end_ns = now_ns - dice.randrange(WAITING * 500_000), now_ns + dice.randrange(WAITING * 500_000)
        giver, taker = dice.sample(names, 2)
        key, legs, outcome = "", {}, Outcome.OK
        if dice.random() >= LOOKS:
            key, amount = f"k{number}", dice.randrange(1, 100)
            legs = {giver: -amount, taker: amount}
            for account, moved in legs.items():
                balances[account] += moved
                versions[account] += 1
                postings.append(
                    Posting(
                        transaction=f"t{number}",
                        key=key,
                        account=account,
                        version=versions[account],
                        amount=moved,
                        balance_after=balances[account],
                    )
                )
            if dice.random() < UNKNOWN:
                outcome, settled[key] = Outcome.INFO, "applied"
        result = {"account": giver, "balance": balances[giver], "version": versions[giver]} if outcome is Outcome.OK else {}
        attempt = Attempt(number=1, start_ns=start_ns, end_ns=end_ns, outcome=outcome, status=200, result=result)
        operations.append(
            Operation(number=number, journey="any", due_ns=start_ns, attempts=(attempt,), intent=key, key=key, legs=legs)
        )
    accounts = tuple(AccountState(account=a, kind="customer", balance=balances[a], version=versions[a], lowest=0) for a in names)
    state = LedgerState(read_from="one", accounts=accounts, postings=tuple(postings))
    return History(
        opening=dict.fromkeys(names, 10**9),
        operations=tuple(sorted(operations, key=lambda o: (o.due_ns, o.number))),
        load=LoadCounts(scheduled=count, sent=count, finished=count, drained=True),
        final=FinalReads(settled=settled, open_transactions=0, first=state, second=state),
        complete=True,
    )


def plain(told: History) -> bool:
    """Exactly once, by key."""
    assert told.final is not None
    assert told.final.first is not None
    booked = Counter(posting.key for posting in told.final.first.postings)
    for operation in told.operations:
        if operation.key:
            legs, outcome = booked[operation.key], operation.outcome
            if (outcome is Outcome.OK and legs != 2) or (outcome is Outcome.FAIL and legs):
                return False
    return True


def cpu_s(work: Callable[[], object]) -> float:
    gc.collect()
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def judge(told: History) -> dict[str, float]:
    """CPU-s of each check after the others, as in a run: what one has worked out, the next one uses. All of them must pass."""
    spent: dict[str, float] = {}
    for check in MONEY:
        began_s = time.process_time()
        (finding,) = check.check(told)
        spent[check.name] = time.process_time() - began_s
        assert finding.outcome is Result.PASSED or finding.is_absent, finding
    spent["certificate"] = cpu_s(lambda: certificate(told))
    return spent


def measure(count: int, *, plainly: bool, rows: bool) -> float:
    """CPU-s of all checks and the certificate. *plainly*, numpy is not to be found."""
    if plainly:
        sys.modules["numpy"] = None  # type: ignore[assignment]
    told = history(count)
    base_s = min(cpu_s(lambda: plain(told)) for _ in range(3))
    spent = judge(told)
    whole_s = sum(spent.values())
    most_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(f"{count:,} operations, {'the standard library alone' if plainly else 'with numpy'}")
    print(f"  plain exactly-once pass    1.0 (of {base_s:.3f} CPU-s)")
    for name, s in spent.items() if rows else ():
        print(f"  {name:25} {s / base_s:5.1f}")
    print(
        f"  all of them together      {whole_s / base_s:5.1f} ({whole_s:.2f} CPU-s, {most_gb:.2f} GB with the history)", flush=True
    )
    return whole_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--operations", type=int, default=1_000_000)
    parser.add_argument("--rows", action="store_true", help="each check by itself, too")
    given = parser.parse_args()
    for plainly in (True, False):
        whole_s = [_apart(count, plainly=plainly, rows=given.rows) for count in (given.operations // 10, given.operations)]
        print(f"  ten times the operations  {whole_s[1] / whole_s[0]:5.1f} times the CPU\n", flush=True)


def _apart(count: int, *, plainly: bool, rows: bool) -> float:
    """In a process of its own: memory and caches of one history must not be those of another."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
        return other.submit(measure, count, plainly=plainly, rows=rows).result()


if __name__ == "__main__":
    main()
