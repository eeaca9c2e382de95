"""Searches for a schedule of faults after which the bank's money is wrong. Started by: pytest docs/how-to/search_the_bank.py"""

import os
from pathlib import Path

from hypothesis import given, settings

from chaoskit import Chaos
from chaoskit.checkers.money.ack_durable import AckDurable
from chaoskit.checkers.money.at_most_once import AtMostOnce
from chaoskit.model.experiment import EnvironmentChoice, Experiment, Injection, LoadShape
from chaoskit.model.verdict import Verdict
from chaoskit.registry import Registry
from chaoskit.strategies import Search, faults, register_profile, schedules

BANK = Registry().topology("bank")
CHOICE = EnvironmentChoice(use="bank", options={"defect": os.environ.get("DEFECT", "none")})
LOAD = LoadShape(arrivals_per_s=30, duration_s=12, mix={"transfer": 3, "withdraw": 1})
LIVE = register_profile("live", max_examples=int(os.environ.get("EXAMPLES", "5")))
FAULTS = faults(BANK, kinds=["kill", "pause", "partition"], capabilities=frozenset({"kill", "pause", "cut"}))


def test_no_schedule_makes_the_money_wrong(tmp_path: Path) -> None:
    with Chaos(runs=tmp_path / "runs", seed=7) as chaos:

        def run(schedule: tuple[Injection, ...]) -> Verdict:
            expect = (AckDurable(), AtMostOnce())
            return chaos.run(Experiment(title="money under faults", environment=CHOICE, load=LOAD, faults=schedule, expect=expect))

        search = Search(run, at_most_s=300, times=2)

        @settings(LIVE)
        @given(schedule=schedules(BANK, load=LOAD, at_most=2, longest_s=3, fault=FAULTS))
        def searched(schedule: tuple[Injection, ...]) -> None:
            search.check(schedule)

        searched()
