"""For tests of the engine and of other teams' parts: fakes that obey or refuse, and the contract that holds fake and real alike."""

from chaoskit.testing.contracts import EnvironmentContract, JoinableContract, RealEnvironmentContract, heal_all, tiny_topology
from chaoskit.testing.fakes import (
    FakeEnvironment,
    FakeLedger,
    FakeLink,
    FakeLoad,
    FakeService,
    FixedChecker,
    NoFault,
    SilentProgress,
    fake_topology,
    no_journeys,
)
from chaoskit.testing.injecting import injected
from chaoskit.testing.ledgers import LedgerContract

__all__ = [
    "EnvironmentContract",
    "FakeEnvironment",
    "FakeLedger",
    "FakeLink",
    "FakeLoad",
    "FakeService",
    "FixedChecker",
    "JoinableContract",
    "LedgerContract",
    "NoFault",
    "RealEnvironmentContract",
    "SilentProgress",
    "fake_topology",
    "heal_all",
    "injected",
    "no_journeys",
    "tiny_topology",
]
