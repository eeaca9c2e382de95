import pytest

from chaoskit.environments import namespace
from chaoskit.environments.container_undo import undo_container
from chaoskit.environments.namespace import CommandFailed, Match, Namespace
from chaoskit.environments.packet_link import ContainerPackets, Flow
from chaoskit.model.containers import PacketRule
from chaoskit.model.errors import CannotHeal, CannotInject, UsageError
from chaoskit.model.protocols import Undo

from .conftest import RUN

pytestmark = [pytest.mark.docker, pytest.mark.whole]

NOTHING = ["-P INPUT ACCEPT", "-P FORWARD ACCEPT", "-P OUTPUT ACCEPT"]
SHORT_S = 0.5
"""Long enough for any answer between two containers of one machine, short enough to wait for one that does not come."""


@pytest.fixture
def link(pair):
    client, server = pair
    flows = tuple(Flow(port=f"p{number}", peer=server.address, number=number, hello=b"hello\n") for number in (7000, 7001))
    return ContainerPackets("client -> server", client.container, flows, run=RUN)


@pytest.fixture
def inject(engine, link):
    """Injects a rule; returns how it is undone."""

    def inject(**rule):
        undo = link.undo_of(PacketRule(**rule))
        link.filter(PacketRule(**rule), undo)
        return undo

    return inject


def rules(target):
    return target.namespace().run("iptables", "-S").splitlines()


def test_a_partition_loses_nothing_and_an_open_connection_resumes(engine, pair, link, inject):
    client, server = pair
    connection = client.connect(server)
    assert connection.ask("before") == "before"
    undo = inject(act="drop")
    assert link.look(port="", timeout_s=SHORT_S) == "silent"
    connection.send("during")
    with pytest.raises(TimeoutError):
        connection.hear(timeout_s=SHORT_S)
    with pytest.raises(TimeoutError):
        client.connect(server, timeout_s=SHORT_S)
    assert link.count(undo).hit > 0
    assert server.ask("still here for others") == "still here for others"
    assert undo_container(engine, undo)
    assert connection.hear(timeout_s=15) == "during"
    assert connection.ask("after") == "after"
    assert link.look(port="", timeout_s=5) == "answered"
    assert link.count(undo) is None
    assert rules(client) == NOTHING
    connection.close()


def test_the_other_side_hears_nothing_either(engine, pair, link, inject):
    """Symmetric: what the server says on its own is lost, too, while the rules stand at the client's end only."""
    client, server = pair
    connection = client.connect(server)
    connection.send("burn 300")  # it answers 300 ms later, when the cut is there
    undo = inject(act="drop")
    with pytest.raises(TimeoutError):
        connection.hear(timeout_s=2 * SHORT_S)
    undo_container(engine, undo)
    assert connection.hear(timeout_s=15).isdigit()
    connection.close()


def test_lost_answers_are_work_that_was_done_and_not_acknowledged(engine, pair, link, inject):
    client, server = pair
    connection = client.connect(server)
    before = int(server.ask("seen"))
    undo = inject(act="drop", direction="answers")
    connection.send("transfer")
    with pytest.raises(TimeoutError):
        connection.hear(timeout_s=SHORT_S)
    assert int(server.ask("seen")) == before + 2  # the transfer, and this question
    undo_container(engine, undo)
    assert connection.hear(timeout_s=15) == "transfer"
    connection.close()


def test_lost_requests_are_work_that_was_not_done(engine, pair, link, inject):
    client, server = pair
    connection = client.connect(server)
    before = int(server.ask("seen"))
    undo = inject(act="drop", direction="requests")
    connection.send("transfer")
    with pytest.raises(TimeoutError):
        connection.hear(timeout_s=SHORT_S)
    assert int(server.ask("seen")) == before + 1  # this question alone
    undo_container(engine, undo)
    assert connection.hear(timeout_s=15) == "transfer"
    connection.close()


@pytest.mark.parametrize("direction", ["both", "requests", "answers"])
def test_only_new_connections_are_cut_and_the_old_one_goes_on(engine, pair, link, inject, direction):
    client, server = pair
    connection = client.connect(server)
    undo = inject(act="drop", only_new=True, direction=direction)
    assert link.look(port="", timeout_s=SHORT_S) == "silent"
    assert [connection.ask(f"ping {number}") for number in range(20)] == [f"ping {number}" for number in range(20)]
    undo_container(engine, undo)
    assert link.look(port="", timeout_s=5) == "answered"
    connection.close()


