"""What it costs to start chaoskit, beside Chaos Toolkit: each command paired with a bare start of its own Python, as ratios.

python -m venv .bench && .bench/bin/pip install 'chaostoolkit>=1.19'
python tests/bench/bench_start.py [--runs 15] [--bench .bench]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
GOALS = {"import": 0.3, "--version": 0.2}
"""What the design promises: at most this share of Chaos Toolkit's."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--bench", type=Path, default=ROOT / ".bench", help="a virtual environment with chaostoolkit")
    choice = parser.parse_args()
    ours, theirs = Path(sys.executable).parent, choice.bench / "bin"
    if not (theirs / "chaos").exists():
        raise SystemExit(
            f"{theirs / 'chaos'}: there is no Chaos Toolkit; make one with: "
            "python -m venv .bench && .bench/bin/pip install 'chaostoolkit>=1.19'"
        )
    print(f"{choice.runs} pairs each, load average {os.getloadavg()[0]:.2f}")
    print("| command | over bare Python, ms: median (least – most) | ratio | goal |\n|---|---|---|---|")
    for what, (own, peer) in {
        "import": ([str(ours / "python"), "-c", "import chaoskit"], [str(theirs / "python"), "-c", "import chaoslib"]),
        "--version": ([str(ours / "chaoskit"), "--version"], [str(theirs / "chaos"), "--version"]),
    }.items():
        # In turns: a busy moment of the machine then falls on both.
        pairs = [
            (over_bare_s(own, python=ours / "python"), over_bare_s(peer, python=theirs / "python")) for _ in range(choice.runs + 1)
        ]
        mine, others = zip(*pairs[1:], strict=True)
        ratio = statistics.median(mine) / statistics.median(others)
        print(f"| {' '.join(map(short, peer))} | {spread(others)} | 1 | |")
        print(f"| {' '.join(map(short, own))} | {spread(mine)} | {ratio:.2f} | {GOALS[what]} |", flush=True)
    return 0


def over_bare_s(command: list[str], *, python: Path) -> float:
    return wall_s(command) - wall_s([str(python), "-c", "pass"])


def wall_s(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def spread(values: tuple[float, ...]) -> str:
    return f"{statistics.median(values) * 1000:.1f} ({min(values) * 1000:.1f} – {max(values) * 1000:.1f})"


def short(word: str) -> str:
    return Path(word).name if word.startswith("/") else word


if __name__ == "__main__":
    sys.exit(main())
