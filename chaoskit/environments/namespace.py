"""Rules in a container's network namespace, put there from the host: nothing is needed inside the container.

Each fault has chains of its own, named by a hash and commented with the run, so that undoing it is "unhook, flush, delete" of
exactly these, also by another process and twice. A container that restarts gets a new namespace: its rules are gone with the old
one. Only IPv4 is filtered.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from chaoskit.model.containers import PacketCount
from chaoskit.model.errors import ChaoskitError

T = TypeVar("T")

COMMAND_S = 10.0  # a command takes 5 ms; on a machine with a load of 50 it was seen to take 0.14 s
LOCK_S = "5"  # how long iptables waits while somebody else, such as the engine, holds its lock
HOOKS = {"INPUT": "i", "OUTPUT": "o"}
CLONE_NEWNET = 0x40000000  # linux/sched.h


class CommandFailed(ChaoskitError):
    """A command in a namespace did not end well. The message has what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Some packets of a hook (`INPUT` or `OUTPUT`), as words of iptables."""

    hook: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Namespace:
    """The network namespace that a process lives in."""

    pid: int

    def run(self, *argv: str, text: str = "") -> str:
        """Run a program of the host in it. Returns what it printed. Raises `CommandFailed`."""
        return _run("nsenter", "-t", str(self.pid), "-n", "--", *argv, text=text)

    def do(self, act: Callable[[], T]) -> T:
        """Call *act* in a thread that is in this namespace: its sockets are the container's. Raises OSError if it cannot enter."""

        def work() -> T:
            libc = ctypes.CDLL(None, use_errno=True)
            with Path(f"/proc/{self.pid}/ns/net").open("rb") as file:
                if libc.setns(file.fileno(), CLONE_NEWNET) != 0:
                    code = ctypes.get_errno()
                    raise OSError(code, os.strerror(code), f"/proc/{self.pid}/ns/net")
            return act()

        # The thread ends with the block and with it its stay there; no other thread ever left our own namespace.
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="chaoskit-namespace") as pool:
            return pool.submit(work).result()

    def devices(self) -> tuple[str, ...]:
        """Its network devices but for the loopback."""
        lines = Path(f"/proc/{self.pid}/net/dev").read_text().splitlines()[2:]
        return tuple(name for line in lines if (name := line.partition(":")[0].strip()) != "lo")


def chain_name(tag: str) -> str:
    """The name of a fault's chains: short enough for the kernel, and the same for the same tag everywhere."""
    return f"CK-{hashlib.sha256(tag.encode()).hexdigest()[:12]}"


def apply(
    namespace: Namespace, chain: str, matches: tuple[Match, ...], *, verdict: tuple[str, ...], comment: str, share: float = 1.0
) -> None:
    """Let *verdict* (`DROP`, or `REJECT` with its options) meet all that match, all rules at once. Raises `CommandFailed`."""
    remove(namespace, chain)
    hooks = tuple(hook for hook in HOOKS if any(match.hook == hook for match in matches))
    lines = ["*filter", *(f":{chain}{HOOKS[hook]} - [0:0]" for hook in hooks)]
    for match in matches:
        rule = f'-A {chain}{HOOKS[match.hook]} {" ".join(match.words)} -m comment --comment "{comment}"'
        if share < 1.0:
            lines.append(rule)  # without a verdict it only counts what the share is drawn from
            rule += f" -m statistic --mode random --probability {share:.8f}"
        lines.append(f"{rule} -j {' '.join(verdict)}")
    lines += [*(f"-I {hook} 1 -j {chain}{HOOKS[hook]}" for hook in hooks), "COMMIT", ""]
    namespace.run("iptables-restore", "-w", LOCK_S, "--noflush", text="\n".join(lines))


def remove(namespace: Namespace, chain: str) -> bool:
    """Unhook, flush and delete the chains, whatever of them is there, and look that nothing is left. Returns whether one was."""
    found = _lines_of(namespace, chain)
    if not found:
        return False
    unhook = [line.replace("-A ", "-D ", 1) for line in found if line.startswith(("-A INPUT ", "-A OUTPUT "))]
    chains = [line.split()[1] for line in found if line.startswith("-N ")]
    lines = ["*filter", *unhook, *(f"-F {one}" for one in chains), *(f"-X {one}" for one in chains), "COMMIT", ""]
    namespace.run("iptables-restore", "-w", LOCK_S, "--noflush", text="\n".join(lines))
    left = _lines_of(namespace, chain)
    if left:
        raise CommandFailed(f"chains {chain}: iptables took their removal and they are still there: {'; '.join(left)}")
    return True


def count(namespace: Namespace, chain: str) -> PacketCount | None:
    """Packets that the chains' rules met; None when they are not there."""
    found = _lines_of(namespace, chain, "-v")
    rules = [line for line in found if line.startswith(f"-A {chain}")]
    if not rules:
        return None
    counted = [int(match[1]) if (match := re.search(r" -c (\d+) \d+", line)) else 0 for line in rules]
    hits = [number for line, number in zip(rules, counted, strict=True) if " -j " in line]
    seen = [number for line, number in zip(rules, counted, strict=True) if " -j " not in line]
    return PacketCount(seen=sum(seen or hits), hit=sum(hits))


