"""What the matrix has seen: one row for each defect, kept as a file beside this one and shown as a page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from chaoskit.registry import Registry

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).with_name("results.json")
PAGE = ROOT / "docs" / "reference" / "defects.md"
README = ROOT / "README.md"
BEGIN, END = "<!-- matrix: begin, written by make matrix -->", "<!-- matrix: end -->"
HITS_NOTHING = "a fault that hits nothing"
SOUND = "none"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One run: the verdict, the checks that said FAILED in order of cause, and what the usual checks say of the same record."""

    seed: int
    verdict: str
    failed: tuple[str, ...]
    first: str
    """The first sentence of the verdict: of what failed, else of what was not shown; "" for a run that passed."""
    final_total: str
    balance_reads: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """A defect, or the sound bank (`none`), in one experiment. `convicted_by` is "" where nothing may be convicted."""

    defect: str
    experiment: str
    convicted_by: str
    on: str
    version: str
    at: str
    seen: tuple[Seen, ...]

    @property
    def name(self) -> str:
        return f"{self.defect} in {self.experiment}"

    @property
    def failed(self) -> tuple[str, ...]:
        """Every check that said FAILED in any of the runs, in order of cause."""
        return tuple(dict.fromkeys(check for run in self.seen for check in run.failed))

    def usual(self, check: str) -> str:
        return " / ".join(dict.fromkeys(str(getattr(run, check)) for run in self.seen))

    def is_as_expected(self) -> bool:
        if self.defect == HITS_NOTHING:
            return all(run.verdict == "inconclusive" for run in self.seen)
        if not self.convicted_by:
            return all(run.verdict == "passed" for run in self.seen)
        return all(run.verdict == "failed" and self.convicted_by in run.failed for run in self.seen)


def read(path: Path = RESULTS) -> tuple[Row, ...]:
    rows = json.loads(path.read_text()) if path.exists() else []
    return tuple(
        Row(**{**row, "seen": tuple(Seen(**{**run, "failed": tuple(run["failed"])}) for run in row["seen"])}) for row in rows
    )


def merged(old: Iterable[Row], new: Iterable[Row], *, order: Mapping[str, str]) -> tuple[Row, ...]:
    """*new* in place of the *old* rows of the same name. *order* has the experiment of each defect, "" for any, in their order.

    Rows of defects that are gone are dropped, and those in an experiment that is no longer the defect's.
    """
    rows = {row.name: row for row in (*old, *new)}
    places = {defect: place for place, defect in enumerate(order)}
    known = [row for row in rows.values() if order.get(row.defect) in ("", row.experiment)]
    return tuple(sorted(known, key=lambda row: (places[row.defect], row.experiment)))


def write(rows: Iterable[Row], path: Path = RESULTS) -> None:
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")


