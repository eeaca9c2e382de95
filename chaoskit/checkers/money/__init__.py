"""The money checks. `MONEY` is all of them, in order of cause: what comes first often makes the later ones fail too."""

from chaoskit.checkers.money.ack_durable import AckDurable
from chaoskit.checkers.money.at_most_once import AtMostOnce
from chaoskit.checkers.money.balance_is_ledger import BalanceIsLedger
from chaoskit.checkers.money.conserved import Conserved
from chaoskit.checkers.money.double_entry import DoubleEntry
from chaoskit.checkers.money.no_overdraft import NoOverdraft
from chaoskit.checkers.money.no_phantom import NoPhantom
from chaoskit.checkers.money.no_refused_effect import NoRefusedEffect
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
)

__all__ = [
    "MONEY",
    "AckDurable",
    "AtMostOnce",
    "BalanceIsLedger",
    "Conserved",
    "DoubleEntry",
    "NoOverdraft",
    "NoPhantom",
    "NoRefusedEffect",
    "VersionChain",
]
