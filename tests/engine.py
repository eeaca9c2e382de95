"""Runs a command with a container engine: `python tests/engine.py COMMAND...`. For `make test`.

An engine that answers is used and left alone. As root on Debian, where none answers and nobody has named one, Debian's own is
installed, started for this command with a socket of its own, and ended with it. Its images stay in the user's cache folder, so that
they are built once. Anywhere else the command runs without one, and is told why in `CHAOSKIT_NO_ENGINE`.
"""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from chaoskit.environments import docker_engine, sweep
from chaoskit.model.errors import ChaoskitError

NO_ENGINE = "CHAOSKIT_NO_ENGINE"
START_S = 60.0  # two seconds on a quiet machine; the first start makes its folders
END_S = 30.0  # it ends its containers first, each of which has ten seconds
INSTALL_S = 600.0
PACKAGES = {"dockerd": "docker.io", "mmdebstrap": "mmdebstrap", "iptables": "iptables", "ip": "iproute2"}
"""The engine, what makes Debian's small image where no registry can be reached, and what takes back the engine's network."""


def main(command, *, address=None):
    try:
        address = address or docker_engine.engine_address()
        answers(address)
    except (ChaoskitError, sweep.EngineError) as error:
        reason = str(error)
    else:
        say(f"using the container engine that answers at {address}")
        return call(command)
    refusal = why_not_started()
    if refusal:
        say(f"no container engine answers ({reason}) and none is started: {refusal}")
        return call(command, **{NO_ENGINE: f"{reason}; none was started: {refusal}"})
    try:
        install()
        engine = Engine(cache=Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chaoskit" / "engine")
    except (OSError, subprocess.SubprocessError, RuntimeError) as error:
        say(str(error))
        return call(command, **{NO_ENGINE: str(error)})
    try:
        say(f"started {shutil.which('dockerd')} at {engine.address}; its images stay in {engine.cache}")
        return call(command, DOCKER_HOST=engine.address)
    finally:
        engine.end()
        say("the container engine was ended")


def answers(address):
    """Returns when an engine answers there. Raises `EngineError`."""
    sweep.Engine(address, timeout_s=5.0).call("GET", "/version")


def why_not_started():
    """Why no engine may be started now; "" when one may."""
    for variable in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        if os.environ.get(variable):
            return f"{variable} names one"
    return why_not_here()


def why_not_here():
    """Why no engine may be started by this user of this machine; "" when one may."""
    if os.geteuid() != 0:
        return f"this is user {os.geteuid()}, not root"
    if not Path("/etc/debian_version").exists() or shutil.which("apt-get") is None:
        return "this is not Debian"
    return ""


def install():
    """Install what is missing. A package list that is too old for that is brought up to date."""
    packages = [package for program, package in PACKAGES.items() if shutil.which(program) is None]
    if not has_control_groups():
        packages.append("cgroupfs-mount")
    if packages:
        say(f"installing {' '.join(packages)}")
        # No package may start a service of its own: what we start, we end.
        with tempfile.TemporaryDirectory(prefix="chaoskit-policy-") as folder:
            policy = Path("/usr/sbin/policy-rc.d")
            is_ours = not policy.exists()
            if is_ours:
                policy.write_text("#!/bin/sh\nexit 101\n")
                policy.chmod(0o755)
            try:
                apt = ["apt-get", "-qq", "-o", f"Dir::Log={folder}", "install", "--yes", "--no-install-recommends", *packages]
                if run_quietly(apt).returncode != 0:
                    run_quietly(["apt-get", "-qq", "update"])
                    done = run_quietly(apt)
                    if done.returncode != 0:
                        raise RuntimeError(f"{' '.join(packages)} cannot be installed: {tail(done.stdout)}")
            finally:
                if is_ours:
                    policy.unlink(missing_ok=True)
    if not has_control_groups():
        done = run_quietly(["cgroupfs-mount"])
        if done.returncode != 0:
            raise RuntimeError(f"no control groups are mounted, and cgroupfs-mount could not do it: {tail(done.stdout)}")


def has_control_groups():
    """Whether any are mounted. A machine that was started without an init may have none, and then no container starts."""
    return any(line.split()[2] in {"cgroup", "cgroup2"} for line in Path("/proc/mounts").read_text().splitlines())


def run_quietly(argv):
    variables = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=INSTALL_S, env=variables)  # noqa: PLW1510


