"""`chaoskit load` beside Locust's FastHttpUser and, if it is there, vegeta: the same server, the same run, as ratios.

    python -m venv .bench && .bench/bin/pip install 'locust>=2.32' 'chaostoolkit>=1.19'
    python tests/bench/bench_load.py [--rates 1000,5000] [--seconds 5] [--repeats 3] [--locust .bench/bin/locust] [--vegeta vegeta]

The server has one core and the clients another; with a single core all share it, and the figures say so. Rate and schedule error
are the server's own observation. CPU is that of the client's processes, less that of a load of one operation. Figures of two runs
must not be compared: the machine is another one each time. Needs Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = {CORES[0]}, {CORES[-1]}
EXTRA_S = 30
"""How much longer than its load a client may take; Locust needs some seconds to start and to stop."""

LOCUSTFILE = """
import json, os
from locust import FastHttpUser, constant_throughput, events, task

record = open(os.environ["RECORD"], "w")

@events.request.add_listener
def note(response_time, exception, start_time, **_):
    end = start_time + response_time / 1000
    record.write(json.dumps({"start": int(start_time * 1e9), "end": int(end * 1e9), "status": 0 if exception else 200}) + "\\n")

@events.quitting.add_listener
def close(**_):
    record.close()

class Visitor(FastHttpUser):
    wait_time = constant_throughput(float(os.environ["RATE_EACH"]))

    @task
    def get(self):
        self.client.get("/")
"""


@dataclass(frozen=True, kw_only=True)
class Client:
    """One load generator. `command` has `{url}`, `{rate}`, `{seconds}`, `{record}`; an open loop has a grid to be measured against."""

    name: str
    command: str
    is_open_loop: bool = True
    decode: tuple[str, ...] = ()
    """The command that turns its record into lines of JSON; empty where it is that already."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    cpu_s: float
    exit: int
    stamps: list[int]
    latencies_ms: list[float]


def main() -> int:
    choice = arguments()
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)) as (url, process):
        record = Path(folder, "record")
        clients = available(choice, folder=Path(folder))
        run = partial(run_once, url=url, record=record)
        idle_cpu_s = {
            client.name: statistics.median(run(client, rate=1, seconds=1).cpu_s for _ in range(choice.repeats))
            for client in clients
        }
        print(f"server on core {SERVER_CORE}, clients on core {CLIENT_CORE}; {choice.repeats} runs of {choice.seconds} s each")
        for rate in choice.rates:
            # In turns, so that a busy moment of the machine does not fall on one client only.
            rounds = [[run(client, rate=rate, seconds=choice.seconds) for client in clients] for _ in range(choice.repeats)]
            print_steady(rate, choice.seconds, clients, list(zip(*rounds, strict=True)), idle_cpu_s)
        rate = choice.rates[0]
        frozen = [run(client, rate=rate, seconds=5, disturb=freeze(process)) for client in clients]
        killed = [run(client, rate=rate, seconds=30, disturb=kill_at_4_s) for client in clients]
        print_disturbed(rate, clients, frozen, killed)
    return 0


def run_once(
    client: Client,
    *,
    rate: float,
    seconds: int,
    url: str,
    record: Path,
    disturb: Callable[[subprocess.Popen[bytes]], None] | None = None,
) -> Outcome:
    record.unlink(missing_ok=True)
    stamps(url)
    users = max(1, int(rate) // 10)
    variables = {**os.environ, "RECORD": str(record), "RATE_EACH": str(rate / users)}
    words = shlex.split(
        client.command.format(url=url, base=url.rstrip("/"), rate=int(rate), seconds=seconds, record=record, users=users)
    )
    process = subprocess.Popen(
        words,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: os.sched_setaffinity(0, CLIENT_CORE),  # noqa: PLW1509 -- this script has one thread
    )
    stopper = signal.signal(signal.SIGALRM, lambda *_: os.killpg(process.pid, signal.SIGKILL))
    signal.alarm(seconds + EXTRA_S)
    try:
        if disturb:
            disturb(process)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, stopper)
    if process.returncode != 0 and disturb is not kill_at_4_s:
        raise SystemExit(f"{client.name}: exit {process.returncode} from: {shlex.join(words)}")
    return Outcome(
        cpu_s=usage.ru_utime + usage.ru_stime,
        exit=process.returncode,
        stamps=stamps(url),
        latencies_ms=latencies_ms(client, record),
    )


