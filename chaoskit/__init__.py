"""Chaos engineering and resilience tests of banking services: does the backup take over, and is the money right?

Importing this package loads nothing outside the standard library; names are loaded when they are first used.
"""

__version__ = "0.1.0"