def _lines_of(namespace: Namespace, chain: str, *options: str) -> list[str]:
    """The lines of the filter table that name these chains."""
    lines = namespace.run("iptables", "-w", LOCK_S, "-S", *options).splitlines()
    return [line for line in lines if re.search(rf"\b{re.escape(chain)}[io]\b", line)]


def limit(namespace: Namespace, device: str, handle: str, *, bytes_per_s: int) -> None:
    """Let at most so much leave a device, by a token bucket under the number *handle*. Raises `CommandFailed`."""
    present = namespace.run("tc", "qdisc", "show", "dev", device, "root")
    if present and not re.match(rf"qdisc (noqueue|tbf {handle}:) ", present):
        raise CommandFailed(f"device {device} has a queue of somebody else's, which is left alone: {present.strip()}")
    # The bucket holds 20 ms, or two whole packets where that is less: a smaller one would let nothing pass.
    burst = max(bytes_per_s // 50, 2 * 1514)
    tbf = ("tbf", "rate", f"{bytes_per_s * 8}bit", "burst", str(burst), "latency", "400ms")  # as long a queue as a home router's
    namespace.run("tc", "qdisc", "replace", "dev", device, "root", "handle", f"{handle}:", *tbf)


def unlimit(namespace: Namespace, device: str, handle: str) -> bool:
    """Take the token bucket away. Returns whether it was there."""
    if limited(namespace, device, handle) is None:
        return False
    namespace.run("tc", "qdisc", "del", "dev", device, "root", "handle", f"{handle}:")
    return True


def limited(namespace: Namespace, device: str, handle: str) -> PacketCount | None:
    """Packets that left by the token bucket, and how many had to wait or were dropped; None when it is not there."""
    if device not in namespace.devices():
        return None
    text = namespace.run("tc", "-s", "qdisc", "show", "dev", device)
    part = re.search(rf"qdisc tbf {handle}: .*?(\d+) pkt \(dropped (\d+), overlimits (\d+)", text, re.DOTALL)
    return PacketCount(seen=int(part[1]), hit=int(part[2]) + int(part[3])) if part else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What this machine can do in namespaces. `lacks` says for each capability that it has not what is missing."""

    iptables: str = ""
    lacks: Mapping[str, str] = field(default_factory=dict)
    has_netem: bool = False
    """Whether the kernel could delay packets. Nothing here needs it: delays go through the proxy."""

    @property
    def capabilities(self) -> frozenset[str]:
        return frozenset({"packets", "packet-loss", "bandwidth"} - set(self.lacks))


_TRIES: Mapping[str, tuple[tuple[str, ...], str]] = {
    "packets": (
        ("iptables-restore", "--noflush"),
        "*filter\n:CK - [0:0]\n-A CK -p tcp --syn -m comment --comment x -j REJECT --reject-with tcp-reset\nCOMMIT\n",
    ),
    "packet-loss": (
        ("iptables-restore", "--noflush"),
        "*filter\n:CK - [0:0]\n-A CK -m statistic --mode random --probability 0.5 -j DROP\nCOMMIT\n",
    ),
    "bandwidth": (("tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "1mbit", "burst", "3028", "latency", "400ms"), ""),
}
"""What is tried for each capability, in a namespace that ends with the command: nothing can be left behind."""


@functools.cache
def probe() -> Features:
    """Try what this machine can do. Takes some 50 ms, once."""
    try:
        _run("nsenter", "-t", str(os.getpid()), "-n", "--", "true")
        _run("unshare", "-n", "--", "true")
    except CommandFailed as error:
        why = f"other network namespaces may not be entered here, which takes root on Linux: {error}"
        return Features(lacks=dict.fromkeys(_TRIES, why))
    lacks = {}
    for capability, (argv, text) in _TRIES.items():
        try:
            _run("unshare", "-n", "--", *argv, text=text)
        except CommandFailed as error:
            lacks[capability] = str(error)
    if "packets" in lacks:
        lacks["packet-loss"] = lacks["packets"]
    return Features(
        iptables=_run("iptables", "--version").strip() if "packets" not in lacks else "",
        lacks=lacks,
        has_netem=_is_fine("unshare", "-n", "--", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"),
    )


def _is_fine(*argv: str) -> bool:
    try:
        _run(*argv)
    except CommandFailed:
        return False
    return True


def _run(*argv: str, text: str = "") -> str:
    # An ordinary user's PATH lacks the administrator's folders, and so may a service manager's.
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    program = shutil.which(argv[0], path=path)
    if program is None:
        raise CommandFailed(f"program {argv[0]!r} was needed and is not on PATH; install it")
    command = " ".join(argv)
    try:
        done = subprocess.run(
            [program, *argv[1:]],
            input=text,
            env={**os.environ, "PATH": path, "LC_ALL": "C"},
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(f"`{command}` did not end within {COMMAND_S:g} s") from error
    if done.returncode != 0:
        given = f" given {text!r}" if text else ""
        raise CommandFailed(f"`{command}`{given} ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