def freeze(server_process: subprocess.Popen[bytes]) -> Callable[[subprocess.Popen[bytes]], None]:
    """The server stands still from the third second to the fourth."""

    def disturb(_client: subprocess.Popen[bytes]) -> None:
        time.sleep(2)
        server_process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(1)
        finally:
            server_process.send_signal(signal.SIGCONT)

    return disturb


def kill_at_4_s(client: subprocess.Popen[bytes]) -> None:
    time.sleep(4)
    os.killpg(client.pid, signal.SIGKILL)


def latencies_ms(client: Client, record: Path) -> list[float]:
    """From the due time where the client keeps one, else from the send."""
    if client.decode:
        lines = subprocess.run([*client.decode, str(record)], capture_output=True, check=False).stdout.splitlines()
        return [json.loads(line)["latency"] / 1e6 for line in lines]
    rows = []
    for line in record.read_bytes().split(b"\n") if record.exists() else ():
        try:
            row = json.loads(line)
        except ValueError:
            # The last line of a client that was killed.
            continue
        rows.append((row["end"] - row.get("due", row["start"])) / 1e6)
    return rows


def print_steady(
    rate: float, seconds: int, clients: list[Client], runs: list[tuple[Outcome, ...]], idle_cpu_s: dict[str, float]
) -> None:
    print(f"\n{rate:g} operations per second")
    print("| client | kept of the rate | CPU s per 1000 | operations per CPU s, against Locust | against vegeta |", end="")
    print(" schedule error ms p50 | p99 | p50 against vegeta | p99 |\n" + "|" + "---|" * 9)
    cost, errors, kept = {}, {}, {}
    for client, outcomes in zip(clients, runs, strict=True):
        cost[client.name] = statistics.median((o.cpu_s - idle_cpu_s[client.name]) / len(o.stamps) * 1000 for o in outcomes)
        kept[client.name] = statistics.median(achieved(o.stamps, seconds) / rate for o in outcomes)
        pairs = [schedule_error_ms(o.stamps, rate, seconds) for o in outcomes]
        errors[client.name] = tuple(statistics.median(pair[i] for pair in pairs) for i in (0, 1)) if client.is_open_loop else None
    for client in clients:
        name, error, peer = client.name, errors[client.name], errors.get("vegeta")
        cells = [name, f"{kept[name]:.4f}", f"{cost[name]:.3f}", f"{cost['locust'] / cost[name]:.2f}"]
        cells.append(f"{cost['vegeta'] / cost[name]:.2f}" if "vegeta" in cost else "–")
        cells += [f"{value:.3f}" for value in error] if error else ["–", "–"]
        cells += [f"{value / other:.2f}" for value, other in zip(error, peer, strict=True)] if error and peer else ["–", "–"]
        print("| " + " | ".join(cells) + " |", flush=True)


def print_disturbed(rate: float, clients: list[Client], frozen: list[Outcome], killed: list[Outcome]) -> None:
    print(f"\nat {rate:g} per second: the server stands still for 1 s; the client is killed after 4 s")
    print("| client | operations over 100 ms, recorded of those due | recorded of those that arrived |\n|---|---|---|")
    for client, stood, died in zip(clients, frozen, killed, strict=True):
        # Who was due in the last tenth of a second of it waited for less.
        slow = sum(latency >= 100 for latency in stood.latencies_ms) / (0.9 * rate)
        print(f"| {client.name} | {slow:.2f} | {len(died.latencies_ms) / max(1, len(died.stamps)):.4f} |", flush=True)