def page(rows: tuple[Row, ...], titles: Mapping[str, str]) -> str:
    """The reference page. Nothing in it is written by hand."""
    broken = [row for row in rows if row.convicted_by]
    failed = dict.fromkeys(check for row in broken for check in row.failed)
    # The checks of money in order of cause, then the others.
    checks = [check.name for check in Registry().checks("money") if check.name in failed]
    checks += [check for check in failed if check not in checks]
    sound = [row for row in rows if row.defect == SOUND]
    lines = [
        "# Defects, and what convicts them",
        "",
        "The reference bank can be broken in each of these ways (`--option defect=NAME`); `chaoskit list defects` says what is different and which published failure it is like.",
        '`make matrix` runs each of them in the experiment in which it is convicted and writes this page; `make matrix DEFECTS="NAME NAME"` renews single rows. Nothing here is written by hand.',
        "",
        "The last two columns are what two usual checks say of the same recorded runs:",
        "*final total*, whether all balances add up at the end to what they were at the beginning, and *balance reads*, whether every answered read has the right total and no balance below zero",
        "(the best-known check of a bank, Jepsen's; our customers read one account at a time, so its reads of all accounts are the two at the end of the run).",
        "",
        _summary(rows, broken),
        "",
        f"| defect | experiment | {' | '.join(checks)} | final total | balance reads |",
        "|---|---|" + "---|" * (len(checks) + 2),
    ]
    for row in broken:
        cells = [_mark(row, check) for check in checks]
        lines.append(
            f"| [`{row.defect}`](#{row.defect}) | `{row.experiment}` | {' | '.join(cells)} | {row.usual('final_total')} | {row.usual('balance_reads')} |"
        )
    lines += [
        "",
        "**●** is the check that must convict the defect, ● another one that said FAILED as well, ○ one that said so with some seeds only. A check without a column never did.",
        "A defect that loses money is seen by several checks, and by those of availability where it costs an outage; the verdict says which one to look at first.",
        "",
        "## The sound bank, in the same experiments with the same seeds",
        "",
        "| experiment | verdict | seeds | when |",
        "|---|---|---|---|",
        *(f"| `{row.experiment}` | {_verdicts(row)} | {_seeds(row)} | {row.at} |" for row in sound),
        "",
        "## An experiment that tests nothing",
        "",
        *(
            f"`tests/matrix/{row.experiment}.chaos.yaml` cuts a link to a service that is down already: {_verdicts(row)} (seeds {_seeds(row)}), never passed.\n\n> {row.seen[0].first}"
            for row in rows
            if row.defect == HITS_NOTHING
        ),
        "",
        "## What the verdict says of each",
        "",
    ]
    for row in broken:
        lines += [
            f"### {row.defect}",
            "",
            f"{titles[row.defect]}. Convicted by `{row.convicted_by}` in `{row.experiment}` on {row.on}; run {row.at}, judged by chaoskit {row.version}.",
            "",
            *(f"- seed {run.seed}, {run.verdict}: {run.first}" for run in row.seen),
            "",
        ]
    return "\n".join(lines).rstrip() + "\n"


def short(rows: tuple[Row, ...]) -> str:
    """The table of the README."""
    lines = ["| defect | convicted by | final total | balance reads |", "|---|---|---|---|"]
    for row in rows:
        if row.convicted_by:
            others = len([check for check in row.failed if check != row.convicted_by])
            more = f" (+{others})" if others else ""
            said = f"`{row.convicted_by}`{more}" if row.is_as_expected() else "**nothing**"
            lines.append(f"| `{row.defect}` | {said} | {row.usual('final_total')} | {row.usual('balance_reads')} |")
    return "\n".join(lines)


def with_table(readme: str, table: str) -> str:
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def _summary(rows: tuple[Row, ...], broken: list[Row]) -> str:
    convicted = sum(row.is_as_expected() for row in broken)
    total, reads = (sum(row.usual(check) == "FAILED" for row in broken) for check in ("final_total", "balance_reads"))
    sound = [row for row in rows if row.defect == SOUND]
    passed = sum(run.verdict == "passed" for row in sound for run in row.seen)
    runs = sum(len(row.seen) for row in sound)
    return (
        f"{convicted} of {len(broken)} defects are convicted by the right check with every seed; a final total alone notices {total}, "
        f"reads of balances alone notice {reads}. The sound bank passed {passed} of {runs} runs.\n"
        f"{_when(rows)}"
    )


def _when(rows: tuple[Row, ...]) -> str:
    times, seeds = [row.at for row in rows], sorted({run.seed for row in rows for run in row.seen})
    judged = ", ".join(dict.fromkeys(row.version for row in rows))
    span = f"{min(times)} to {max(times)}" if times else "never"
    return f"Runs of {span} with the seeds {', '.join(map(str, seeds))}, judged by chaoskit {judged}."


def _mark(row: Row, check: str) -> str:
    count = sum(check in run.failed for run in row.seen)
    if not count:
        return ""
    mark = "●" if count == len(row.seen) else "○"
    return f"**{mark}**" if check == row.convicted_by else mark


def _verdicts(row: Row) -> str:
    return " / ".join(dict.fromkeys(run.verdict for run in row.seen))


def _seeds(row: Row) -> str:
    return ", ".join(str(run.seed) for run in row.seen)
