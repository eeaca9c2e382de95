"""Whether some order of what happened keeps a limit on several accounts together.

An account's own limit follows from its versions. A sum does not: which of two payments from two accounts came first is only known
where time tells. So every order is tried that agrees with the versions of these accounts and with time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from chaoskit.checkers.money.timeline import NEVER, Chain, Effect, Timeline
from chaoskit.model.topology import GroupLimit

MOST_STATES = 200_000
"""States looked at for one group, times its accounts, before giving up: about a second. Two accounts with ten thousand payments,
each of them at once with two others, have sixty thousand."""

State = tuple[int, ...]
"""How many versions of each account have been reached. What all hold then follows from it: states are few where orders are many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """In the order that comes farthest, the accounts together came to `held` with this effect."""

    effect: Effect
    held: int


class Undecided(Exception):
    """The group cannot be judged. The reason is its text."""


def breach(line: Timeline, limit: GroupLimit) -> Breach | None:
    """The first payment that these accounts cannot have been able to pay in any order; None when some order keeps the limit.

    A payment that does not lower the sum is always allowed. Raises `Undecided`.
    """
    chains = [line.chains[account] for account in limit.accounts if account in line.chains]
    if len(chains) < len(limit.accounts) or not all(chain.is_whole for chain in chains):
        raise Undecided("one of its accounts has a broken history")
    if sum(min(chain.balances) for chain in chains) >= limit.lowest:
        return None  # in whatever order
    group = _Group(line, chains)
    last = sum(len(chain.effects) for chain in chains)
    reached: dict[int, set[State]] = {0: {(0,) * len(chains)}}
    looked_at, worst = 0, None
    for done in range(last):
        states = reached.pop(done, set())
        looked_at += len(states) * len(chains)
        if looked_at > MOST_STATES:
            raise Undecided("too much happened to it at once to try every order")
        refused: list[Breach] = []
        for state in states:
            held = group.held(state)
            for effect, after in group.steps(state):
                left = group.held(after)
                if left >= limit.lowest or left >= held:
                    reached.setdefault(sum(after), set()).add(after)
                else:
                    refused.append(Breach(effect=effect, held=left))
        # The farthest order explains most, and its least bad step is the charitable one.
        worst = max(refused, key=lambda one: (one.held, one.effect.transaction.key), default=worst)
    if last not in reached and worst is None:
        raise Undecided("its payments have no order at all")
    return None if last in reached else worst


class _Group:
    """The accounts of one limit."""

    def __init__(self, line: Timeline, chains: Sequence[Chain]) -> None:
        self._effects = line.effects
        self._chains = chains
        self._rows: Mapping[int, int] = Counter(index for chain in chains for index in chain.effects)
        self._first_ends = [_first_ends(line, chain) for chain in chains]

    def held(self, state: State) -> int:
        return sum(chain.balances[at] for chain, at in zip(self._chains, state, strict=True))

    def steps(self, state: State) -> Iterator[tuple[Effect, State]]:
        """What may come next: what comes next on each of its accounts, with nothing left that was over before it began."""
        for index in {chain.effects[at] for chain, at in zip(self._chains, state, strict=True) if at < len(chain.effects)}:
            after = list(state)
            for number, chain in enumerate(self._chains):
                while after[number] < len(chain.effects) and chain.effects[after[number]] == index:
                    after[number] += 1
            is_whole = sum(after) - sum(state) == self._rows[index]
            start_ns = self._effects[index].start_ns
            if is_whole and all(ends[at] >= start_ns for ends, at in zip(self._first_ends, after, strict=True)):
                yield self._effects[index], tuple(after)


def _first_ends(line: Timeline, chain: Chain) -> list[int]:
    """For each version, when the first of the effects after it was surely over."""
    ends = [NEVER]
    for index in reversed(chain.effects):
        ends.append(min(ends[-1], line.effects[index].end_ns))
    return ends[::-1]
