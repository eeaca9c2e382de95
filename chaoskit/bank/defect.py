"""What a way to break the reference bank says of itself: one published failure, and who must notice it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One switch that breaks the bank. `convicted_by` names the checker that must say FAILED in `experiment`."""

    name: str
    title: str
    breaks: str
    """What is different in the bank, in one sentence."""
    incident: str
    """The published failure that it reproduces in kind."""
    convicted_by: str
    experiment: str = "database_failover"
    """The reference experiment (a file of experiments/) in which it is convicted, and which the sound bank passes."""