class HostNetwork:
    """What a dockerd does to this machine's network and leaves behind: rules, chains, a policy, a bridge, forwarding.

    Only what names Docker's own chains and bridges is taken back, and only what was not there when this was made.
    """

    TABLES = ("filter", "nat")
    FORWARDS = Path("/proc/sys/net/ipv4/ip_forward")
    BRIDGE = Path("/sys/class/net/docker0")
    MADE = re.compile(r"DOCKER|docker0|\bbr-[0-9a-f]{12}\b|^-P FORWARD ")

    def __init__(self):
        self._rules = {table: self._made(table) for table in self.TABLES}
        self._forwards = self.FORWARDS.read_text()
        self._had_bridge = self.BRIDGE.exists()

    def restore(self):
        """Take it back. Returns what is left of it, in words; "" when nothing is."""
        for table, before in self._rules.items():
            now = self._made(table)
            commands = [["-D", *words[1:]] for words in now if words[0] == "-A" and words not in before]
            chains = [words[1] for words in now if words[0] == "-N" and words not in before]
            commands += [[verb, chain] for verb in ("-F", "-X") for chain in chains]
            commands += [words for words in before if words[0] == "-P" and words not in now]
            for words in commands:
                run_quietly(["iptables", "--wait", "--table", table, *words])
        if self.BRIDGE.exists() and not self._had_bridge:
            run_quietly(["ip", "link", "delete", self.BRIDGE.name])
        self.FORWARDS.write_text(self._forwards)
        left = [" ".join(words) for table, before in self._rules.items() for words in self._made(table) if words not in before]
        left += [f"the bridge {self.BRIDGE.name}"] if self.BRIDGE.exists() and not self._had_bridge else []
        return ", ".join(left)

    def _made(self, table):
        lines = run_quietly(["iptables", "--wait", "--table", table, "--list-rules"]).stdout.splitlines()
        return [shlex.split(line) for line in lines if self.MADE.search(line)]


class Engine:
    """A dockerd of our own, with nothing in common with another one on this machine but the kernel. Raises `RuntimeError`."""

    def __init__(self, *, cache, arguments=()):
        self.cache = cache
        self.cache.mkdir(parents=True, exist_ok=True)
        self._network = HostNetwork()
        self._folder = Path(tempfile.mkdtemp(prefix="chaoskit-engine-"))
        self.address = f"unix://{self._folder}/docker.sock"
        log = self._folder / "log"
        with log.open("wb") as output:
            self._child = subprocess.Popen(
                # It ends with us, also when we are killed; its containers end with it. Only it hears of Ctrl-C through us.
                ["setpriv", "--pdeathsig", "TERM", "dockerd", "--host", self.address, "--data-root", str(cache), "--exec-root",
                 f"{self._folder}/exec", "--pidfile", f"{self._folder}/pid", *arguments],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_S
        while True:
            try:
                answers(self.address)
                return
            except sweep.EngineError as error:
                if self._child.poll() is not None or time.monotonic() > deadline:
                    text = f"the container engine was started and does not answer: {error}; its log ends: {tail(log.read_text())}"
                    self.end()
                    raise RuntimeError(text) from error
            time.sleep(0.1)  # between two looks, until the deadline

    def end(self):
        """End it and what it started. May be called twice."""
        self._child.terminate()
        try:
            self._child.wait(END_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        # A dockerd that was killed leaves its containerd and the mounts of its containers.
        for pid in processes_naming(str(self._folder)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for line in reversed(Path("/proc/mounts").read_text().splitlines()):
            point = line.split()[1]
            if point.startswith((f"{self._folder}/", f"{self.cache}/")):
                run_quietly(["umount", "--lazy", point])
        shutil.rmtree(self._folder, ignore_errors=True)
        if left := self._network.restore():
            say(f"of the engine's network there is left: {left}")


def processes_naming(text):
    """Processes that have *text* in their command line, this one apart."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and int(entry.name) != os.getpid() and text.encode() in (entry / "cmdline").read_bytes():
                yield int(entry.name)


def call(command, **variables):
    """Run the command to its end and return its exit code. Ctrl-C reaches it by itself; SIGTERM is passed on."""
    child = subprocess.Popen(command, env={**os.environ, **variables})
    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.SIG_IGN),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda number, _frame: child.send_signal(number)),
    }
    try:
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 128 - code if code < 0 else code


def tail(text):
    return " | ".join(text.splitlines()[-4:])


def say(line):
    print(f"engine: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
