"""A link of the process environment: one proxy for each port that the client calls."""

from __future__ import annotations

import time
from dataclasses import dataclass

from chaoskit.environments.hello import Address, answer_s
from chaoskit.environments.toxics import Latency, Stream, Timeout, Toxic
from chaoskit.environments.toxiproxy import Toxiproxy
from chaoskit.environments.toxiproxy_wire import ToxiproxyError
from chaoskit.model.errors import CannotHeal, CannotInject, UsageError
from chaoskit.model.topology import LinkSpec

STREAMS = {
    "both": (Stream.UPSTREAM, Stream.DOWNSTREAM),
    "requests": (Stream.UPSTREAM,),
    "answers": (Stream.DOWNSTREAM,),
}


def link_name(spec: LinkSpec) -> str:
    return f"{spec.client} -> {spec.service}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortProxy:
    """The proxy of one port of a link. `address` is where the client calls it."""

    name: str
    address: Address
    hello: bytes


class ProcessLink:
    """The way from a client to a service through Toxiproxy. `answer_s` may be called from any thread.

    `cut` swallows data on connections that stay open; `restore` ends the connections that are there: clients must connect anew.
    """

    def __init__(self, spec: LinkSpec, proxies: tuple[PortProxy, ...], toxiproxy: Toxiproxy) -> None:
        self._name = link_name(spec)
        self._proxies = proxies
        self._toxiproxy = toxiproxy

    def __repr__(self) -> str:
        return f"ProcessLink({self.name})"

    @property
    def name(self) -> str:
        return self._name

    def cut(self, *, direction: str) -> None:
        self._add(tuple(Timeout(stream=stream, timeout_ms=0) for stream in self._streams(direction)))

    def slow(self, *, latency_s: float, jitter_s: float, direction: str) -> None:
        latency_ms, jitter_ms = round(latency_s * 1000), round(jitter_s * 1000)
        self._add(tuple(Latency(stream=one, latency_ms=latency_ms, jitter_ms=jitter_ms) for one in self._streams(direction)))

    def restore(self) -> None:
        problems = []
        for proxy in self._proxies:
            try:
                if not self._is_clean(proxy):
                    self._toxiproxy.heal(proxy.name)
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

    def _is_clean(self, proxy: PortProxy) -> bool:
        """Whether there is nothing to undo, so that no connection need end. A server that does not say so counts as not clean."""
        try:
            state = self._toxiproxy.read(proxy.name)
        except ToxiproxyError:
            return False
        return state.enabled and not state.toxics and not state.foreign

    def _add(self, toxics: tuple[Toxic, ...]) -> None:
        for proxy in self._proxies:
            for toxic in toxics:
                try:
                    self._toxiproxy.add(proxy.name, toxic)
                except ToxiproxyError as error:
                    raise CannotInject(f"link {self.name}: {error}") from error

    def _streams(self, direction: str) -> tuple[Stream, ...]:
        if direction not in STREAMS:
            raise UsageError(f"link {self.name}: direction {direction!r} was given; expected one of {', '.join(STREAMS)}")
        return STREAMS[direction]
