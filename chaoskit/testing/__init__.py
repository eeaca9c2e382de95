"""For tests of the engine and of other teams' parts: fakes that obey or refuse, and the contract that holds fake and real alike."""

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

__all__ = [
    "FakeEnvironment",
    "FakeLedger",
    "FakeLink",
    "FakeLoad",
    "FakeService",
    "FixedChecker",
    "NoFault",
    "SilentProgress",
    "fake_topology",
    "no_journeys",
]
