"""Containers that are not the bank's, declared with Testcontainers as another team would."""

import contextlib
import http.client

import pytest
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from chaoskit.environments.containers import ContainerEnvironment
from chaoskit.environments.images import provide
from chaoskit.environments.ports import HOST
from chaoskit.environments.ryuk import without_pulling_ryuk
from chaoskit.faults.partition import Partition
from chaoskit.faults.refuse import Refuse
from chaoskit.model.containers import ContainerService, PacketEnvironment
from chaoskit.model.errors import CannotHeal, CannotInject, MissingEngine, NotReady, Unsupported, UsageError
from chaoskit.model.journey import Habit
from chaoskit.model.protocols import Undo
from chaoskit.model.topology import Currency
from chaoskit.testing import FakeLedger, injected

pytestmark = [pytest.mark.docker, pytest.mark.whole]

# Answers its name; on /next it asks the one that NEXT names.
SERVICE = """
import http.server, os, urllib.request
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = os.environ["NAME"].encode()
        if self.path == "/next":
            body = urllib.request.urlopen("http://" + os.environ["NEXT"], timeout=1).read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
print("listening", flush=True)
http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler).serve_forever()
"""


@pytest.fixture(scope="module")
def image(engine):
    return provide(engine, names=("bank",)).named("bank").reference


def container(image, name, program=SERVICE, **variables):
    made = DockerContainer(image, command=["python3", "-c", program]).with_env("NAME", name)
    for key, value in variables.items():
        made.with_env(key, value)
    return made


@pytest.fixture(scope="module")
def environment(image, tmp_path_factory):
    environment = ContainerEnvironment(logs=tmp_path_factory.mktemp("containers"))
    way = environment.link("payments", "ledger", port=8080)
    environment.add("payments", container(image, "payments", NEXT=way).with_exposed_ports(8080))
    environment.add("ledger", container(image, "ledger").waiting_for(LogMessageWaitStrategy("listening")))
    with environment:
        yield environment


def ask(address, path="/", *, timeout_s=5.0):
    """The body of an answer; None when there was none."""
    connection = http.client.HTTPConnection(*address, timeout=timeout_s)
    with contextlib.closing(connection):
        try:
            connection.request("GET", path)
            return connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            return None


def left_of(engine, environment):
    filters = {"label": f"chaoskit.run={environment.stack.run}"}
    return [*engine.client.containers.list(all=True, filters=filters), *engine.client.networks.list(filters=filters)]


def test_those_that_are_called_are_started_first(environment):
    assert [one.name for one in environment.started] == ["ledger", "payments"]


def test_a_service_is_reached_on_loopback_and_the_link_is_the_way_that_it_uses(environment):
    address = environment.address("payments", 8080)
    assert address[0] == HOST
    assert ask(address) == "payments"
    assert ask(address, "/next") == "ledger"
    (link,) = environment.links("payments", "ledger")
    link.refuse()
    assert ask(address, "/next") is None
    assert ask(address) == "payments"
    link.restore()
    assert ask(address, "/next") == "ledger"


def test_customers_alone_are_cut_off_and_refused(image):
    """Their packets are filtered at Toxiproxy's door: behind it they cannot be told from those of other services."""
    environment = ContainerEnvironment()
    environment.link("customers", "ledger", port=8080)
    way = environment.link("payments", "ledger", port=8080)
    environment.add("payments", container(image, "payments", NEXT=way).with_exposed_ports(8080))
    environment.add("ledger", container(image, "ledger"))
    with environment:
        address = environment.address("ledger", 8080)
        between = ("customers", "ledger")
        for fault in (Partition(between=between, by="packets"), Refuse(between=between, by="packets"), Refuse(between=between)):
            assert ask(address) == "ledger"
            with injected(fault, environment):
                assert ask(address, timeout_s=1.0) is None
                assert ask(environment.address("payments", 8080), "/next") == "ledger"
        assert ask(address) == "ledger"


def test_a_link_of_two_ports_is_one_link():
    environment = ContainerEnvironment()
    first, second = (environment.link("a", "b", port=port) for port in (1, 2))
    assert first != second
    assert [(link.client, link.ports) for link in environment.topology.links] == [("a", ("1", "2"))]
    environment.down()


def test_addresses_stay_across_kill_and_start(environment):
    address = environment.address("ledger", 8080)
    environment.service("ledger").kill()
    assert ask(address) is None
    environment.service("ledger").start()
    assert environment.address("ledger", 8080) == address
    assert ask(address) == "ledger"


