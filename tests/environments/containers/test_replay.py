"""What a dead run did to containers that outlive it, undone from its ledger by somebody who was not there."""

import json
import subprocess
import sys

import pytest

from chaoskit.environments.packet_link import ContainerPackets, Flow
from chaoskit.environments.replay import read_ledger, replay
from chaoskit.model.containers import PacketRule
from chaoskit.model.errors import CannotHeal
from chaoskit.model.protocols import Undo
from chaoskit.model.undo import Holder, injecting, opened

from .conftest import RUN

pytestmark = [pytest.mark.docker, pytest.mark.whole]


@pytest.fixture
def write(tmp_path, engine):
    """Writes a ledger with what was injected and not healed."""

    def write(*faults):
        path = tmp_path / "undo.jsonl"
        records = [opened(Holder(run="r", owner="", engine=engine.address)), *(injecting(name, undo) for name, undo in faults)]
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return path

    return write


def of(target, verb):
    return (Undo(verb=verb, target=target.name, details={"container": target.container.id}),)


def status(target):
    target.container.reload()
    return target.container.status


def test_everything_is_undone_the_last_first_and_the_rest_is_told_apart(engine, start, pair, write):
    killed, paused, gone = start("killed"), start("paused"), start("gone")
    client, server = pair
    packets = ContainerPackets(
        "client -> server", client.container, (Flow(port="p", peer=server.address, number=7000, hello=b"hello\n"),), run=RUN
    )
    rule = PacketRule(act="drop")
    cut = packets.undo_of(rule)
    packets.filter(rule, cut)
    killed.container.kill()
    paused.container.pause()
    gone.container.remove(force=True)
    path = write(
        ("killed", of(killed, "start")),
        ("paused", of(paused, "resume")),
        ("gone", of(gone, "start")),
        ("cut", (cut,)),
        ("own link", (Undo(verb="restore", target="a -> b"),)),
    )
    replayed = replay(read_ledger(path), engine_address=engine.address)
    assert replayed.problems == []
    assert [line.partition(":")[0] for line in replayed.done] == ["own link", "cut", "gone", "paused", "killed"]
    said = "\n".join(replayed.done)
    assert "own link: nothing left to undo: it ended with the run" in said
    assert "gone: nothing left to undo: the container of gone is gone" in said
    assert "paused: resumed paused" in said
    assert "killed: started killed" in said
    assert (status(killed), status(paused)) == ("running", "running")
    assert packets.count(cut) is None
    assert killed.ask("hello") == "hello"
    again = replay(read_ledger(path), engine_address=engine.address)
    assert again.problems == []
    assert "killed: nothing left to undo" in "\n".join(again.done)


def test_one_that_cannot_be_undone_keeps_no_other_from_it(engine, start, write):
    paused, other = start("paused"), start("other")
    paused.container.pause()
    path = write(("paused", of(paused, "resume")), ("strange", of(other, "unknown-verb")))
    replayed = replay(read_ledger(path), engine_address=engine.address)
    assert replayed.healed == ["paused"]
    assert replayed.problems == [
        "strange may still be there: unknown-verb other: 'unknown-verb' is not an undo that this version knows"
    ]
    assert status(paused) == "running"


def test_another_process_does_it_and_says_so_in_the_ledger(engine, start, write):
    paused = start("paused")
    paused.container.pause()
    path = write(("paused", of(paused, "resume")))
    command = [sys.executable, "-m", "chaoskit.environments.replay", str(path), engine.address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("paused: resumed paused")
    assert status(paused) == "running"
    records = read_ledger(path)
    assert (records.open, records.healed) == ((), ("paused",))


def test_an_engine_that_is_away_is_no_healing(start, write):
    path = write(("paused", of(start("paused"), "resume")))
    replayed = replay(read_ledger(path), engine_address="unix:///no/such/engine")
    assert replayed.healed == []
    assert "may still be there: resume paused: no container engine" in replayed.problems[0]


def test_a_ledger_that_cannot_be_read_is_an_error_and_none_is_none(tmp_path):
    assert read_ledger(tmp_path / "none").open == ()
    with pytest.raises(CannotHeal, match="cannot be read"):
        read_ledger(tmp_path)
