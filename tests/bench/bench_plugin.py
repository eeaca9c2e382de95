"""What chaoskit's plugin adds to a pytest start that does not use it, beside pytest-benchmark's: paired with a start without both.

python -m venv .bench && .bench/bin/pip install 'pytest-benchmark>=5' .
python tests/bench/bench_plugin.py [--runs 31] [--bench .bench]

Not `--editable`: pytest reads the assertions of a plugin that is really installed, and that is what everybody pays for.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
MOST_MS, MOST_SHARE = 15, 0.3
"""What the design promises of wall and CPU time alike: below so many ms, and at most this share of what pytest-benchmark adds."""


PLUGINS = {"pytest-benchmark": "benchmark", "chaoskit": "chaoskit"}
"""Each distribution, and what it calls its plugin."""


class Cost(NamedTuple):
    wall_ms: float
    cpu_ms: float

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.wall_ms - other.wall_ms, self.cpu_ms - other.cpu_ms)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=31)
    parser.add_argument("--bench", type=Path, default=ROOT / ".bench", help="a virtual environment with both plugins")
    choice = parser.parse_args()
    python = choice.bench.absolute() / "bin" / "python"
    must_have_both(python)
    print(f"{choice.runs} pairs each, load average {os.getloadavg()[0]:.2f}")
    print("| plugin | adds wall ms: median (least – most) | ratio | adds CPU ms: median (least – most) | ratio | goal |")
    print("|---|---|---|---|---|---|")
    added: dict[str, list[Cost]] = {name: [] for name in PLUGINS}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
        # In turns: a busy moment of the machine then falls on all. The first round warms the file cache and is not counted.
        for _ in range(choice.runs + 1):
            for name in PLUGINS:
                others = [other for other in PLUGINS if other != name]
                added[name].append(start(python, without=others, folder=folder) - start(python, without=[*PLUGINS], folder=folder))
    peer = median(added["pytest-benchmark"][1:])
    for name, costs in added.items():
        wall, cpu = zip(*costs[1:], strict=True)
        own = median(costs[1:])
        goal = f"below {MOST_MS} ms, ratio at most {MOST_SHARE}" if name == "chaoskit" else ""
        ratios = own.wall_ms / peer.wall_ms, own.cpu_ms / peer.cpu_ms
        print(f"| {name} | {spread(wall)} | {ratios[0]:.2f} | {spread(cpu)} | {ratios[1]:.2f} | {goal} |")
    return 0


def start(python: Path, *, without: list[str], folder: str) -> Cost:
    """The cost of one pytest session with one empty test."""
    blocked = [word for name in without for word in ("-p", f"no:{PLUGINS[name]}")]
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *blocked, "test_nothing.py"]
    began = time.perf_counter()
    child = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    wall_s = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, command
    return Cost(wall_s * 1000, (used.ru_utime + used.ru_stime) * 1000)


def must_have_both(python: Path) -> None:
    """A plugin that is not there costs nothing, and a comparison with it would show nothing."""
    code = "from importlib.metadata import entry_points as e; print(*[p.name for p in e(group='pytest11')])"
    found = (
        subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split() if python.exists() else []
    )
    if missing := [name for name, plugin in PLUGINS.items() if plugin not in found]:
        raise SystemExit(
            f"{python}: there is no plugin of {' and '.join(missing)}; make the environment with: "
            "python -m venv .bench && .bench/bin/pip install 'pytest-benchmark>=5' ."
        )


def median(costs: list[Cost]) -> Cost:
    return Cost(statistics.median(cost.wall_ms for cost in costs), statistics.median(cost.cpu_ms for cost in costs))


def spread(values: tuple[float, ...]) -> str:
    return f"{statistics.median(values):.1f} ({min(values):.1f} – {max(values):.1f})"


if __name__ == "__main__":
    sys.exit(main())
