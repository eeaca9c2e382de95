"""toxiproxy-python's words on our transport: suites that use its `Toxiproxy` and `Proxy` go on as they are, without its traps.

The objects are instances of its classes, with the same method names and defaults. What differs: each object has its own server,
calls end in time, a failed call is an error of both families, and what is sent is checked. Importing this loads `requests`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence

import toxiproxy
import toxiproxy.exceptions
from toxiproxy.toxic import Toxic as StoredToxic

from chaoskit.environments import toxiproxy_wire as ours
from chaoskit.environments.toxics import toxic
from chaoskit.environments.toxiproxy import wanted
from chaoskit.environments.toxiproxy_wire import CALL_S, ToxiproxyError, Wire, proxy_path, toxic_path


class ProxyExists(ours.ProxyExists, toxiproxy.exceptions.ProxyExists):  # type: ignore[misc]  # its library is untyped
    """A proxy or toxic of this name is there. Choose another name or remove it first."""


class NotFound(ours.ProxyMissing, toxiproxy.exceptions.NotFound):  # type: ignore[misc]
    """No proxy or toxic of this name is there. Create it first."""


class InvalidToxic(ours.InvalidRequest, toxiproxy.exceptions.InvalidToxic):  # type: ignore[misc]
    """The server did not understand the request. The text says why."""


class Toxiproxy(toxiproxy.Toxiproxy):  # type: ignore[misc]
    """One server. Unlike the original, two of these in one process may mean two servers."""

    def __init__(self, host: str = "127.0.0.1", port: int = 8474, *, timeout_s: float = CALL_S) -> None:
        self._wire = Wire(host, port, timeout_s=timeout_s)

    def proxies(self) -> dict[str, Proxy]:
        with _both_families():
            return {name: self._proxy(data) for name, data in self._wire.call("GET", "/proxies").items()}

    def get_proxy(self, proxy_name: str) -> Proxy | None:
        """The proxy, None if there is none of this name."""
        try:
            return self._proxy(self._wire.call("GET", proxy_path(proxy_name)))
        except ours.ProxyMissing:
            return None

    def running(self) -> bool:
        """Whether the server answers. It may still be wedged; reading a proxy shows that."""
        try:
            self._wire.call("GET", "/version")
        except ours.ToxiproxyUnreachable:
            return False
        return True

    def version(self) -> str | None:
        """The server's version as text, None when it does not run."""
        return str(self._wire.call("GET", "/version").get("version", "")) if self.running() else None

    def reset(self) -> bool:
        with _both_families():
            self._wire.call("POST", "/reset")
        return True

    def create(self, upstream: str, name: str, listen: str | None = None, enabled: bool | None = None) -> Proxy:
        proxy_path(name)  # refuses a name that could never be removed again
        body = {"upstream": upstream, "name": name, "listen": listen or "127.0.0.1:0", "enabled": enabled is not False}
        with _both_families():
            return self._proxy(self._wire.call("POST", "/proxies", body))

    def destroy(self, proxy: Proxy) -> bool:
        return proxy.destroy()

    def destroy_all(self) -> None:
        for proxy in self.proxies().values():
            proxy.destroy()

    def populate(self, proxies: Sequence[Mapping[str, str]]) -> list[Proxy]:
        """Create or replace proxies so that they are as given. Returns all of them, not only the new ones."""
        populated = []
        for wish in proxies:
            existing = self.get_proxy(wish["name"])
            listen = wish.get("listen")
            if existing is not None and existing.upstream == wish["upstream"] and listen in {None, existing.listen}:
                populated.append(existing)
                continue
            if existing is not None:
                existing.destroy()
            populated.append(self.create(**wish))  # type: ignore[arg-type]  # its `enabled` is the only one that is no text
        return populated

    def update_api_consumer(self, host: str, port: int) -> None:
        """Talk to another server from now on: this object alone, and the proxies that it gives out from now on."""
        self._wire = Wire(host, port, timeout_s=self._wire.timeout_s)

    def _proxy(self, data: object) -> Proxy:
        assert isinstance(data, dict)
        return Proxy(self._wire, **data)


class Proxy(toxiproxy.Proxy):  # type: ignore[misc]
    """One proxy as it was when it was read."""

    def __init__(self, wire: Wire, **values: object) -> None:
        super().__init__(**values)
        self._wire = wire

    def __repr__(self) -> str:
        return f"Proxy({self.name}, {self.listen} -> {self.upstream}, {'enabled' if self.enabled else 'disabled'})"

    @contextlib.contextmanager
    def down(self) -> Iterator[Proxy]:
        """Disabled for the length of the block, then as it was. An error of the block stays the first one."""
        with _both_families():
            before = bool(self._wire.call("GET", proxy_path(self.name))["enabled"])
        self.disable()
        try:
            yield self
        except BaseException as error:
            try:
                self._switch(enabled=before)
            except ToxiproxyError as second:
                error.add_note(f"and {self.name} was not put back: {second}")
            raise
        self._switch(enabled=before)

    def toxics(self) -> dict[str, StoredToxic]:
        with _both_families():
            rows = self._wire.call("GET", proxy_path(self.name))["toxics"]
        assert isinstance(rows, list)
        return {row["name"]: StoredToxic(**row, proxy=self.name) for row in rows}

    def get_toxic(self, toxic_name: str) -> StoredToxic | None:
        return self.toxics().get(toxic_name)

    def add_toxic(
        self,
        *,
        type: str,  # noqa: A002 – the library's word
        stream: str = "downstream",
        name: str = "",
        toxicity: float = 1.0,
        attributes: Mapping[str, int] | None = None,
    ) -> StoredToxic:
        """Add a toxic; misspelt words are refused. Returns what the server stored."""
        asked = toxic(type, stream=stream, toxicity=toxicity, name=name, attributes=attributes)
        with _both_families():
            stored = self._wire.call("POST", f"{proxy_path(self.name)}/toxics", wanted(asked))
        if not asked.is_stored_as(stored):
            raise ours.NotAsAsked(f"{self._wire}: {wanted(asked)} was asked for and {stored} was stored")
        return StoredToxic(**stored)

    def destroy_toxic(self, toxic_name: str) -> bool:
        with _both_families():
            self._wire.call("DELETE", toxic_path(self.name, toxic_name))
        return True

    def destroy(self) -> bool:
        with _both_families():
            self._wire.call("DELETE", proxy_path(self.name))
        return True

    def disable(self) -> None:
        self._switch(enabled=False)

    def enable(self) -> None:
        self._switch(enabled=True)

    def _switch(self, *, enabled: bool) -> None:
        with _both_families():
            stored = self._wire.call("POST", proxy_path(self.name), {"enabled": enabled})
        self.enabled = bool(stored["enabled"])  # as the server confirmed it


@contextlib.contextmanager
def _both_families() -> Iterator[None]:
    """Errors that toxiproxy-python's users already catch, and ours at once."""
    try:
        yield
    except (ours.ProxyExists, ours.ToxicExists) as error:
        raise ProxyExists(str(error), status=error.status, text=error.text) from error
    except (ours.ProxyMissing, ours.ToxicMissing) as error:
        raise NotFound(str(error), status=error.status, text=error.text) from error
    except ours.InvalidRequest as error:
        raise InvalidToxic(str(error), status=error.status, text=error.text) from error
