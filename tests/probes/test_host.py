from chaoskit.probes.host import Host
from chaoskit.testing import FakeEnvironment


def test_the_load_of_the_machine_is_a_number():
    ((subject, values),) = Host().look(FakeEnvironment())
    assert subject == "host"
    assert values["load_1m"] >= 0
    assert values["processors"] >= 1
