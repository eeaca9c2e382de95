"""How late injections are: the schedule's due time against the moment the act began, while the load and the probes run.

    python tests/bench/bench_injection.py

The system is in memory, so that the figure is the engine's own: its undo record is on the disk before each act. The baseline is a
bare loop in the same process that waits for the same due times and does nothing else.
"""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from pathlib import Path

from chaoskit.engine.guard import StopFlag
from chaoskit.engine.live import Cast
from chaoskit.engine.runner import run
from chaoskit.engine.store import RunFolder
from chaoskit.faults.kill import Kill
from chaoskit.faults.partition import Partition
from chaoskit.model.experiment import EnvironmentChoice, Experiment, Injection, LoadShape
from chaoskit.testing import FakeEnvironment, FakeLoad, FixedChecker, SilentProgress

FAULTS = 60
EVERY_S = 0.25
BOUND_MS = 50.0
"""The promise of the design: injection within 50 ms of its due time, at the 99th percentile."""


def main() -> None:
    engine, bare = sorted(engine_late_ms()), sorted(bare_late_ms())
    print(
        f"lateness of injection, {FAULTS} injections, one every {EVERY_S:g} s, load average {Path('/proc/loadavg').read_text()[:4]}"
    )
    print("| | p50 ms | p99 ms | max ms |\n|---|---|---|---|")
    for name, late in (("chaoskit", engine), ("bare loop", bare)):
        print(f"| {name} | {statistics.median(late):.2f} | {late[int(0.99 * len(late))]:.2f} | {late[-1]:.2f} |")
    print(f"ratio to the bound of {BOUND_MS:g} ms at p99: {engine[int(0.99 * len(engine))] / BOUND_MS:.3f}")


def engine_late_ms() -> list[float]:
    faults = tuple(
        Injection(fault=Kill(service="back") if n % 2 else Partition(between=("front", "back")), at_s=1 + n * EVERY_S, for_s=0.1)
        for n in range(FAULTS)
    )
    experiment = Experiment(
        title="many faults",
        environment=EnvironmentChoice(use="fake"),
        load=LoadShape(arrivals_per_s=100, duration_s=2 + FAULTS * EVERY_S, mix={"visit": 1}),
        faults=faults,
        expect=(FixedChecker(),),
        document="",
    )
    with tempfile.TemporaryDirectory() as folder:
        run_folder = RunFolder.create(Path(folder), experiment, seed=1)
        cast = Cast(environment=FakeEnvironment(), load=FakeLoad(), probes=(), progress=SilentProgress(), stop=StopFlag())
        verdict = run(experiment, cast, folder=run_folder, seed=1, reproduce="")
    assert verdict.result.value == "passed", verdict.problems
    return [float(str(fault["late_ms"])) for fault in verdict.faults]


def bare_late_ms() -> list[float]:
    event, zero_ns, late = threading.Event(), time.monotonic_ns(), []
    for n in range(1, FAULTS + 1):
        due_ns = zero_ns + int(n * EVERY_S * 1e9)
        event.wait((due_ns - time.monotonic_ns()) / 1e9)
        late.append((time.monotonic_ns() - due_ns) / 1e6)
    return late


if __name__ == "__main__":
    main()