def achieved(stamps: list[int], seconds: int) -> float:
    """Arrivals per second, without the first second and the last quarter."""
    begin, end = stamps[0] + 1e9, stamps[0] + (seconds - 0.25) * 1e9
    return sum(begin <= at < end for at in stamps) / ((end - begin) / 1e9)


def schedule_error_ms(stamps: list[int], rate: float, seconds: int) -> tuple[float, float]:
    """How far the n-th arrival is from an even grid, p50 and p99; the arrival that is earliest on its grid counts as exact."""
    off = [at - n * 1e9 / rate for n, at in enumerate(stamps[: int(rate * seconds)])]
    ordered = sorted((value - min(off)) / 1e6 for value in off)
    return ordered[len(ordered) // 2], ordered[int(0.99 * len(ordered))]


def stamps(url: str) -> list[int]:
    with urllib.request.urlopen(url + "stamps", timeout=30) as answer:
        return sorted(json.load(answer))


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """The target: in Go where there is a Go, since a server in Python would be the slower side."""
    if shutil.which("go"):
        program = folder / "target"
        subprocess.run(["go", "build", "-o", str(program), str(HERE / "target.go")], check=True)
        words = [str(program)]
    else:
        print("no Go on PATH: the server is Python, so that rates above some thousand measure the server")
        words = [sys.executable, __file__, "--serve"]
    process = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        env={**os.environ, "GOMAXPROCS": "1"},
        preexec_fn=lambda: os.sched_setaffinity(0, SERVER_CORE),  # noqa: PLW1509 -- this script has one thread
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield f"http://127.0.0.1:{port}/", process
    finally:
        process.kill()
        process.wait()


def available(choice: argparse.Namespace, *, folder: Path) -> list[Client]:
    locust = shutil.which(choice.locust)
    if locust is None:
        raise SystemExit(
            f"{choice.locust}: there is no Locust; make one with: "
            "python -m venv .bench && .bench/bin/pip install 'locust>=2.32' 'chaostoolkit>=1.19'"
        )
    locustfile = folder / "locustfile.py"
    locustfile.write_text(LOCUSTFILE)
    chaoskit = f"{sys.executable} -m chaoskit.loads.tool --url {{url}} --rate {{rate}} --duration {{seconds}}s --record {{record}}"
    clients = [
        Client(name="chaoskit, core only", command=f"{chaoskit} --loop asyncio"),
        Client(name="chaoskit[fast]", command=f"{chaoskit} --loop uvloop"),
        Client(
            name="locust",
            is_open_loop=False,
            command=f"{locust} -f {locustfile} --headless -u {{users}} -r {{users}} -t {{seconds}}s -H {{base}} "
            "--only-summary -L ERROR --stop-timeout 2",
        ),
    ]
    vegeta = shutil.which(choice.vegeta)
    if vegeta is None:
        print(f"{choice.vegeta}: there is no vegeta, so nothing is compared with it")
        return clients
    attack = f"echo GET {{url}} | exec {vegeta} attack -rate {{rate}}/1s -duration {{seconds}}s -output {{record}}"
    return [*clients, Client(name="vegeta", command=f"sh -c {shlex.quote(attack)}", decode=(vegeta, "encode", "--to", "json"))]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=lambda text: [float(rate) for rate in text.split(",")], default=[1000.0, 5000.0])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--locust", default=str(ROOT / ".bench" / "bin" / "locust"))
    parser.add_argument("--vegeta", default="vegeta")
    return parser.parse_args()


class PythonTarget(asyncio.Protocol):
    """The same server without Go."""

    stamps: list[int] = []  # noqa: RUF012 -- one list for all connections
    body = b'{"ok":true,"filling":"' + b"-" * 176 + b'"}'

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        body = self.body
        if data.startswith(b"GET /stamps "):
            body = json.dumps(self.stamps).encode()
            self.stamps.clear()
        else:
            self.stamps.append(time.monotonic_ns())
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        )


async def serve() -> None:
    listening = await asyncio.get_running_loop().create_server(PythonTarget, "127.0.0.1", 0, backlog=4096)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await listening.serve_forever()


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        asyncio.run(serve())
    sys.exit(main())
