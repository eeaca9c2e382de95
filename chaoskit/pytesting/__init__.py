"""For tests with pytest. Loaded when a test uses something of it; the plugin itself is `chaoskit.pytest_plugin`."""

from chaoskit.pytesting.environments import environment_fixture, running
from chaoskit.pytesting.warning import ChaosWarning

__all__ = ["ChaosWarning", "environment_fixture", "running"]
