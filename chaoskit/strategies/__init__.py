"""Searching for trouble with Hypothesis: what is drawn, on what terms live systems are tried, and what is said of a find."""

from chaoskit.strategies.drawing import faults, loads, schedules
from chaoskit.strategies.machine import LiveMachine, explore
from chaoskit.strategies.searching import Confirmation, Found, Search, confirm, register_profile
from chaoskit.strategies.writing import as_document

__all__ = [
    "Confirmation",
    "Found",
    "LiveMachine",
    "Search",
    "as_document",
    "confirm",
    "explore",
    "faults",
    "loads",
    "register_profile",
    "schedules",
]