def test_refused_is_refused_at_once_and_not_lost(engine, pair, link, inject):
    client, server = pair
    undo = inject(act="refuse")
    assert link.look(port="", timeout_s=SHORT_S) == "refused"
    with pytest.raises(ConnectionRefusedError):
        client.connect(server)
    undo_container(engine, undo)
    assert link.look(port="", timeout_s=5) == "answered"


def test_one_port_alone(link, inject):
    inject(act="drop", port="p7001")
    assert link.look(port="p7000", timeout_s=SHORT_S) == "answered"
    assert link.look(port="p7001", timeout_s=SHORT_S) == "silent"
    assert link.look(port="", timeout_s=2 * SHORT_S) == "silent"


def test_loss_is_counted(engine, pair, link, inject):
    """Judged by the kernel's counters: what a client feels of it is a matter of luck."""
    client, server = pair
    connection = client.connect(server)
    undo = inject(act="drop", share=0.2)
    for number in range(30):
        assert connection.ask(f"ping {number}", timeout_s=20) == f"ping {number}"
    count = link.count(undo)
    assert count.seen >= 60
    assert 0 < count.hit < count.seen / 2  # missed once in 400,000 runs
    undo_container(engine, undo)
    assert link.count(undo) is None
    connection.close()


def test_a_service_that_customers_call_is_cut_in_its_own_namespace(engine, pair):
    client, server = pair
    flows = (Flow(port="http", peer="", number=7000, hello=b"", is_caller=False),)
    link = ContainerPackets("customers -> server", server.container, flows, run=RUN)
    connection = client.connect(server)
    undo = link.undo_of(PacketRule(act="drop", direction="answers"))
    link.filter(PacketRule(act="drop", direction="answers"), undo)
    assert link.look(port="", timeout_s=SHORT_S) == ""
    connection.send("hello")
    with pytest.raises(TimeoutError):
        connection.hear(timeout_s=SHORT_S)
    assert link.count(undo).hit > 0
    other = client.connect(server, 7001)
    assert other.ask("other port") == "other port"
    other.close()
    undo_container(engine, undo)
    assert connection.hear(timeout_s=15) == "hello"
    connection.close()


def test_two_faults_at_once_do_not_undo_each_other(engine, pair, link, inject):
    client, _ = pair
    first, second = inject(act="drop", port="p7000"), inject(act="drop", port="p7001")
    undo_container(engine, first)
    assert link.count(first) is None
    assert link.look(port="p7001", timeout_s=SHORT_S) == "silent"
    undo_container(engine, second)
    assert rules(client) == NOTHING


def test_somebody_elses_rules_stay(engine, pair, inject):
    client, _ = pair
    client.namespace().run("iptables", "-A", "INPUT", "-p", "udp", "--dport", "9", "-j", "DROP")
    theirs = rules(client)
    undo = inject(act="drop")
    assert rules(client) != theirs
    undo_container(engine, undo)
    assert rules(client) == theirs


def test_undoing_twice_and_what_was_never_done_does_no_harm(engine, pair, link, inject):
    client, _ = pair
    undo = inject(act="drop")
    for _ in range(2):
        assert undo_container(engine, undo)
    assert undo_container(engine, link.undo_of(PacketRule(act="drop")))
    assert rules(client) == NOTHING


def test_injecting_twice_is_undone_by_one_undo(engine, pair, link, inject):
    client, _ = pair
    undo = inject(act="drop")
    link.filter(PacketRule(act="drop"), undo)
    undo_container(engine, undo)
    assert rules(client) == NOTHING


def test_rules_are_gone_with_a_container_that_restarted(engine, pair, link, inject):
    client, _ = pair
    undo = inject(act="drop")
    client.container.restart(timeout=0)
    assert link.count(undo) is None
    assert undo_container(engine, undo)
    assert rules(client) == NOTHING


@pytest.mark.parametrize("end", ["stop", "remove"])
def test_rules_are_gone_with_a_container_that_ended(engine, start, end):
    client = start(f"client-{end}")
    flow = Flow(port="p", peer="10.9.9.9", number=1, hello=b"?")
    link = ContainerPackets("client -> nobody", client.container, (flow,), run=RUN)
    undo = link.undo_of(PacketRule(act="drop"))
    link.filter(PacketRule(act="drop"), undo)
    client.container.kill()
    client.container.wait(timeout=10)
    if end == "remove":
        client.container.rename(f"gone-{RUN}")
        client.container.remove()
    assert link.count(undo) is None
    assert undo_container(engine, undo)
    with pytest.raises(CannotInject, match="exited" if end == "stop" else "gone"):
        link.undo_of(PacketRule(act="drop"))


