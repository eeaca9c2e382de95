"""Runs one experiment from an empty folder to a verdict. Blocks for as long as the experiment takes.

Whatever happens, what was injected is healed, what was started is ended, and the folder holds a verdict.
"""

from __future__ import annotations

from chaoskit.engine.live import Cast, LiveRun, conclude
from chaoskit.engine.schedule import Act, Schedule, plan
from chaoskit.engine.store import RunFolder
from chaoskit.model.experiment import Experiment
from chaoskit.model.protocols import Progress
from chaoskit.model.verdict import Verdict

GATE_BEFORE_S = 0.2
"""The steady state is judged this long before the first injection, so that the injection is not late."""


def run(experiment: Experiment, cast: Cast, *, folder: RunFolder, seed: int, reproduce: str, owner: str = "") -> Verdict:
    """Run *experiment* and judge it. The verdict is also in the folder; raises `CannotRecord` when it could not be put there.

    *owner* is the id of this process, by which another one can see whether it is still alive.
    """
    schedule, left_by = plan(experiment, seed=seed), None
    with LiveRun(experiment, cast, folder, seed=seed, reproduce=reproduce, owner=owner) as live:
        try:
            with live.system(), live.customers() as zero_ns:
                _conduct(live, schedule, zero_ns, cast.progress)
        except (Exception, KeyboardInterrupt) as error:
            live.fail(error)
        except BaseException as error:  # the end of the process, or a time limit of a test: it goes on when there is a verdict
            live.fail(error)
            left_by = error
    verdict = conclude(experiment, folder, seed=seed, reproduce=reproduce)
    if left_by is not None:
        left_by.add_note(f"chaoskit: what was injected is healed; the run is {verdict.result.value}: {folder.path}")
        raise left_by
    return verdict


def _conduct(live: LiveRun, schedule: Schedule, zero_ns: int, progress: Progress) -> None:
    """Break things and heal them as the schedule says, until the load ends."""
    entries = [(entry, zero_ns + int(entry.at_s * 1e9)) for entry in schedule.entries]
    for entry, due_ns in entries:
        if entry.act is Act.INJECT:
            live.planned(entry, due_ns=due_ns)
    gate_open = False
    for entry, due_ns in entries:
        if entry.act is Act.INJECT and not gate_open:
            live.look_early(due_ns)
            live.wait_until(due_ns - int(GATE_BEFORE_S * 1e9))
            live.gate()
            gate_open = True
        live.wait_until(due_ns)
        if entry.act is Act.INJECT:
            live.inject(entry)
            progress.say(f"{entry.at_s:5.1f} s  injected {entry.fault}")
        else:
            live.heal(entry.fault)
            progress.say(f"{entry.at_s:5.1f} s  healing {entry.fault}")
    live.wait_until(zero_ns + int(schedule.ends_s * 1e9))
