"""The money checks. `MONEY` is all but those for copies that may be behind, in order of cause: the first often makes others fail.

Importing this package imports them all; `verify` is not among them, since it must be able to stand alone.
"""

from chaoskit.checkers.money.ack_durable import AckDurable
from chaoskit.checkers.money.answer_stable import AnswerStable
from chaoskit.checkers.money.at_most_once import AtMostOnce
from chaoskit.checkers.money.balance_is_ledger import BalanceIsLedger
from chaoskit.checkers.money.cash import Cash
from chaoskit.checkers.money.conserved import Conserved
from chaoskit.checkers.money.double_entry import DoubleEntry
from chaoskit.checkers.money.no_overdraft import NoOverdraft
from chaoskit.checkers.money.no_phantom import NoPhantom
from chaoskit.checkers.money.no_refused_effect import NoRefusedEffect
from chaoskit.checkers.money.observed_stays import ObservedStays
from chaoskit.checkers.money.order import Order
from chaoskit.checkers.money.read_window import ReadWindow
from chaoskit.checkers.money.reconciled import Reconciled
from chaoskit.checkers.money.session import Session
from chaoskit.checkers.money.snapshot import Snapshot
from chaoskit.checkers.money.staleness import Staleness
from chaoskit.checkers.money.version_chain import VersionChain

MONEY = (
    AckDurable(),
    AtMostOnce(),
    NoRefusedEffect(),
    NoPhantom(),
    DoubleEntry(),
    Conserved(),
    BalanceIsLedger(),
    VersionChain(),
    NoOverdraft(),
    Reconciled(if_any=True),
    Cash(if_any=True),
    Order(),
    AnswerStable(if_any=True),
    ObservedStays(if_any=True),
    ReadWindow(if_any=True),
    Snapshot(if_any=True),
)

__all__ = [
    "MONEY",
    "AckDurable",
    "AnswerStable",
    "AtMostOnce",
    "BalanceIsLedger",
    "Cash",
    "Conserved",
    "DoubleEntry",
    "NoOverdraft",
    "NoPhantom",
    "NoRefusedEffect",
    "ObservedStays",
    "Order",
    "ReadWindow",
    "Reconciled",
    "Session",
    "Snapshot",
    "Staleness",
    "VersionChain",
]