def test_a_paused_container_is_one_clear_error_and_can_still_be_healed(engine, pair, link, inject):
    client, _ = pair
    undo = inject(act="drop")
    client.container.pause()
    with pytest.raises(
        CannotInject, match=rf"container client-{RUN} was to be hurt and is paused; faults act on containers that run"
    ):
        link.undo_of(PacketRule(act="drop"))
    with pytest.raises(CannotInject, match="is paused"):
        link.filter(PacketRule(act="drop"), undo)
    assert undo_container(engine, undo)
    client.container.unpause()
    assert rules(client) == NOTHING


def test_an_undo_that_fails_is_no_undo(engine, pair, link, inject):
    """A rule of somebody else's that jumps into our chain keeps it from being deleted."""
    client, _ = pair
    undo = inject(act="drop")
    chain = undo.details["chain"]
    client.namespace().run("iptables", "-A", "FORWARD", "-j", f"{chain}i")
    with pytest.raises(CannotHeal, match=f"undo unfilter of client -> server: .*{chain}"):
        undo_container(engine, undo)
    client.namespace().run("iptables", "-D", "FORWARD", "-j", f"{chain}i")
    undo_container(engine, undo)
    assert rules(client) == NOTHING


def test_an_undo_of_somebody_elses_is_left_to_them(engine):
    assert not undo_container(engine, Undo(verb="start", target="core"))
    assert not undo_container(engine, Undo(verb="restore", target="gateway -> core"))


def test_wrong_words_are_refused_before_anything_is_touched(pair, link):
    client, _ = pair
    for rule in (PacketRule(act="drop", direction="sideways"), PacketRule(act="eat")):
        with pytest.raises(UsageError, match="expected one of both, requests, answers and of drop, refuse"):
            link.undo_of(rule)
    with pytest.raises(CannotInject, match="'sql' is not a port of this link; expected one of p7000, p7001"):
        link.undo_of(PacketRule(act="drop", port="sql"))
    with pytest.raises(UsageError, match="only IPv4"):
        ContainerPackets("x", client.container, (Flow(port="p", peer="::1", number=1, hello=b""),), run=RUN)
    assert rules(client) == NOTHING


def test_what_iptables_says_is_in_the_error(pair):
    client, _ = pair
    match = Match(hook="INPUT", words=("-p", "tcp", "--no-such-option"))
    with pytest.raises(CommandFailed, match=r"iptables-restore.* ended with 2: .*no-such-option"):
        namespace.apply(client.namespace(), "CK-x", (match,), verdict=("DROP",), comment="x")
    assert rules(client) == NOTHING


def test_bandwidth_is_limited_seen_and_given_back(engine, pair):
    client, server = pair
    undo = server.undo_of_bandwidth()
    assert server.bandwidth(undo) is None
    server.limit_bandwidth(undo, bytes_per_s=4000)
    connection = client.connect(server)
    for _ in range(4):
        assert connection.ask("x" * 1400, timeout_s=10) == "x" * 1400
    assert server.bandwidth(undo).hit > 0
    for one in undo:
        assert undo_container(engine, one)
        assert undo_container(engine, one)
    assert server.bandwidth(undo) is None
    assert "tbf" not in server.namespace().run("tc", "qdisc", "show")
    connection.close()


def test_a_queue_of_somebody_elses_is_left_alone(pair):
    _, server = pair
    server.namespace().run("tc", "qdisc", "add", "dev", "eth0", "root", "pfifo")
    with pytest.raises(CannotInject, match="a queue of somebody else's, which is left alone: qdisc pfifo"):
        server.limit_bandwidth(server.undo_of_bandwidth(), bytes_per_s=4000)


def test_what_this_machine_can_do_is_probed_without_a_trace():
    features = namespace.probe()
    assert features.capabilities == {"packets", "packet-loss", "bandwidth"} - set(features.lacks)
    assert all(features.lacks.values())


def test_a_namespace_that_is_gone_is_an_error_with_its_words():
    with pytest.raises(CommandFailed, match=r"nsenter.* ended with 1: .*No such file"):
        Namespace(2**22 + 1).run("true")
