"""Toxiproxy's control, one server per object: every call has a deadline, every refusal is an error, every toxic is read back.

Removing a latency toxic from a connection whose client has stopped reading blocks the server's control for ever, while `/version`
still answers. So healing disables the proxy first, and health is judged by reading our own proxies by name.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from chaoskit.environments.toxics import Toxic
from chaoskit.environments.toxiproxy_wire import (
    CALL_S,
    NotAsAsked,
    ProxyMissing,
    ToxicMissing,
    ToxiproxyError,
    Wire,
    proxy_path,
    toxic_path,
)
from chaoskit.model.errors import CannotHeal, ChaoskitError


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyState:
    """One proxy. `toxics` are as we ask for them; those that somebody else added are in `foreign`, by name."""

    name: str
    listen: str
    upstream: str
    enabled: bool = True
    toxics: tuple[Toxic, ...] = ()
    foreign: tuple[str, ...] = ()


class Toxiproxy:
    """The proxies of one server. Calls may come from any thread and block up to *timeout_s* each.

    It keeps a record of every proxy it created, so that `heal` can put back a wedged proxy, and after *restart* a whole server.
    What is done to one proxy waits for nothing that is done to another one.
    """

    def __init__(self, host: str, port: int, *, timeout_s: float = CALL_S, restart: Callable[[], None] | None = None) -> None:
        self.wire = Wire(host, port, timeout_s=timeout_s)
        self._restart = restart
        self._records: dict[str, ProxyState] = {}
        self._locks: dict[str, threading.RLock] = {}
        self._restarting = threading.Lock()
        self._restarts = 0

    def __repr__(self) -> str:
        return f"Toxiproxy({self.wire.host}:{self.wire.port}, {', '.join(map(describe, self._records.values())) or 'no proxies'})"

    def version(self) -> str:
        """What the server says of itself; builds of its source without a version say `git`. No sign of health."""
        return str(self.wire.call("GET", "/version").get("version", ""))

    def create(self, name: str, *, listen: str, upstream: str, toxics: tuple[Toxic, ...] = (), enabled: bool = True) -> ProxyState:
        """Create a proxy: disabled, then its toxics, then enabled, so that no connection slips past them."""
        with self._locked(name):
            state = ProxyState(name=name, listen=listen, upstream=upstream, enabled=enabled, toxics=toxics)
            stored = self._create(state)
            self._records[name] = stored
            return stored

    def adopt(self, name: str, *, listen: str, upstream: str) -> None:
        """Take a proxy for ours that another process created. What is on it now may be a fault of theirs, and is not asked for."""
        self._records[name] = ProxyState(name=name, listen=listen, upstream=upstream)

    def made(self, name: str) -> ProxyState:
        """A proxy of ours, with what it should have. Asks no server."""
        return self._record(name)

    def delete(self, name: str) -> None:
        """Remove a proxy; that it is gone already is as good."""
        with self._locked(name):
            self._records.pop(name, None)
            with contextlib.suppress(ProxyMissing):
                self.wire.call("DELETE", proxy_path(name))

    def read(self, name: str) -> ProxyState:
        """What the server has now. This answering in time is what healthy means."""
        return self._look(name)

    def enable(self, name: str) -> ProxyState:
        """Listen again. Raises `CannotListen` when somebody has taken the port meanwhile."""
        return self._switch(name, enabled=True)

    def disable(self, name: str) -> ProxyState:
        """Close all connections and refuse new ones."""
        return self._switch(name, enabled=False)

    def add(self, name: str, toxic: Toxic) -> ProxyState:
        """Add a toxic to an enabled proxy and read it back. Live connections feel it, too."""
        with self._locked(name):
            stored = self.wire.call("POST", f"{proxy_path(name)}/toxics", wanted(toxic))
            return self._keep(name, toxic, stored)

    def update(self, name: str, toxic: Toxic) -> ProxyState:
        """Change the toxicity and attributes of the toxic of the same name. Its share of connections is drawn anew."""
        with self._locked(name):
            body = {"toxicity": toxic.toxicity, "attributes": toxic.attributes}
            stored = self.wire.call("PATCH", toxic_path(name, toxic.name), body)
            return self._keep(name, toxic, stored)

    def remove(self, name: str, toxic: str) -> None:
        """Remove one toxic from a live proxy; that it is gone already is as good. May wedge the server: prefer `heal`."""
        with self._locked(name):
            with contextlib.suppress(ToxicMissing):
                self.wire.call("DELETE", toxic_path(name, toxic))
            record = self._records.get(name)
            if record is not None:
                self._records[name] = replace(record, toxics=tuple(one for one in record.toxics if one.name != toxic))

    def heal(self, name: str) -> ProxyState:
        """Take every toxic off a proxy of ours, and verify it. Its connections end; enabled or not, it stays as it was.

        When the server does not do it in time, the proxy is replaced by an equal one; when that fails, the server is restarted and
        every proxy is created anew with the toxics it still should have. Raises `CannotHeal` after all that.
        """
        with self._locked(name):
            record = replace(self._record(name), toxics=(), foreign=())
            self._records[name] = record
            problems: list[str] = []
            restarts = self._restarts
            for way in (self._take_off, self._replace, lambda one: self._start_over(one, restarts)):
                try:
                    way(record)
                    return self._verify(record)
                except ToxiproxyError as error:
                    problems.append(str(error))
            raise CannotHeal(f"proxy {name} of {self.wire}: its toxics may still be there: {'; '.join(problems)}. End the server.")

    @contextlib.contextmanager
    def toxic(self, name: str, toxic: Toxic) -> Iterator[ProxyState]:
        """A toxic for the length of a `with` block, then the proxy is healed. An error of the block stays the first one."""
        yield from self._during(name, lambda: self.add(name, toxic), lambda: self.heal(name))

    @contextlib.contextmanager
    def down(self, name: str) -> Iterator[ProxyState]:
        """The proxy disabled for the length of a `with` block, then as before."""
        before = self.read(name).enabled
        yield from self._during(name, lambda: self.disable(name), lambda: self._switch(name, enabled=before))

    def _during(self, name: str, inject: Callable[[], ProxyState], undo: Callable[[], object]) -> Iterator[ProxyState]:
        try:
            yield inject()
        except BaseException as error:
            try:
                undo()
            except ChaoskitError as second:
                error.add_note(f"and {name} was not put back: {second}")
            raise
        undo()

    def _locked(self, name: str) -> threading.RLock:
        return self._locks.setdefault(name, threading.RLock())

    def _record(self, name: str) -> ProxyState:
        if name not in self._records:
            raise ProxyMissing(f"{self.wire}: proxy {name!r} was not created here; known are {sorted(self._records)}")
        return self._records[name]

    def _create(self, state: ProxyState) -> ProxyState:
        body = {"name": state.name, "listen": state.listen, "upstream": state.upstream, "enabled": False}
        proxy_path(state.name)  # refuses a name that could never be removed again
        self.wire.call("POST", "/proxies", body)
        try:
            for toxic in state.toxics:
                self.wire.call("POST", f"{proxy_path(state.name)}/toxics", wanted(toxic))
            if state.enabled:
                self.wire.call("PATCH", proxy_path(state.name), {"enabled": True})
            if state.listen.endswith(":0"):  # the server has chosen, and when created anew it must listen there again
                state = replace(state, listen=self.read(state.name).listen)
            return self._verify(state)
        except ToxiproxyError:
            with contextlib.suppress(ToxiproxyError):  # the error above is the one to tell
                self.wire.call("DELETE", proxy_path(state.name))
            raise

    def _switch(self, name: str, *, enabled: bool) -> ProxyState:
        with self._locked(name):
            stored = self._state(self.wire.call("PATCH", proxy_path(name), {"enabled": enabled}))
            if stored.enabled is not enabled:
                raise NotAsAsked(f"{self.wire}: proxy {name} was to be {'enabled' if enabled else 'disabled'} and is not")
            if name in self._records:
                self._records[name] = replace(self._records[name], enabled=enabled)
            return stored

    def _keep(self, name: str, toxic: Toxic, stored: Mapping[str, object]) -> ProxyState:
        if not toxic.is_stored_as(stored):
            raise NotAsAsked(f"{self.wire}: proxy {name}: {wanted(toxic)} was asked for and {stored} was stored")
        record = self._records.get(name)
        if record is not None:
            others = tuple(one for one in record.toxics if one.name != toxic.name)
            record = self._records[name] = replace(record, toxics=(*others, toxic))
        state = self._look(name, known=(toxic,))
        if toxic not in state.toxics or (record is not None and record.enabled and not state.enabled):
            raise NotAsAsked(f"{self.wire}: after {toxic.name} was added, the proxy is {describe(state)}")
        if record is not None:  # another process may have healed it since
            self._records[name] = replace(record, enabled=state.enabled, toxics=state.toxics)
        return state

    def _take_off(self, record: ProxyState) -> None:
        path = proxy_path(record.name)
        self.wire.call("PATCH", path, {"enabled": False})
        state = self.read(record.name)
        for name in (*(toxic.name for toxic in state.toxics), *state.foreign):
            with contextlib.suppress(ToxicMissing):
                self.wire.call("DELETE", toxic_path(record.name, name))
        if record.enabled:
            self.wire.call("PATCH", path, {"enabled": True})

    def _replace(self, record: ProxyState) -> None:
        with contextlib.suppress(ProxyMissing):
            self.wire.call("DELETE", proxy_path(record.name))
        self._create(record)

    def _start_over(self, record: ProxyState, restarts: int) -> None:
        """Restart the server, unless somebody has done so since there were that many restarts: then only this proxy is replaced."""
        if self._restart is None:
            raise ToxiproxyError("nobody here can restart this server")
        with self._restarting:
            if self._restarts != restarts:
                self._replace(record)
                return
            self._restart()
            self._restarts += 1
            for one in tuple(self._records.values()):
                self._replace(one)

    def _verify(self, asked: ProxyState) -> ProxyState:
        stored = self._look(asked.name, known=asked.toxics)
        if replace(stored, toxics=()) != replace(asked, toxics=()) or set(stored.toxics) != set(asked.toxics):
            raise NotAsAsked(f"{self.wire}: {describe(asked)} was asked for and {describe(stored)} is there")
        return stored

    def _look(self, name: str, *, known: tuple[Toxic, ...] = ()) -> ProxyState:
        return self._state(self.wire.call("GET", proxy_path(name)), known=known)

    def _state(self, data: Mapping[str, object], known: tuple[Toxic, ...] = ()) -> ProxyState:
        """What the server sent, with its toxics recognised as ours where every value is the same."""
        name, rows = str(data["name"]), data.get("toxics") or []
        assert isinstance(rows, list)
        record = self._records.get(name)
        ours = (*(record.toxics if record else ()), *known)
        toxics: dict[str, Toxic] = {}
        foreign = []
        for row in rows:
            toxic = next((one for one in ours if one.is_stored_as(row)), None)
            if toxic is None:
                foreign.append(str(row["name"]))
            else:
                toxics[toxic.name] = toxic
        return ProxyState(
            name=name,
            listen=str(data["listen"]),
            upstream=str(data["upstream"]),
            enabled=bool(data["enabled"]),
            toxics=tuple(toxics.values()),
            foreign=tuple(foreign),
        )


def wanted(toxic: Toxic) -> dict[str, object]:
    """The toxic as it is sent."""
    return {
        "name": toxic.name,
        "type": toxic.type,
        "stream": toxic.stream.value,
        "toxicity": toxic.toxicity,
        "attributes": toxic.attributes,
    }


def describe(state: ProxyState) -> str:
    toxics = ", ".join((*(toxic.name for toxic in state.toxics), *(f"foreign {name}" for name in state.foreign))) or "no toxics"
    return f"{state.name} ({state.listen} -> {state.upstream}, {'enabled' if state.enabled else 'disabled'}, {toxics})"
