from chaoskit.probes.host import Host
from chaoskit.testing import FakeEnvironment


class Containers(FakeEnvironment):
    """Containers in a group of their own, whose use and waiting can be asked for."""

    def cpu(self):
        return {"periods": 20.0, "throttled": 3.0}


def test_the_load_of_the_machine_is_a_number():
    ((subject, values),) = Host().look(FakeEnvironment())
    assert subject == "host"
    assert values["load_1m"] >= 0
    assert values["processors"] >= 1
    assert 0 < values["busy_s"] < values["processors"] * 1e9


def test_what_holds_back_all_containers_is_looked_at_where_there_are_any():
    _, (subject, values) = Host().look(Containers())
    assert subject == "containers"
    assert values == {"periods": 20.0, "throttled": 3.0}
