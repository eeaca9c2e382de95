"""Breaks the bank in every way there is and writes down which check said so: `make matrix [DEFECTS="a b"] [SEEDS="1 2"]`.

    python tests/matrix/matrix.py [--defects "a b"] [--seeds "1 2"]
    python tests/matrix/matrix.py --stored RUN...

Each defect runs in its experiment, and so does the sound bank, on processes, with the same seeds; about a minute a run. Rows of
earlier runs are kept. `results.json`, docs/reference/defects.md and the table of the README are written after every row.
With `--stored` nothing is started: runs that were made before are judged again by today's checks, and take their rows.
"""

from __future__ import annotations

import argparse
import datetime as dt
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import results  # noqa: E402
import usual  # noqa: E402

from chaoskit.bank.defects import DEFECTS  # noqa: E402
from chaoskit.engine.store import RunFolder  # noqa: E402
from chaoskit.model.verdict import Result  # noqa: E402
from chaoskit.registry import Registry  # noqa: E402
from chaoskit.wiring import judge_again  # noqa: E402

ORDER = {results.SOUND: "", results.HITS_NOTHING: "", **{name: defect.experiment for name, defect in DEFECTS.items()}}
TITLES = {defect.name: defect.title for defect in DEFECTS.values()}
DOCUMENT = re.compile(r"(\w+)\.chaos\.yaml")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--defects", default="", metavar="NAMES", help="only these defects (all of them, and the sound bank)")
    parser.add_argument("--seeds", default="1 2", metavar="NUMBERS", help="one run for each of these seeds")
    parser.add_argument("--stored", nargs="+", type=Path, default=(), metavar="RUN", help="folders of runs on processes")
    given = parser.parse_args()
    if given.stored:
        rows = rows_of(given.stored)
        keep(rows)
        return told(rows)
    names, seeds = given.defects.split() or [results.HITS_NOTHING, *DEFECTS], [int(seed) for seed in given.seeds.split()]
    unknown = [name for name in names if name not in ORDER]
    if unknown:
        parser.error(f"no such defect: {', '.join(unknown)}; there are {', '.join(DEFECTS)}")
    wanted = dict.fromkeys(pair for name in names for pair in runs_for(name))
    as_expected = [told(played(defect, experiment, seeds)) == 0 for defect, experiment in wanted]
    return 0 if all(as_expected) else 1


def runs_for(name: str) -> tuple[tuple[str, str], ...]:
    """Which bank is put through which experiment: the sound one before each broken one."""
    if name not in DEFECTS:
        return ((name, "hits_nothing"),) if name == results.HITS_NOTHING else ()
    return ((results.SOUND, DEFECTS[name].experiment), (name, DEFECTS[name].experiment))


def played(defect: str, experiment: str, seeds: list[int]) -> tuple[results.Row, ...]:
    folder = HERE if defect == results.HITS_NOTHING else results.ROOT / "experiments"
    option = defect if defect in DEFECTS else results.SOUND
    with tempfile.TemporaryDirectory(prefix="matrix-") as runs:
        for seed in seeds:
            command = [sys.executable, "-m", "chaoskit.cli", "run", str(folder / f"{experiment}.chaos.yaml"), "--on", "process"]
            command += ["--seed", str(seed), "--runs", runs, "--lock", Path(runs).name, "--option", f"defect={option}"]
            subprocess.run(command, capture_output=True, check=False)  # what it says is in the run folder
        rows = rows_of(Path(runs).iterdir())
    keep(rows)
    return rows


def told(rows: Iterable[results.Row]) -> int:
    """Print each row; 1 if any is not as it must be."""
    wrong = 0
    for row in rows:
        is_right = row.is_as_expected()
        print(row.name, "as expected" if is_right else "NOT AS EXPECTED", *row.seen, sep="\n  ", flush=True)
        wrong += not is_right
    return 1 if wrong else 0


def rows_of(folders: Iterable[Path]) -> tuple[results.Row, ...]:
    """One row for each bank in each experiment; of two runs with one seed the later one."""
    found: dict[tuple[str, str], dict[int, tuple[str, results.Seen]]] = {}
    for folder in sorted(folders, key=lambda one: one.name):
        defect, experiment, at, seen = judged(folder)
        found.setdefault((defect, experiment), {})[seen.seed] = (at, seen)
    return tuple(
        results.Row(
            defect=defect,
            experiment=experiment,
            convicted_by=DEFECTS[defect].convicted_by if defect in DEFECTS else "",
            on="process",
            version=version(),
            at=max(at for at, _ in runs.values()),
            seen=tuple(runs[seed][1] for seed in sorted(runs)),
        )
        for (defect, experiment), runs in found.items()
    )


def judged(folder: Path) -> tuple[str, str, str, results.Seen]:
    history, verdict = RunFolder(folder).read_history(), judge_again(folder, Registry())
    run, options = history.run, history.run.get("options")
    document = DOCUMENT.search(str(run.get("reproduce")))
    if run.get("on") != "process" or document is None or not isinstance(options, dict):
        raise SystemExit(f"{folder}: not a run of the bank on processes, from an experiment in a file")
    defect, experiment = str(options.get("defect", results.SOUND)), document[1]
    if experiment == "hits_nothing":
        defect = results.HITS_NOTHING
    failed = [finding for finding in verdict.findings if finding.outcome is Result.FAILED]
    unshown = [finding for finding in verdict.findings if finding.outcome is Result.INCONCLUSIVE]
    right = [finding for finding in failed if defect in DEFECTS and finding.checker == DEFECTS[defect].convicted_by]
    sentences = (*verdict.problems, *(finding.summary for finding in (*right, *failed, *unshown)))
    seen = results.Seen(
        seed=verdict.seed,
        verdict=verdict.result.value,
        failed=tuple(dict.fromkeys(finding.checker for finding in failed)),
        first=next(iter(sentences), ""),
        final_total=usual.final_total(history),
        balance_reads=usual.balance_reads(history),
    )
    at = dt.datetime.strptime(str(run["wall"]), "%Y-%m-%dT%H:%M:%S%z").astimezone(dt.UTC)
    return defect, experiment, f"{at:%Y-%m-%d %H:%M} UTC", seen


def keep(rows: Iterable[results.Row]) -> None:
    everything = results.merged(results.read(), rows, order=ORDER)
    results.write(everything)
    results.PAGE.write_text(results.page(everything, TITLES))
    results.README.write_text(results.with_table(results.README.read_text(), results.short(everything)))


def version() -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=results.ROOT, capture_output=True, text=True, check=False)
    said = subprocess.run([sys.executable, "-m", "chaoskit.cli", "--version"], capture_output=True, text=True, check=True)
    return f"{said.stdout.split()[-1]} ({commit.stdout.strip() or 'not from a repository'})"


if __name__ == "__main__":
    sys.exit(main())