def test_a_pause_is_a_hang_and_is_undone_from_plain_data(environment):
    address = environment.address("ledger", 8080)
    environment.service("ledger").pause()
    assert ask(address, timeout_s=0.3) is None
    environment.undo(Undo(verb="resume", target="ledger"))
    assert ask(address) == "ledger"


def test_its_ports_are_published_on_loopback_only(environment):
    for one in environment.started:
        one.container.reload()
        bindings = [b for many in (one.container.attrs["HostConfig"]["PortBindings"] or {}).values() for b in many]
        assert all(binding["HostIp"] == HOST for binding in bindings)


def test_names_that_are_not_there_are_errors_with_those_that_are(environment):
    with pytest.raises(Unsupported, match=r"'legder' is not a service or role of .*Did you mean 'ledger'"):
        environment.service("legder")
    with pytest.raises(Unsupported, match="ledger:1 is not an address"):
        environment.address("ledger", 1)
    with pytest.raises(Unsupported, match="'legder' is not a service or role"):
        environment.links("payments", "legder")
    with pytest.raises(CannotHeal, match="no such link"):
        environment.undo(Undo(verb="restore", target="a -> b"))
    with pytest.raises(UsageError, match="while the environment is up"):
        environment.link("payments", "ledger", port=1)


def test_a_container_that_dies_at_start_is_one_error_with_its_last_words(image, engine):
    environment = ContainerEnvironment()
    environment.add("ledger", container(image, "ledger", program="raise SystemExit('no books here')"), ports=(8080,))
    with pytest.raises(NotReady, match=r"service ledger(.|\n)*no books here"):
        environment.up()
    assert left_of(engine, environment) == []


def test_a_wait_of_testcontainers_that_fails_leaves_nothing(image, engine):
    environment = ContainerEnvironment()
    never = LogMessageWaitStrategy("never said").with_startup_timeout(1).with_poll_interval(0.05)
    environment.add("ledger", container(image, "ledger").waiting_for(never))
    with pytest.raises(NotReady, match=r"service ledger(.|\n)*listening"):
        environment.up()
    assert left_of(engine, environment) == []


def test_a_link_to_a_port_that_nobody_listens_on_is_an_error(image, engine):
    environment = ContainerEnvironment()
    environment.link("payments", "ledger", port=9)
    environment.add("ledger", container(image, "ledger"), ready_within_s=1.5)
    with pytest.raises(NotReady, match=r"service ledger did not answer within 1\.5 s; nothing answered at port 9"):
        environment.up()
    assert left_of(engine, environment) == []


def test_an_image_that_cannot_be_pulled_is_an_error(engine):
    environment = ContainerEnvironment()
    environment.add("ledger", DockerContainer("chaoskit-no-such-image:none"))
    with pytest.raises(NotReady, match=r"service ledger: container of chaoskit-no-such-image:none did not start"):
        environment.up()
    assert left_of(engine, environment) == []


@contextlib.contextmanager
def running_one(image, **kwargs):
    """A container that somebody else has started."""
    started = container(image, "ledger").with_kwargs(**kwargs)
    with without_pulling_ryuk():
        started.start()
    try:
        yield started
    finally:
        started.get_wrapped_container().remove(force=True)


def test_a_container_that_runs_already_is_hurt_only_when_it_says_so(image, engine):
    with running_one(image) as running:
        environment = ContainerEnvironment()
        environment.add("ledger", running, ports=(8080,))
        with pytest.raises(UsageError, match=r"does not carry the label chaoskit\.target=true"):
            environment.up()
        assert left_of(engine, environment) == []
    with running_one(image, labels={"chaoskit.target": "true"}) as running:
        environment = ContainerEnvironment()
        environment.add("ledger", running, ports=(8080,))
        with environment:
            assert ask(environment.address("ledger", 8080)) == "ledger"
        running.get_wrapped_container().reload()
        assert running.get_wrapped_container().status == "running"
        assert left_of(engine, environment) == []


def test_what_cannot_be_meant_is_refused_before_anything_is_started(image):
    environment = ContainerEnvironment()
    environment.add("ledger", container(image, "ledger"))
    with pytest.raises(UsageError, match="added twice"):
        environment.add("ledger", container(image, "ledger"))
    with pytest.raises(UsageError, match="expected lower-case"):
        environment.add("Le dger", container(image, "ledger"))
    environment.link("ledger", "payments", port=1)
    with pytest.raises(UsageError, match="declared twice"):
        environment.link("ledger", "payments", port=1)
    with pytest.raises(UsageError, match="'payments' was not added"):
        environment.up()


