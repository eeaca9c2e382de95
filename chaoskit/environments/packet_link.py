"""A link as packets see it: rules in the network namespace of the container that calls, below any proxy.

What is dropped there is sent again by TCP, so a connection that was open before goes on after it: the honest partition. Where the
caller is no container (customers), the rules stand at the door that only such callers use: that of their proxy.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chaoskit.environments import namespace as kernel
from chaoskit.environments.container_process import present_pid, running_pid
from chaoskit.environments.hello import Address, look
from chaoskit.environments.namespace import CommandFailed, Match, Namespace
from chaoskit.model.containers import PacketCount, PacketRule
from chaoskit.model.errors import CannotInject, UsageError
from chaoskit.model.protocols import Undo

if TYPE_CHECKING:
    from docker.models.containers import Container

DIRECTIONS = ("both", "requests", "answers")
VERDICTS = {"drop": ("DROP",), "refuse": ("REJECT", "--reject-with", "tcp-reset")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One port of a link as the container with the rules sees it: *number* is the port on the side that is called.

    `peer` is the IPv4 address of the other side (of the proxy, where there is one), "" for everybody. `is_caller` says whether the
    container calls `peer:number`, or is called there by it; then `door` is where a hello meets the rules from here.
    """

    port: str
    peer: str
    number: int
    hello: bytes
    is_caller: bool = True
    door: Address | None = None


class ContainerPackets:
    """The packets of one link; this is a `PacketLink`. All its flows are seen from one *container*. `look` is for any thread."""

    def __init__(self, name: str, container: Container, flows: tuple[Flow, ...], *, run: str) -> None:
        for flow in flows:
            if ":" in flow.peer:
                raise UsageError(f"link {name}: {flow.peer} is an IPv6 address; only IPv4 can be filtered here")
            if flow.is_caller and not flow.peer:
                raise UsageError(f"link {name}: a caller's flow was given without the address that it calls")
        self._name = name
        self._container = container
        self._flows = flows
        self._run = run

    def __repr__(self) -> str:
        return f"ContainerPackets({self.name}, in {self._container.name})"

    @property
    def name(self) -> str:
        return self._name

    def undo_of(self, rule: PacketRule) -> Undo:
        self._matches(rule)
        running_pid(self._container)
        tag = f"{self._run} {self.name} {rule} {secrets.token_hex(8)}"  # two faults of a kind at once must not share chains
        return Undo(
            verb="unfilter",
            target=self.name,
            details={"container": self._container.id, "chain": kernel.chain_name(tag)},
        )

    def filter(self, rule: PacketRule, undo: Undo) -> None:
        matches = self._matches(rule)
        try:
            kernel.apply(
                Namespace(running_pid(self._container)),
                undo.details["chain"],
                matches,
                verdict=VERDICTS[rule.act],
                comment=f"chaoskit run={self._run}",
                share=rule.share,
            )
        except CommandFailed as error:
            raise CannotInject(f"link {self.name}: in the namespace of container {self._container.name}: {error}") from error

    def count(self, undo: Undo) -> PacketCount | None:
        pid = present_pid(self._container)
        return None if pid is None else kernel.count(Namespace(pid), undo.details["chain"])

    def look(self, *, port: str, timeout_s: float) -> str:
        """The worst word of its ports, so that one healthy port does not hide another's trouble."""
        flows = self._of(port)
        pid = present_pid(self._container)
        if pid is None:
            return f"container {self._container.name} does not run"
        each_s = timeout_s / len(flows)
        called = [flow for flow in flows if flow.is_caller]
        words = Namespace(pid).do(lambda: [look((flow.peer, flow.number), flow.hello, timeout_s=each_s) for flow in called])
        words += [look(flow.door, flow.hello, timeout_s=each_s) for flow in flows if flow.door is not None and not flow.is_caller]
        return next((word for word in words if word != "answered"), "answered" if words else "")

    def _matches(self, rule: PacketRule) -> tuple[Match, ...]:
        if rule.direction not in DIRECTIONS or rule.act not in VERDICTS:
            raise UsageError(f"link {self.name}: {rule} was given; expected one of {', '.join(DIRECTIONS)} and of drop, refuse")
        matches = []
        for flow in self._of(rule.port):
            if rule.direction != "answers":
                matches.append(_match(flow, is_request=True, flags=("--syn",) if rule.only_new else ()))
            # A refused request has no answer to refuse. A connection without its first packet is none, but for one-way rules.
            if rule.act == "drop" and (rule.direction == "answers" or (rule.direction == "both" and not rule.only_new)):
                flags = ("--tcp-flags", "SYN,ACK", "SYN,ACK") if rule.only_new else ()
                matches.append(_match(flow, is_request=False, flags=flags))
        return tuple(matches)

    def _of(self, port: str) -> tuple[Flow, ...]:
        flows = tuple(flow for flow in self._flows if port in {"", flow.port})
        if not flows:
            known = ", ".join(flow.port for flow in self._flows)
            raise CannotInject(f"link {self.name}: {port!r} is not a port of this link; expected one of {known}")
        return flows


def _match(flow: Flow, *, is_request: bool, flags: tuple[str, ...]) -> Match:
    """The packets of one direction. A request leaves the caller and arrives at the one that is called."""
    is_leaving = is_request is flow.is_caller
    address = ("-d" if is_leaving else "-s", flow.peer) if flow.peer else ()
    number = ("--dport" if is_request else "--sport", str(flow.number))
    return Match(hook="OUTPUT" if is_leaving else "INPUT", words=("-p", "tcp", *address, *number, *flags))
