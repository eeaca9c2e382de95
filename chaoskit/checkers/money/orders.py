"""The order of all payments, and of all payments and looks together: built once for `order`, `snapshot` and the certificate."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from chaoskit.checkers.money.reads import Placed, Reads, reads
from chaoskit.checkers.money.serial import Contradiction, Order, serialise
from chaoskit.checkers.money.timeline import Effect, Sight, Timeline, neighbours

Look = Sequence[Placed]
"""What one answer showed: one account, or several at once."""
Item = Effect | Look


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineup:
    """The items that were put into one order, and what came of it. `unsure` are looks left out: their version is not sure."""

    items: Sequence[Item]
    found: Order | Contradiction
    unsure: Sequence[Look] = ()


def of_payments(line: Timeline) -> Lineup:
    """All payments in one order, if there is one."""
    together = of_all(line)
    if isinstance(together.found, Order):
        order = [item for item in together.found.items if item < len(line.effects)]
        return Lineup(items=line.effects, found=Order(items=order))
    known = line.books.history.memo.get("order of payments")
    if not isinstance(known, Lineup):
        known = _line_up(line, ())
        line.books.history.memo["order of payments"] = known
    return known


def of_all(line: Timeline) -> Lineup:
    """All payments, and all looks that have a version, in one order, if there is one.

    A look of which only a guess at its version is known may prevent an order that there is: then those are left out.
    """
    memo = line.books.history.memo
    known = memo.get("order of all")
    if isinstance(known, Lineup):
        return known
    looks = _looks(reads(line))
    made = _line_up(line, looks)
    sure = [look for look in looks if all(one.is_sure for one in look)]
    if isinstance(made.found, Contradiction) and len(sure) < len(looks):
        made = _line_up(line, sure, unsure=[look for look in looks if not all(one.is_sure for one in look)])
    memo["order of all"] = made
    return made


def _looks(found: Reads) -> list[Look]:
    grouped: dict[tuple[int, int], list[Placed]] = defaultdict(list)
    for placed in found.placed:
        grouped[placed.sight.operation.number, placed.sight.attempt.number].append(placed)
    return list(grouped.values())


def _line_up(line: Timeline, looks: Sequence[Look], *, unsure: Sequence[Look] = ()) -> Lineup:
    """Equal times count as at once; an account's versions say who came first, and a look comes between two of them."""
    count = len(line.effects)
    starts = [effect.start_ns for effect in line.effects]
    ends = [effect.end_ns for effect in line.effects]
    before: list[list[int]] = [[] for _ in range(count + len(looks))]
    for chain in line.chains.values():
        for first, second in neighbours(chain):
            before[first].append(second)
    for item, look in enumerate(looks, start=count):
        attempt = look[0].sight.attempt
        starts.append(attempt.start_ns)
        ends.append(attempt.end_ns or attempt.start_ns)
        for placed in look:
            chain, version = line.chains[placed.sight.account], placed.version
            if version:
                before[chain.effects[version - 1]].append(item)
            if version < len(chain.effects):
                before[item].append(chain.effects[version])
    return Lineup(items=[*line.effects, *looks], found=serialise(starts, ends, before), unsure=unsure)


def told(line: Timeline, lineup: Lineup, contradiction: Contradiction) -> str:
    """A contradiction in one sentence."""
    loop = [lineup.items[item] for item in contradiction.loop]
    steps = [f"{_says(line, loop[0])} came first"]
    for first, second in pairwise(loop):
        steps.append(f"then {_says(line, second)}, as {_reason(first, second)}")
    if contradiction.by_time:
        close = f"{'yet the last of them' if len(loop) > 1 else 'yet it'} was over {_gap(loop)} before the first was asked for"
    else:
        close = f"yet the last of them came before the first, as {_reason(loop[-1], loop[0])}"
    return f"{', '.join(steps)}; {close}"


def _gap(loop: Sequence[Item]) -> str:
    return f"{(_times(loop[0])[0] - _times(loop[-1])[1]) / 1e6:,.1f} ms"


def _times(item: Item) -> tuple[int, int]:
    if isinstance(item, Effect):
        return item.start_ns, item.end_ns
    attempt = item[0].sight.attempt
    return attempt.start_ns, attempt.end_ns or attempt.start_ns


def _says(line: Timeline, item: Item) -> str:
    if not isinstance(item, Effect):
        return " and ".join(look(line, placed.sight) for placed in item)
    if item.operation is None:
        return f"transaction {item.transaction.name} (key {item.transaction.key})"
    return line.books.says(item.operation)


def look(line: Timeline, sight: Sight) -> str:
    """What a customer saw and when: `account ada at Rp 900 (balance, operation 17, answered 4.2 s into the load)`."""
    books, told_ns = line.books, sight.attempt.end_ns or 0
    return (
        f"account {sight.account} at {books.money(sight.balance)} ({sight.operation.journey}, operation {sight.operation.number},"
        f" answered {books.history.seconds(told_ns):.1f} s into the load)"
    )


def _reason(first: Item, second: Item) -> str:
    """The account and its versions by which one item came before another."""
    after = _versions(second, is_after=True)
    for account, version in _versions(first, is_after=False).items():
        # A look comes after the payment of the version that it shows.
        if account in after and (version < after[account] or (version == after[account] and not isinstance(second, Effect))):
            return f"the versions of account {account} say ({version}, {after[account]})"
    raise AssertionError("a step without time is by the versions of an account")


def _versions(item: Item, *, is_after: bool) -> dict[str, int]:
    if isinstance(item, Effect):
        pick = max if is_after else min
        found: dict[str, list[int]] = defaultdict(list)
        for posting in item.transaction.postings:
            found[posting.account].append(posting.version)
        return {account: pick(versions) for account, versions in found.items()}
    return {placed.sight.account: placed.version for placed in item}
