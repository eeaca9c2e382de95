"""The timeline is fixed before anything starts."""

from chaoskit.engine.schedule import Act, plan
from chaoskit.faults.kill import Kill
from chaoskit.faults.pause import Pause
from chaoskit.model.experiment import EnvironmentChoice, Experiment, Injection, LoadShape


def experiment(*faults):
    load = LoadShape(arrivals_per_s=1, duration_s=30, mix={"visit": 1})
    return Experiment(title="t", environment=EnvironmentChoice(use="fake"), load=load, faults=faults)


def test_entries_come_by_due_time_whatever_the_order_of_the_document():
    late, early = Kill(service="a"), Pause(service="b")
    schedule = plan(experiment(Injection(fault=late, at_s=20), Injection(fault=early, at_s=5, for_s=3)), seed=7)
    assert [(e.at_s, e.act, e.fault) for e in schedule.entries] == [
        (5, Act.INJECT, "faults[1] pause"),
        (8, Act.HEAL, "faults[1] pause"),
        (20, Act.INJECT, "faults[0] kill"),
    ]


def test_what_is_due_at_once_is_healed_before_the_next_is_injected():
    first, second = Injection(fault=Pause(service="a"), at_s=5, for_s=5), Injection(fault=Kill(service="a"), at_s=10)
    acts = [(e.act, e.fault) for e in plan(experiment(second, first), seed=1).entries]
    assert acts[1:] == [(Act.HEAL, "faults[1] pause"), (Act.INJECT, "faults[0] kill")]


def test_the_same_seed_gives_the_same_schedule():
    one = experiment(Injection(fault=Kill(service="a"), at_s=1))
    assert plan(one, seed=3) == plan(one, seed=3)
