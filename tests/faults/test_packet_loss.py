import pytest

from chaoskit.faults.packet_loss import PacketLoss
from chaoskit.model.errors import Unsupported


@pytest.fixture
def link(stage):
    return stage.environment.packets_by_name["front -> back"]


@pytest.mark.parametrize("between", [("front", "back"), ("back", "front")])
def test_loses_is_counted_and_is_undone(stage, life, between):
    aim = life(stage, PacketLoss(between=between, share=0.3))
    assert aim.targets == ("front -> back",)


def test_the_evidence_is_the_count(stage):
    fault = PacketLoss(between=("front", "back"), share=0.3)
    aim = fault.aim(stage)
    fault.inject(stage, aim)
    assert fault.observe(stage, aim).evidence == "3 of 10 packets were lost between front and back"


def test_without_traffic_nothing_is_seen(stage, link):
    link.traffic = 0
    fault = PacketLoss(between=("front", "back"), share=0.3)
    aim = fault.aim(stage)
    fault.inject(stage, aim)
    assert not fault.observe(stage, aim).present


def test_a_rule_that_went_with_its_container_is_told(stage, link):
    fault = PacketLoss(between=("front", "back"), share=0.3)
    aim = fault.aim(stage)
    fault.inject(stage, aim)
    link.rules.clear()
    sign = fault.observe(stage, aim)
    assert (sign.present, sign.evidence) == (False, "the rule is there for 0 of 1 links")


def test_processes_have_no_packets_of_their_own(processes):
    with pytest.raises(Unsupported, match="environment 'fake' cannot filter packets"):
        PacketLoss(between=("front", "back"), share=0.3).aim(processes)


def test_services_without_a_link_are_refused(stage):
    with pytest.raises(Unsupported, match="packet-loss between 'front' and 'front': there is no link"):
        PacketLoss(between=("front", "front"), share=0.3).aim(stage)
