"""The category of this plugin's warnings, to filter them by: `ignore::chaoskit.pytesting.ChaosWarning`."""

from __future__ import annotations

import pytest


class ChaosWarning(pytest.PytestWarning):
    """A test says less than it seems to: its verdict is INCONCLUSIVE, or others ran beside one that needs the whole machine."""


ChaosWarning.__module__ = "chaoskit.pytesting"
