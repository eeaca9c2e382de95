"""Experiment documents: YAML in, a frozen `Experiment` out, or every mistake with its place. Starts nothing."""

from chaoskit.documents.reading import bind, expand, read, read_text
from chaoskit.documents.schema import schema
from chaoskit.documents.tree import SECRET

__all__ = ["SECRET", "bind", "expand", "read", "read_text", "schema"]
