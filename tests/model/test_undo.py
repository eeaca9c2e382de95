"""What another process reads from an undo ledger whose writer has died at any moment."""

import json

from chaoskit.model.protocols import Undo
from chaoskit.model.undo import Holder, injecting, opened, read

HOLDER = Holder(run="20261125-failover-7", owner="12-34-abcdef01-aaaaaa", leftovers="12-34-abcdef01-bbbbbb", engine="unix:///s")
KILL = (Undo(verb="start", target="db", details={"container": "c1"}),)
CUT = (Undo(verb="restore", target="a -> b"), Undo(verb="restore", target="b -> a"))


def lines(*records):
    return [json.dumps(record) for record in records]


def injected(fault):
    return {"state": "injected", "fault": fault}


def healed(fault):
    return {"state": "healed", "fault": fault}


def test_what_was_written_is_read_back():
    records = read(lines(opened(HOLDER), injecting("kill", KILL), injected("kill"), injecting("cut", CUT)))
    assert records.holder == HOLDER
    assert [(one.fault, one.undo, one.was_injected) for one in records.open] == [("cut", CUT, False), ("kill", KILL, True)]
    assert not records.is_closed


def test_the_last_injected_comes_first_also_when_it_is_injected_again():
    again = (injecting("kill", KILL), injecting("cut", CUT), healed("kill"), injecting("kill", KILL))
    assert [one.fault for one in read(lines(*again)).open] == ["kill", "cut"]


def test_two_faults_of_one_kind_have_two_records():
    records = read(lines(injecting("faults[0] kill", KILL), injecting("faults[1] kill", KILL)))
    assert [one.fault for one in records.open] == ["faults[1] kill", "faults[0] kill"]


def test_what_was_healed_is_not_open():
    records = read(lines(injecting("kill", KILL), injected("kill"), healed("kill"), {"state": "closed"}))
    assert (records.open, records.healed, records.is_closed) == ((), ("kill",), True)


def test_a_torn_record_was_never_acted_on():
    whole = lines(opened(HOLDER), injecting("kill", KILL))
    assert read([whole[0], whole[1][:-9]]).open == ()
    assert read([whole[0], "\x00\x00", "[1]", "7", whole[1]]).open != ()


def test_an_empty_ledger_says_nothing():
    assert (read([]).holder, read([]).open) == (None, ())
