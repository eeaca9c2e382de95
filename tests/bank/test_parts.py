"""A broken part takes the place of exactly one sound one, and a sound bank has none."""

import pytest

from chaoskit.bank.cash_machine import CashMachine
from chaoskit.bank.defects import DEFECTS
from chaoskit.bank.journeys import App
from chaoskit.bank.services.admission import Admission
from chaoskit.bank.services.bookkeeper import Bookkeeper
from chaoskit.bank.services.core_door import CoreDoor
from chaoskit.bank.services.doorkeeper import Doorkeeper
from chaoskit.bank.services.journal import Journal
from chaoskit.bank.services.parts import BROKEN, part
from chaoskit.bank.services.relay import Relay
from chaoskit.bank.services.sessions import Sessions

SOUND = {
    sound.__name__: sound for sound in (Admission, App, Bookkeeper, CashMachine, CoreDoor, Doorkeeper, Journal, Relay, Sessions)
}


@pytest.mark.parametrize("sound", SOUND.values())
def test_a_sound_bank_and_one_with_a_broken_database_have_sound_parts(sound):
    assert part(sound, defect="none") is sound
    assert part(sound, defect="async-replication") is sound


@pytest.mark.parametrize("defect", BROKEN)
def test_each_defect_of_the_services_replaces_known_parts(defect):
    assert defect in DEFECTS
    for name in BROKEN[defect]:
        broken = part(SOUND[name], defect=defect)
        assert broken is not SOUND[name]
        assert issubclass(broken, SOUND[name])
