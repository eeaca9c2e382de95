import pytest

from chaoskit.engine.guard import check_capabilities
from chaoskit.faults.packet_loss import PacketLoss
from chaoskit.faults.partition import Partition
from chaoskit.model.errors import Unsupported
from chaoskit.model.experiment import EnvironmentChoice, Experiment, Injection, LoadShape
from chaoskit.testing import FakeEnvironment


def experiment(*faults):
    return Experiment(
        title="packets",
        environment=EnvironmentChoice(use="fake"),
        load=LoadShape(arrivals_per_s=1, duration_s=1, mix={"visit": 1}),
        faults=tuple(Injection(fault=fault, at_s=0.0) for fault in faults),
    )


def test_a_fault_may_need_more_or_less_by_its_parameters():
    check_capabilities(experiment(Partition(between=("front", "back"))), FakeEnvironment())
    with pytest.raises(Unsupported, match=r"faults\[0\] partition needs packets; it can "):
        check_capabilities(experiment(Partition(between=("front", "back"), by="packets")), FakeEnvironment())


def test_what_is_missing_is_said_where_the_environment_knows_it():
    environment = FakeEnvironment()
    environment.lacks = {"packet-loss": "the kernel has no match 'statistic'"}
    with pytest.raises(
        Unsupported, match=r"packet-loss needs packet-loss \(the kernel has no match 'statistic'\), packets; it can "
    ):
        check_capabilities(experiment(PacketLoss(between=("front", "back"), share=0.1)), environment)
