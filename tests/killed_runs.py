"""Runs experiments on a small system in processes of their own and kills them: `python killed_runs.py FOLDER`.

One request a line in, one answer a line out, both JSON: `{"place": "fake", "faults": [[kind, at_s, for_s], …], "kill_after_s": s}`
gives the run's folder once its process is dead. The interpreter is started once and forked for each run, so that two hundred of
them take no longer than they must.
"""

import json
import os
import select
import signal
import sys
from pathlib import Path

from chaoskit.engine.guard import StopFlag
from chaoskit.engine.live import Cast
from chaoskit.engine.runner import run
from chaoskit.engine.store import RunFolder
from chaoskit.environments import owner
from chaoskit.faults.kill import Kill
from chaoskit.faults.latency import Latency
from chaoskit.faults.partition import Partition
from chaoskit.faults.pause import Pause
from chaoskit.faults.refuse import Refuse
from chaoskit.faults.saturate import Saturate
from chaoskit.janitor import Janitor
from chaoskit.model.experiment import EnvironmentChoice, Experiment, Injection, LoadShape
from chaoskit.testing import FakeEnvironment, FakeLoad, FixedChecker, SilentProgress, tiny_topology

LINK = ("front", "back")
FAULTS = {
    "kill": lambda: Kill(service="back"),
    "pause": lambda: Pause(service="back"),
    "partition": lambda: Partition(between=LINK),
    "latency": lambda: Latency(between=LINK, add_s=0.3),
    "refuse": lambda: Refuse(between=LINK),
    "saturate": lambda: Saturate(times=2.0),
}


def experiment(faults, folder):
    made = Experiment(
        title="the fake survives",
        environment=EnvironmentChoice(use="fake"),
        load=LoadShape(arrivals_per_s=100, duration_s=0.3, mix={"visit": 1}),
        faults=tuple(Injection(fault=FAULTS[kind](), at_s=at_s, for_s=for_s) for kind, at_s, for_s in faults),
        expect=(FixedChecker(),),
        document="title: the fake survives\n",
    )
    return made, RunFolder.create(folder, made, seed=1)


def environment(place, folder):
    if place == "fake":
        return FakeEnvironment()
    if place == "process":
        from chaoskit.environments.process import ProcessEnvironment as Real
    else:
        from chaoskit.environments.docker import DockerEnvironment as Real
    return Real(tiny_topology(), seed=1, options={}, logs=folder.logs)


def play(place, made, folder):
    cast = Cast(environment=environment(place, folder), load=FakeLoad(), probes=(), progress=SilentProgress(), stop=StopFlag())
    with Janitor.start(folder):
        return run(made, cast, folder=folder, seed=1, reproduce="again", owner=owner.new_run())


def main(folder):
    for line in sys.stdin:
        asked = json.loads(line)
        made, run_folder = experiment(asked["faults"], folder)
        child = os.fork()
        if child == 0:
            play(asked["place"], made, run_folder)
            os._exit(0)
        handle = os.pidfd_open(child)
        select.select([handle], [], [], asked["kill_after_s"])  # until it ends, or the moment that was asked for
        os.close(handle)
        os.kill(child, signal.SIGKILL)  # a run that has ended is a zombie, which takes it
        os.waitpid(child, 0)
        sys.stdout.write(json.dumps({"folder": str(run_folder.path), "pid": child}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
