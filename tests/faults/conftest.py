"""A fake system in containers: it obeys, counts what a kernel would count, or is deaf, as a rule that matches nothing would be."""

from dataclasses import dataclass, field

import pytest

from chaoskit.model.containers import PacketCount, Pressure
from chaoskit.model.errors import CannotInject
from chaoskit.model.protocols import Stage, Undo
from chaoskit.testing import FakeEnvironment, FakeLoad
from chaoskit.testing.fakes import FakeService

CAPABILITIES = frozenset({"crash", "detach", "squeeze-cpu", "squeeze-memory", "fill-disk", "packets", "packet-loss", "bandwidth"})


@dataclass(slots=True)
class FakeContainer(FakeService):
    """A service in a container. `need` is what it uses of a core and of memory; `is_deaf` makes every act do nothing."""

    is_deaf: bool = False
    attached: tuple[str, ...] = ("bank", "backbone")
    need: float = 0.5
    limit: float | None = None
    felt: int = 3
    full: bool = False
    rate: int | None = None

    def crash(self):
        self._act(lambda: setattr(self, "state", "killed"))

    def networks(self):
        return self.attached

    def undo_of_detach(self, network):
        chosen = [network] if network else self.attached
        return tuple(Undo(verb="attach", target=self.name, details={"container": "c1", "name": name}) for name in chosen)

    def detach(self, network):
        self._act(lambda: setattr(self, "attached", tuple(name for name in self.attached if network and name != network)))

    def attach(self):
        self.attached = ("bank", "backbone")

    def undo_of_squeeze(self, what):
        assert what in {"cpu", "memory"}
        return Undo(verb="resize", target=self.name, details={"container": "c1", "felt": str(self.felt)})

    def squeeze_cpu(self, *, cores):
        self._act(lambda: setattr(self, "limit", cores))

    def squeeze_memory(self, *, size_bytes):
        self._act(lambda: setattr(self, "limit", size_bytes))

    def resize(self):
        self.limit = None

    def cpu_pressure(self, *, cores):
        if self.limit is not None and self.need > self.limit:
            self.felt += 1
        return Pressure(is_set=self.limit == cores, felt=self.felt, text=f"limit {self.limit}, felt {self.felt} times")

    def memory_pressure(self, *, size_bytes):
        return self.cpu_pressure(cores=size_bytes)

    def undo_of_fill(self, path):
        return Undo(verb="free-disk", target=self.name, details={"container": "c1", "path": path})

    def fill_disk(self, undo, *, keep_full):
        assert undo.details["path"]
        assert keep_full in {True, False}
        self._act(lambda: setattr(self, "full", True))

    def free_disk(self):
        self.full = False

    def is_disk_full(self, path):
        return self.full, f"a write below {path} {'failed' if self.full else 'succeeded'}"

    def undo_of_bandwidth(self):
        return (Undo(verb="unthrottle", target=self.name, details={"container": "c1", "device": "eth0"}),)

    def limit_bandwidth(self, undo, *, bytes_per_s):
        assert undo
        self._act(lambda: setattr(self, "rate", bytes_per_s))

    def unthrottle(self):
        self.rate = None

    def bandwidth(self, undo):
        assert undo
        return None if self.rate is None else PacketCount(seen=10, hit=10 if self.rate < 1000 else 0)

    def _act(self, act):
        if self.state != "running":
            raise CannotInject(f"{self.name} is {self.state}")
        if not self.is_deaf:
            act()


@dataclass(slots=True)
class FakePackets:
    """A link as packets see it. `traffic` is how many packets a look sees pass; `inside` whether a hello can be sent there."""

    name: str
    is_deaf: bool = False
    inside: bool = True
    is_down: bool = False
    traffic: int = 10
    rules: dict[str, object] = field(default_factory=dict)

    def undo_of(self, rule):
        chain = f"CK-{len(self.rules)}"
        return Undo(verb="unfilter", target=self.name, details={"container": "c1", "chain": chain, "rule": rule.act})

    def filter(self, rule, undo):
        self.rules[undo.details["chain"]] = rule

    def count(self, undo):
        rule = self.rules.get(undo.details["chain"])
        return rule and PacketCount(seen=self.traffic, hit=0 if self.is_deaf else round(rule.share * self.traffic))

    def look(self, *, port, timeout_s):
        assert timeout_s > 0
        if not self.inside:
            return ""
        met = [rule for rule in self.rules.values() if rule.port in {"", port} and rule.share == 1.0 and not self.is_deaf]
        if met:
            return {"drop": "silent", "refuse": "refused"}[met[0].act]
        return "refused" if self.is_down else "answered"


class FakeContainers(FakeEnvironment):
    """A system in memory that calls itself containers."""

    name = "docker"

    def __init__(self):
        super().__init__()
        self.capabilities |= CAPABILITIES
        self.services = {name: FakeContainer(name) for name in self.services}
        self.packets_by_name = {name: FakePackets(name) for name in self.links_by_name}

    def packets(self, one, other):
        return tuple(self.packets_by_name[link.name] for link in self.links(one, other))

    def undo(self, undo):
        if undo.verb == "unfilter":
            self.packets_by_name[undo.target].rules.pop(undo.details["chain"], None)
        elif undo.verb in {"attach", "resize", "free-disk", "unthrottle"}:
            getattr(self.services[undo.target], undo.verb.replace("-", "_"))()
        else:
            super().undo(undo)


@pytest.fixture
def stage():
    return Stage(FakeContainers(), FakeLoad())


@pytest.fixture
def processes():
    """A stage without containers."""
    return Stage(FakeEnvironment(), FakeLoad())


@pytest.fixture
def life():
    """Lives through one fault: not there, injected and seen, undone twice by plain data, gone. Returns the aim."""

    def live(stage, fault):
        aim = fault.aim(stage)
        assert not fault.observe(stage, aim).present
        fault.inject(stage, aim)
        sign = fault.observe(stage, aim)
        assert sign.present, sign.evidence
        for undo in (*reversed(aim.undo), *reversed(aim.undo)):
            stage.environment.undo(undo)
        gone = fault.observe(stage, aim)
        assert not gone.present, gone.evidence
        return aim

    return live
