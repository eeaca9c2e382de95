import pytest

from chaoskit.faults.partition import Partition
from chaoskit.model.errors import Unsupported, UsageError
from chaoskit.model.protocols import Undo


@pytest.mark.parametrize("between", [("front", "back"), ("back", "front")])
def test_cuts_whichever_side_is_named_first_and_is_undone(stage, between):
    fault = Partition(between=between)
    aim = fault.aim(stage)
    assert aim.undo == (Undo(verb="restore", target="front -> back"),)
    assert not fault.observe(stage, aim).present
    fault.inject(stage, aim)
    assert fault.observe(stage, aim).present
    stage.environment.undo(aim.undo[0])
    assert not fault.observe(stage, aim).present


def test_a_cut_that_does_nothing_is_not_seen(stage):
    stage.environment.links_by_name["front -> back"].is_deaf = True
    fault = Partition(between=("front", "back"))
    aim = fault.aim(stage)
    fault.inject(stage, aim)
    assert not fault.observe(stage, aim).present


def test_silence_of_a_dead_service_is_no_proof_of_a_cut(stage):
    stage.environment.service("back").kill()
    fault = Partition(between=("front", "back"))
    aim = fault.aim(stage)
    fault.inject(stage, aim)
    assert not fault.observe(stage, aim).present


def test_services_without_a_link_are_refused_before_anything_is_touched(stage):
    with pytest.raises(Unsupported, match="no link between them"):
        Partition(between=("front", "front")).aim(stage)


@pytest.mark.parametrize("direction", ["both", "requests", "answers"])
@pytest.mark.parametrize("only", ["everything", "new-connections"])
def test_packets_are_cut_and_let_through_again(stage, life, direction, only):
    aim = life(stage, Partition(between=("back", "front"), by="packets", direction=direction, only=only))
    assert aim.targets == ("front -> back",)
    assert [undo.verb for undo in aim.undo] == ["unfilter"]


def test_the_evidence_has_the_kernels_count(stage):
    fault = Partition(between=("front", "back"), by="packets")
    aim = fault.aim(stage)
    assert fault.observe(stage, aim).evidence == "no rule is there for front -> back"
    fault.inject(stage, aim)
    assert fault.observe(stage, aim).evidence == "10 packets of front -> back were dropped, a hello was silent"


def test_a_rule_that_meets_no_packets_is_not_seen(stage):
    stage.environment.packets_by_name["front -> back"].is_deaf = True
    fault = Partition(between=("front", "back"), by="packets")
    aim = fault.aim(stage)
    fault.inject(stage, aim)
    assert not fault.observe(stage, aim).present


@pytest.mark.parametrize("traffic, present", [(10, True), (0, False)])
def test_where_no_hello_can_be_sent_the_count_decides(stage, traffic, present):
    link = stage.environment.packets_by_name["front -> back"]
    link.inside, link.traffic = False, traffic
    fault = Partition(between=("front", "back"), by="packets")
    aim = fault.aim(stage)
    fault.inject(stage, aim)
    assert fault.observe(stage, aim).present is present


def test_one_port(stage):
    fault = Partition(between=("front", "back"), by="packets", port="http")
    aim = fault.aim(stage)
    fault.inject(stage, aim)
    assert fault.observe(stage, aim).present
    assert next(iter(stage.environment.packets_by_name["front -> back"].rules.values())).port == "http"


@pytest.mark.parametrize("more", [{"only": "new-connections"}, {"port": "http"}])
def test_a_proxy_cannot_tell_packets_apart(more):
    with pytest.raises(UsageError, match=r"only packets can be told apart like that\. Add by: packets"):
        Partition(between=("front", "back"), **more)


def test_each_way_needs_what_it_uses():
    assert Partition(between=("a", "b")).needs == {"cut"}
    assert Partition(between=("a", "b"), by="packets").needs == {"packets"}
