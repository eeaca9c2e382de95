"""What the types refuse. Every line that ends with `# refused` must be an error for mypy and for pyright, and no other line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from chaoskit import Chaos
from chaoskit.faults.kill import Kill
from chaoskit.faults.partition import Partition
from chaoskit.model.experiment import EnvironmentChoice, Experiment, Injection, LoadShape
from chaoskit.model.history import History
from chaoskit.model.protocols import Checker, Fault
from chaoskit.strategies import schedules
from chaoskit.testing import FakeEnvironment


@dataclass(frozen=True)
class Vague:
    """No check: it says yes or no, and shows no evidence."""

    name: ClassVar[str] = "vague"

    def check(self, history: History) -> bool:
        return bool(history.operations)


def misuse(chaos: Chaos, path: Path) -> None:
    Kill("db")  # refused
    Kill(servce="db")  # refused
    Partition(between=("api", "db"), direction="up")  # refused
    Partition(between=("api", "db", "web"))  # refused
    Injection(fault=Kill, at_s=1)  # refused
    Injection(fault=Kill(service="db"), at_s="1s")  # refused
    LoadShape(arrivals_per_s=1, duration_s=1)  # refused
    Experiment(title="t", environment="bank", load=LoadShape(arrivals_per_s=1, duration_s=1, mix={}))  # refused
    Kill(service="db").service = "other"  # refused
    EnvironmentChoice(use="bank", options={"size": 5})  # refused
    chaos.verify(Vague())  # refused
    chaos.fault("kill")  # refused
    chaos.load(arrivals_per_s=5)  # refused
    chaos.run(5)  # refused
    chaos.run(path).exit_code  # noqa: B018  # refused
    schedules(FakeEnvironment(), within="20s")  # refused
    fault: Fault = Vague()  # refused
    check: Checker = Kill(service="db")  # refused
    print(fault, check)
