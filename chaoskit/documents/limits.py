"""Limits of what may be hurt, as experiments and policies write them, and where an experiment breaks its own."""

from __future__ import annotations

from chaoskit.documents.fields import Fields
from chaoskit.documents.tree import Node, Pairs
from chaoskit.engine.blast import breaches
from chaoskit.engine.schedule import plan
from chaoskit.model.experiment import Experiment
from chaoskit.model.policy import Limits
from chaoskit.model.topology import Topology
from chaoskit.model.units import Unit

LIMITS = {
    "services": "a whole number: how many different services may be hurt at the same time",
    "share_of_group": "a share such as 50%: how much of a group may be hurt at the same time",
    "for": "a duration such as 250ms, 5s or 1m30s: how long any one fault may last",
}
WHAT = "{services: …, share_of_group: …, for: …}"


def read_limits(node: Node | None, fields: Fields, *, source: str) -> Limits:
    """The limits at *node*; without a limit where it is None or wrong. *source* is what messages call the place."""
    given = (fields.table(node, LIMITS, required=(), what=WHAT) or {}) if node is not None else {}
    if isinstance(node, Pairs) and not node.pairs:
        fields.wrong(node, f"limits nothing; expected {WHAT}")
    services = fields.quantity(given.get("services"), Unit.COUNT)
    return Limits(
        services=None if services is None else int(services),
        share_of_group=fields.quantity(given.get("share_of_group"), Unit.SHARE),
        for_s=fields.quantity(given.get("for"), Unit.DURATION, is_zero_allowed=False),
        source=source,
    )


def hold_to_limits(experiment: Experiment, topology: Topology, node: Node, fields: Fields) -> None:
    """Add a problem for each of its own limits that the experiment's schedule breaks. *node* is where they stand."""
    given = fields.table(node, LIMITS, required=(), what=WHAT) or {}
    for breach in breaches(plan(experiment, seed=0), topology, experiment.limits):  # nothing in a document is drawn by the seed
        fields.problems.add(given[breach.key], breach.text)
