"""toxiproxy-python's own words, on our transport: what its users write works, and what bit them does not."""

import socket

import pytest
import toxiproxy
import toxiproxy.exceptions

from chaoskit.environments.ports import HOST
from chaoskit.environments.toxiproxy_vocabulary import Proxy, Toxiproxy
from chaoskit.environments.toxiproxy_wire import CannotListen, ToxiproxyError, ToxiproxyUnreachable
from chaoskit.model.errors import UsageError


@pytest.fixture
def toxi(server):
    return Toxiproxy(HOST, server.port)


@pytest.fixture
def proxy(toxi, echoing):
    return toxi.create(upstream=echoing, name="p")


def test_objects_are_those_of_the_library(toxi, proxy):
    assert isinstance(toxi, toxiproxy.Toxiproxy)
    assert isinstance(proxy, toxiproxy.Proxy)
    assert proxy.enabled
    assert repr(proxy).startswith(f"Proxy(p, {HOST}:")


def test_what_its_users_write_works(toxi, proxy):
    assert toxi.running()
    assert toxi.version() == "2.12.0"
    proxy.add_toxic(type="latency", attributes={"latency": 100, "jitter": 10})
    assert proxy.get_toxic("latency_downstream").attributes == {"latency": 100, "jitter": 10}
    assert set(proxy.toxics()) == {"latency_downstream"}
    proxy.destroy_toxic("latency_downstream")
    assert proxy.get_toxic("latency_downstream") is None
    with proxy.down():
        assert not toxi.get_proxy("p").enabled
    assert toxi.get_proxy("p").enabled
    assert set(toxi.proxies()) == {"p"}
    assert toxi.reset()
    toxi.destroy_all()
    assert toxi.get_proxy("p") is None


def test_down_leaves_a_disabled_proxy_disabled(toxi, proxy):
    proxy.disable()
    with proxy.down():
        pass
    assert not toxi.get_proxy("p").enabled


def test_populate_returns_every_proxy(toxi, proxy, echoing):
    wishes = [{"name": "p", "upstream": echoing}, {"name": "q", "upstream": echoing, "listen": f"{HOST}:0"}]
    assert [one.name for one in toxi.populate(wishes)] == ["p", "q"]
    moved = toxi.populate([{"name": "p", "upstream": f"{HOST}:9", "listen": proxy.listen}])
    assert [(one.upstream, one.listen) for one in moved] == [(f"{HOST}:9", proxy.listen)]


def test_each_object_has_its_own_server(servers, echoing):
    one, two = (Toxiproxy(HOST, servers().port) for _ in range(2))
    one.create(upstream=echoing, name="p")
    assert two.proxies() == {}
    two.update_api_consumer(HOST, one.create(upstream=echoing, name="q")._wire.port)
    assert set(two.proxies()) == {"p", "q"}
    assert (toxiproxy.api.APIConsumer.host, toxiproxy.api.APIConsumer.port) == ("127.0.0.1", 8474)


def test_a_misspelt_attribute_is_refused(proxy):
    with pytest.raises(UsageError, match="Did you mean 'latency'"):
        proxy.add_toxic(type="latency", attributes={"latncy": 100})
    with pytest.raises(TypeError):
        proxy.add_toxic(type="latency", atributes={"latency": 100})
    assert proxy.toxics() == {}


@pytest.mark.parametrize("family", [ToxiproxyError, toxiproxy.exceptions.ProxyExists])
def test_errors_belong_to_both_families(toxi, proxy, family, echoing):
    with pytest.raises(family):
        toxi.create(upstream=echoing, name="p")


def test_failures_that_the_library_takes_for_success_are_errors(toxi, proxy, echoing, server):
    proxy.disable()
    with socket.create_server((HOST, int(proxy.listen.split(":")[1]))), pytest.raises(CannotListen):
        proxy.enable()
    assert not proxy.enabled
    with pytest.raises(CannotListen, match="address already in use"):
        toxi.create(upstream=echoing, name="q", listen=echoing)
    proxy.destroy()
    with pytest.raises(toxiproxy.exceptions.NotFound):
        proxy.destroy()
    server.stop()
    assert not toxi.running()
    assert toxi.version() is None
    with pytest.raises(ToxiproxyUnreachable):
        toxi.reset()


def test_a_snapshot_of_the_same_server_is_a_proxy_too(toxi, proxy):
    assert isinstance(toxi.get_proxy("p"), Proxy)
    assert toxi.destroy(toxi.get_proxy("p"))
