"""A link of an environment that has a Toxiproxy: one proxy for each port that the client calls."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from chaoskit.environments.hello import Address, answer_s, look
from chaoskit.environments.toxics import Bandwidth, Latency, ResetPeer, Stall, Stream, Timeout, Toxic
from chaoskit.environments.toxiproxy import Toxiproxy
from chaoskit.environments.toxiproxy_wire import ProxyMissing, ToxiproxyError, ToxiproxyUnreachable
from chaoskit.model.errors import CannotHeal, CannotInject, UsageError
from chaoskit.model.protocols import Undo
from chaoskit.model.topology import LinkSpec

STREAMS = {
    "both": (Stream.UPSTREAM, Stream.DOWNSTREAM),
    "requests": (Stream.UPSTREAM,),
    "answers": (Stream.DOWNSTREAM,),
}


CAPABILITIES = frozenset({"kill", "pause", "cut", "slow", "refuse", "reset", "stall", "throttle"})
"""What every environment with such links can do, with killing and pausing its services."""


def link_name(spec: LinkSpec) -> str:
    return f"{spec.client} -> {spec.service}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortProxy:
    """The proxy of one port of a link. `address` is where the client calls it."""

    name: str
    address: Address
    hello: bytes


class ProxyLink:
    """The way from a client to a service through Toxiproxy. `answer_s` may be called from any thread.

    `cut` swallows data on connections that stay open; `restore` ends the connections that are there: clients must connect anew.
    Only after a `stall` they go on. One that `is_lasting` outlives this process, so its `handle` says how another one finds it.
    """

    def __init__(self, spec: LinkSpec, proxies: tuple[PortProxy, ...], toxiproxy: Toxiproxy, *, is_lasting: bool = False) -> None:
        self._name = link_name(spec)
        self._proxies = proxies
        self._toxiproxy = toxiproxy
        self._is_lasting = is_lasting

    def __repr__(self) -> str:
        return f"ProxyLink({self.name})"

    @property
    def handle(self) -> Mapping[str, str]:
        if not self._is_lasting:
            return {}
        wire, made = self._toxiproxy.wire, (self._toxiproxy.made(proxy.name) for proxy in self._proxies)
        return {
            "toxiproxy": f"{wire.host}:{wire.port}",
            "proxies": json.dumps([(one.name, one.listen, one.upstream) for one in made]),
        }

    @property
    def name(self) -> str:
        return self._name

    def cut(self, *, direction: str) -> None:
        self._add(tuple(Timeout(stream=stream, timeout_ms=0) for stream in self._streams(direction)))

    def slow(self, *, latency_s: float, jitter_s: float, direction: str) -> None:
        latency_ms, jitter_ms = round(latency_s * 1000), round(jitter_s * 1000)
        self._add(tuple(Latency(stream=one, latency_ms=latency_ms, jitter_ms=jitter_ms) for one in self._streams(direction)))

    def refuse(self) -> None:
        self._each(lambda proxy: self._toxiproxy.disable(proxy.name))

    def reset(self) -> None:
        self._add((ResetPeer(stream=Stream.UPSTREAM),))
        # A connection that was there before the toxic would stay until its next byte.
        self._each(lambda proxy: self._toxiproxy.disable(proxy.name))
        self._each(lambda proxy: self._toxiproxy.enable(proxy.name))

    def stall(self, *, direction: str) -> None:
        self._add(tuple(Stall(stream=stream) for stream in self._streams(direction)))

    def throttle(self, *, bytes_per_s: int, direction: str) -> None:
        rate_kb_per_s = max(1, round(bytes_per_s / 1000))  # the server counts in thousands
        self._add(tuple(Bandwidth(stream=stream, rate_kb_per_s=rate_kb_per_s) for stream in self._streams(direction)))

    def restore(self) -> None:
        problems = []
        for proxy in self._proxies:
            try:
                if not self._is_clean(proxy):
                    self._release(proxy)
            except (CannotHeal, ToxiproxyError) as error:
                problems.append(str(error))
        if problems:
            raise CannotHeal(f"link {self.name}: {'; '.join(problems)}")

    def answer_s(self, *, timeout_s: float) -> float | None:
        deadline = time.monotonic() + timeout_s
        slowest = 0.0
        for proxy in self._proxies:
            answered = answer_s(proxy.address, proxy.hello, timeout_s=max(0.001, deadline - time.monotonic()))
            if answered is None:
                return None
            slowest = max(slowest, answered)
        return slowest

    def look(self, *, timeout_s: float) -> str:
        """The worst word of its ports, so that one healthy port does not hide another's trouble."""
        words = [look(proxy.address, proxy.hello, timeout_s=timeout_s / len(self._proxies)) for proxy in self._proxies]
        return next((word for word in words if word != "answered"), "answered")

    def _release(self, proxy: PortProxy) -> None:
        """Take everything off. What is only stalled is let go on live connections; where that does not work, they end, too."""
        with contextlib.suppress(ToxiproxyError):
            state = self._toxiproxy.read(proxy.name)
            if state.enabled and not state.foreign and all(isinstance(toxic, Stall) for toxic in state.toxics):
                for toxic in state.toxics:
                    self._toxiproxy.remove(proxy.name, toxic.name)
                if self._is_clean(proxy):
                    return
        self._toxiproxy.heal(proxy.name)
        self._toxiproxy.enable(proxy.name)  # healing leaves a proxy that refuses as it is

    def _is_clean(self, proxy: PortProxy) -> bool:
        """Whether there is nothing to undo, so that no connection need end. A server that does not say so counts as not clean."""
        try:
            state = self._toxiproxy.read(proxy.name)
        except ToxiproxyError:
            return False
        return state.enabled and not state.toxics and not state.foreign

    def _add(self, toxics: tuple[Toxic, ...]) -> None:
        for toxic in toxics:
            self._each(lambda proxy, toxic=toxic: self._toxiproxy.add(proxy.name, toxic))  # type: ignore[misc]  # bound now

    def _each(self, act: Callable[[PortProxy], object]) -> None:
        for proxy in self._proxies:
            try:
                act(proxy)
            except ToxiproxyError as error:
                raise CannotInject(f"link {self.name}: {error}") from error

    def _streams(self, direction: str) -> tuple[Stream, ...]:
        if direction not in STREAMS:
            raise UsageError(f"link {self.name}: direction {direction!r} was given; expected one of {', '.join(STREAMS)}")
        return STREAMS[direction]


def restore_from(undo: Undo) -> str:
    """Undo what a lasting link suffers, from a `restore` alone. Returns what was done, in words. Raises `CannotHeal`."""
    host, _, port = undo.details["toxiproxy"].rpartition(":")
    toxiproxy, proxies = Toxiproxy(host, int(port)), []
    for name, listen, upstream in json.loads(undo.details["proxies"]):
        try:
            found = toxiproxy.read(name)
        except ProxyMissing:
            continue
        except ToxiproxyUnreachable as error:
            if not isinstance(error.__cause__, ConnectionRefusedError):  # somebody listens, and may only be wedged
                raise CannotHeal(f"link {undo.target}: {error}") from error
            continue
        if (found.listen, found.upstream) == (listen, upstream):  # else it is another environment's, at the same port by now
            toxiproxy.adopt(name, listen=listen, upstream=upstream)
            proxies.append(PortProxy(name=name, address=(host, 0), hello=b""))
    if not proxies:
        return f"nothing left to undo: the proxies of {undo.target} are gone"
    client, _, service = undo.target.partition(" -> ")
    ProxyLink(LinkSpec(client=client, service=service, ports=()), tuple(proxies), toxiproxy).restore()
    return f"restored {undo.target}"
