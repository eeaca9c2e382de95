"""Runs Chaos Toolkit and chaoskit in the same false-green situations and prints what each said and left: `make compare`.

    python tests/comparison/compare.py --peer .bench/bin/chaos [--write docs/explanation/comparison.md] [--only TEXT]

Nothing in the table is written by hand: both columns come from runs of now, against services that this script starts and ends.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from situations import SECRET, SITUATIONS, Situation  # noqa: E402

WITHIN_S = 90.0
"""A run takes ten seconds; healing through every escalation at most a minute and a half."""
LEFT_AFTER_S = 12.0
"""The janitor beside a killed run promises ten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a tool said of a run, and what it left behind."""

    verdict: str
    left: str


class Peer:
    """Chaos Toolkit, let loose on one service of ours."""

    def __init__(self, chaos: Path) -> None:
        self._chaos = chaos.absolute()  # without following links: an interpreter's place tells its packages

    @property
    def python(self) -> Path:
        return self._chaos.with_name("python")

    def versions(self) -> str:
        code = "from importlib.metadata import version as v; print(*(n + ' ' + v(n) for n in ('chaostoolkit', 'chaostoolkit-lib', 'chaostoolkit-toxiproxy')), sep=', ')"
        return subprocess.run([self.python, "-c", code], check=True, capture_output=True, text=True).stdout.strip()

    def play(self, situation: Situation, folder: Path) -> Said:
        play, token = situation.peer, secrets.token_hex(12)
        tells, journal, document = folder / "tells", folder / "journal.json", folder / "experiment.json"
        with contextlib.ExitStack() as stack:
            shop, port = stack.enter_context(_shop(play.mood))
            admin = stack.enter_context(_toxiproxy(port)) if situation.has_proxy else 0
            values = {"pid": shop.pid, "url": f"http://127.0.0.1:{port}", "tells": tells, "admin": admin}
            document.write_text(json.dumps(_filled(play.document, values)))
            words = [
                self._chaos,
                "--no-version-check",
                "--settings",
                folder / "settings.yaml",
                "run",
                "--journal-path",
                journal,
                *play.words,
                document,
            ]
            code, _ = _call(words, folder, play.signal, tells, {"PYTHONPATH": HERE, SECRET: token})
            left = [f"the service is {_state(shop.pid)}"]
            if situation.has_proxy:
                left.append(f"toxics: {_toxics(admin)}")
        written = json.loads(journal.read_text()) if journal.exists() else None
        if written is None:
            left.append("no journal")
        else:
            played = Counter(one["status"] for one in written.get("rollbacks") or ())
            left.append(f"undo steps played: {', '.join(f'{n} {status}' for status, n in played.items()) or 'none'}")
        if situation.has_secret:
            left.append(_leaks(folder, token))
        state = "no journal" if written is None else f"{written['status']}, deviated: {str(written.get('deviated')).lower()}"
        return Said(verdict=f"{_exit(code)}: {state}", left="; ".join(left))


class Ours:
    """chaoskit, by its command line, which starts and ends the service itself."""

    def versions(self) -> str:
        return subprocess.run([*_OURS, "--version"], check=True, capture_output=True, text=True).stdout.strip()

    def play(self, situation: Situation, folder: Path) -> Said:
        play, token, mark = situation.ours, secrets.token_hex(12), secrets.token_hex(12)
        tells, runs, document = folder / "tells", folder / "runs", folder / "shop.chaos.yaml"
        text = json.dumps(_filled(play.document, {"tells": tells}), indent=1)
        document.write_text(text.replace('"!secret"', f"!secret {SECRET}"))
        words = [*_OURS, "run", document, "--runs", runs, "--seed", "7", "--lock", mark]
        code, said = _call(words, folder, play.signal, tells, {"PYTHONPATH": HERE, SECRET: token, "CORNER_MARK": mark})
        if not runs.exists():
            return Said(verdict=f"{_exit(code)}: not started: {_first_problem(said)}", left="nothing was started")
        (run,) = runs.iterdir()
        deadline = time.monotonic() + LEFT_AFTER_S
        while (_with(mark) or not (run / "verdict.json").exists()) and time.monotonic() < deadline:
            time.sleep(0.1)  # between two looks at what is left, until the deadline
        found = run / "verdict.json"
        verdict = json.loads(found.read_text())["verdict"] if found.exists() else "no verdict"
        left = ["the service is gone with the run" if not (alive := _with(mark)) else f"processes: {len(alive)}", _open(run)]
        if situation.has_secret:
            left.append(_leaks(folder, token))
        return Said(verdict=f"{_exit(code)}: {verdict}", left="; ".join(left))


_OURS = [sys.executable, "-m", "chaoskit.cli"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, metavar="CHAOS", help="the `chaos` program of a virtual environment")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table into this page, between its two marks")
    parser.add_argument("--only", default="", metavar="TEXT", help="only situations whose title has this text")
    given = parser.parse_args()
    tools = Peer(given.peer), Ours()
    lines = [
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d}, Python {sys.version.split()[0]}: {tools[0].versions()}; {tools[1].versions()}",
        "",
        "| situation | kinds | Chaos Toolkit | what it left | chaoskit | what it left |",
        "|---|---|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for situation in (one for one in SITUATIONS if given.only in one.title):
        with tempfile.TemporaryDirectory(prefix="compare-") as name, ThreadPoolExecutor(len(tools)) as pool:
            folders = [Path(name) / "peer", Path(name) / "ours"]
            for folder in folders:
                folder.mkdir()
            peer, ours = pool.map(lambda tool, folder, one=situation: tool.play(one, folder), tools, folders)
        lines.append(f"| {situation.title} | {situation.rows} | {peer.verdict} | {peer.left} | {ours.verdict} | {ours.left} |")
        print(lines[-1], flush=True)
    if given.write:
        page = given.write.read_text()
        filled, count = re.subn(
            r"(<!-- table -->\n).*?(<!-- end of the table -->)",
            lambda m: m[1] + "\n".join(lines) + "\n" + m[2],
            page,
            flags=re.DOTALL,
        )
        assert count == 1, f"{given.write} has no place for the table"
        given.write.write_text(filled)
    return 0


def _filled(value: object, values: Mapping[str, object]) -> object:
    if isinstance(value, Mapping):
        return {key: _filled(one, values) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(one, values) for one in value]
    if isinstance(value, str):
        for name, one in values.items():
            value = value.replace("{" + name + "}", str(one))
    return value


def _call(
    words: list[object], folder: Path, number: signal.Signals | None, tells: Path, variables: Mapping[str, object]
) -> tuple[int, str]:
    """Run a tool to its end, disturbing it once it says that it has begun. Its exit code, and what it printed."""
    out = folder / "printed"
    with out.open("wb") as printed:
        # A group of its own: Ctrl-C in the terminal of this script is this script's.
        process = subprocess.Popen(
            [*map(str, words)], cwd=folder, stdout=printed, stderr=printed, stdin=subprocess.DEVNULL,
            env={**os.environ, **{k: str(v) for k, v in variables.items()}}, start_new_session=True,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + WITHIN_S
            if number is not None:
                while not tells.exists() and process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.02)  # between two looks, until the deadline
                process.send_signal(number)
            process.wait(WITHIN_S)
        finally:
            process.kill()
            process.wait()
    return process.returncode, out.read_text(errors="replace")


@contextlib.contextmanager
def _shop(mood: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """One service of the kind that chaoskit's environment starts for itself."""
    port = _free_port()
    process = subprocess.Popen([sys.executable, HERE / "shop.py", "127.0.0.1", str(port), mood, "peer"], stderr=subprocess.DEVNULL)
    try:
        _wait_answers(f"http://127.0.0.1:{port}/health")
        yield process, port
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _toxiproxy(upstream: int) -> Iterator[int]:
    """A Toxiproxy with the proxy `shop`; gives the port of its control."""
    from chaoskit.environments import programs

    admin = _free_port()
    server = programs.provide("toxiproxy-server", say=print).path
    process = subprocess.Popen(
        [server, "-host", "127.0.0.1", "-port", str(admin)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_answers(f"http://127.0.0.1:{admin}/version")
        body = {"name": "shop", "listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{upstream}"}
        request = urllib.request.Request(f"http://127.0.0.1:{admin}/proxies", json.dumps(body).encode(), method="POST")
        with _OPENER.open(request, timeout=5):
            yield admin
    finally:
        process.kill()
        process.wait()


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Loopback is never asked for through a proxy of the machine."""


def _wait_answers(url: str) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            with _OPENER.open(url, timeout=1):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)  # between two tries, until the deadline


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _state(pid: int) -> str:
    letter = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return {"T": "frozen", "Z": "dead"}.get(letter, "running")


def _toxics(admin: int) -> str:
    with _OPENER.open(f"http://127.0.0.1:{admin}/proxies/shop", timeout=5) as answer:
        toxics = json.load(answer)["toxics"]
    return ", ".join(f"{one['type']} of {one['attributes']['latency']} ms" for one in toxics) or "none"


def _with(mark: str) -> list[int]:
    """The processes of one run: its mark is in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def _open(run: Path) -> str:
    from chaoskit.model import undo

    with (run / "undo.jsonl").open("rb") as lines:
        records = undo.read(lines)
    if not (records.open or records.healed):
        return "nothing was injected"
    done = "closed" if records.is_closed else "not closed"
    return f"faults healed: {len(records.healed)}, open: {len(records.open)}, undo ledger {done}"


def _leaks(folder: Path, token: str) -> str:
    seen = {path.name for path in folder.rglob("*") if path.is_file() and token in path.read_text(errors="replace")}
    return f"the secret is in {', '.join(sorted(seen))}" if seen else "the secret is nowhere"


def _exit(code: int) -> str:
    return f"exit {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


def _first_problem(said: str) -> str:
    line = next((line for line in said.splitlines() if ": " in line), said.strip())
    # Without the folder, and without the list of all that would have been right.
    return re.sub(r" \([^)]*\)", "", re.sub(r"^\S*/", "", line)).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