def test_an_engine_that_is_not_there_is_told_before_testcontainers_asks_for_it(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    with pytest.raises(MissingEngine, match=r"no\.sock"):
        ContainerEnvironment()
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    with pytest.raises(Unsupported, match="not on this machine"):
        ContainerEnvironment()


def test_customers_are_part_of_the_topology_and_their_entry_is_reached(image):
    environment = ContainerEnvironment()
    entry, habits = ("payments", 8080), (Habit.DOUBLE_TAP,)
    environment.customers("payments_journeys:journeys", names=("pay", "look"), entry=entry, habits=habits)
    environment.add("payments", container(image, "payments"))
    with environment:
        topology = environment.topology
        assert (topology.journeys, topology.journey_names) == ("payments_journeys:journeys", ("pay", "look"))
        assert topology.habit_names == ("double-tap",)
        assert ask(environment.address(*topology.entry)) == "payments"


def test_customers_that_cannot_be_let_in_are_refused_before_anything_is_started(image):
    environment = ContainerEnvironment()
    for journeys in ("payments_journeys", "payments-journeys:journeys", ":journeys", "a:b:c"):
        with pytest.raises(UsageError, match="expected module:function"):
            environment.customers(journeys, names=("pay",), entry=("payments", 8080))
    with pytest.raises(UsageError, match="no names were given"):
        environment.customers("payments_journeys:journeys", names=(), entry=("payments", 8080))
    environment.customers("payments_journeys:journeys", names=("pay",), entry=("payments", 8080))
    with pytest.raises(UsageError, match="give all journeys in one"):
        environment.customers("others:journeys", names=("look",), entry=("payments", 8080))
    environment.add("ledger", container(image, "ledger"))
    with pytest.raises(UsageError, match="'payments' was not added"):
        environment.up()


def test_books_are_part_of_the_topology_and_are_reached_past_links(image):
    reached = []

    def ledger(address):
        reached.append(address("ledger", "8080"))
        return FakeLedger()

    environment = ContainerEnvironment()
    assert environment.ledger() is None
    environment.link("customers", "ledger", port=8080)
    environment.books(ledger, currency=Currency(code="£", minor_digits=2))
    with pytest.raises(UsageError, match="books were declared twice"):
        environment.books(ledger)
    environment.add("ledger", container(image, "ledger"))
    with environment:
        assert isinstance(environment.ledger(), FakeLedger)
        assert (environment.topology.ledger, environment.topology.opening) == (ledger, None)
        assert environment.topology.currency == Currency(code="£", minor_digits=2)
        (link,) = environment.links("customers", "ledger")
        link.cut(direction="both")
        assert ask(reached[0]) == "ledger"
        with pytest.raises(UsageError, match="books were declared while the environment is up"):
            environment.books(ledger)


def test_a_circle_of_links_is_refused(image):
    environment = ContainerEnvironment()
    for one, other in (("ledger", "payments"), ("payments", "ledger")):
        environment.link(one, other, port=8080)
        environment.add(one, container(image, one))
    with pytest.raises(UsageError, match="in a circle"):
        environment.up()


def test_the_error_of_the_block_stays_the_first_one(image):
    environment = ContainerEnvironment()
    environment.add("ledger", container(image, "ledger"), ports=(8080,))
    with pytest.raises(ZeroDivisionError), environment:
        break_off(environment)


def break_off(environment):
    environment.service("ledger").container.remove(force=True)
    with pytest.raises(CannotInject, match="is gone"):
        environment.service("ledger").kill()
    raise ZeroDivisionError


def test_the_report_says_which_images_and_how_much_memory(environment, engine):
    facts = environment.facts()
    assert engine.version in facts["engine"]
    assert facts["image ledger"].startswith("sha256:")
    assert facts["memory of ledger"].endswith("MB")


def test_it_can_do_what_containers_can(environment):
    assert isinstance(environment, PacketEnvironment)
    assert isinstance(environment.service("ledger"), ContainerService)
    assert [one.name for one in environment.packets("ledger", "payments")] == ["payments -> ledger"]
    assert environment.topology.service_names == ("payments", "ledger")
    assert environment.resolve("ledger") == "ledger"
    assert environment.ledger() is None
