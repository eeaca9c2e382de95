"""Runs summed up for a page of CI: never green by accident, and nothing of a title is read as Markdown."""

import json

import pytest

from chaoskit.cli import main
from chaoskit.engine.store import RunFolder
from chaoskit.model.errors import UsageError
from chaoskit.model.experiment import EnvironmentChoice, Experiment, LoadShape
from chaoskit.model.verdict import Result, Verdict
from chaoskit.reports.markdown import Line, line, markdown, unreadable

RUPIAH = {"event": "run", "title": "x", "currency": {"code": "Rp", "minor_digits": 0}, "at_ns": 1}


def experiment(title):
    load = LoadShape(arrivals_per_s=1, duration_s=1, mix={"pay": 1})
    return Experiment(title=title, environment=EnvironmentChoice(use="bank"), load=load, document="# none\n")


@pytest.fixture
def stored(tmp_path):
    def store(*, record=RUPIAH, seed=7, **changes):
        values = {"result": Result.FAILED, "title": "the standby takes over", "findings": (), "rto_s": 6.25}
        verdict = Verdict(**{**values, "rpo_operations": 2, "rpo_amount": 370000, **changes})
        folder = RunFolder.create(tmp_path / "runs", experiment(verdict.title), seed=seed)
        folder.write_verdict(verdict)
        if record is not None:
            folder.history.write_text(json.dumps(record) + "\n")
        return folder.path

    return store


def test_a_run_is_one_line_with_its_worst_outage_and_the_money_that_is_lost(stored):
    path = stored()
    text = markdown([line(path)])
    assert text.splitlines() == [
        "**chaoskit: 1 run: 1 FAILED**",
        "",
        "| verdict | experiment | longest without service | money lost | run |",
        "|---|---|---|---|---|",
        f"| **FAILED** | the standby takes over | 6.2 s | Rp 370,000 in 2 operations | [{path.name}](<{path}>) |",
    ]


def test_what_is_not_known_is_not_a_zero(stored):
    told = line(stored(rto_s=None, rpo_operations=None, rpo_amount=None))
    assert (told.without_service, told.money_lost) == ("–", "not judged")
    assert line(stored(record=None)).money_lost == "370,000 in 2 operations", "minor units, since nothing names the currency"
    assert line(stored(rpo_operations=0, rpo_amount=0)).money_lost == "Rp 0 in 0 operations"


@pytest.mark.parametrize("result", Result)
def test_only_a_pass_is_not_set_in_bold(stored, result):
    row = markdown([line(stored(result=result))]).splitlines()[-1]
    assert row.startswith(f"| {result.value.upper()} |" if result is Result.PASSED else f"| **{result.value.upper()}** |")


def test_a_title_stays_one_cell_of_plain_text(stored):
    row = markdown([line(stored(title="a | b\n<img src=x> `c` *d* @everyone #1 [e](f) a_b _g_"))]).splitlines()[-1]
    assert r"a \| b \<img src=x\> \`c\` \*d\* \@everyone \#1 \[e\](f) a_b \_g\_" in row


def test_links_lead_where_the_folders_are_kept(tmp_path):
    told = Line(folder=tmp_path / "a b", verdict="PASSED", what="x")
    assert markdown([told], link="https://ci/job/1/runs/{run}/").endswith("| [a b](<https://ci/job/1/runs/a b/>) |\n")
    assert markdown([told], link="https://ci/job/1").endswith("| [a b](<https://ci/job/1>) |\n")


def test_the_first_line_counts_every_kind_the_worst_at_the_end(tmp_path):
    lines = [Line(folder=tmp_path, verdict=word, what="") for word in ("FAILED", "PASSED", "PASSED")]
    lines.append(unreadable(tmp_path, UsageError("gone")))
    assert markdown(lines).startswith("**chaoskit: 4 runs: 2 PASSED, 1 FAILED, 1 NO VERDICT**\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "7",
        '{"verdict": "passed"}',
        '{"verdict": "fine", "title": "", "rto_s": 1, "rpo": {}}',
        "\xff",
        "[" * 100_000,
    ],
)
def test_a_file_that_is_no_verdict_is_refused(tmp_path, text):
    (tmp_path / "verdict.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match="is not the verdict of a run"):
        line(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [{"rto_s": "long"}, {"rpo": None}, {"rpo": {"operations": "two", "amount": 1}}, {"rpo": {"operations": 2, "amount": None}}],
)
def test_a_verdict_of_another_format_is_refused(stored, changes):
    path = stored()
    values = json.loads((path / "verdict.json").read_text())
    (path / "verdict.json").write_text(json.dumps({**values, **changes}))
    with pytest.raises(UsageError, match="is not the verdict of a run"):
        line(path)


def test_the_command_exits_0_whatever_the_verdicts_are(stored, capsys):
    assert main(["report", str(stored()), str(stored(result=Result.PASSED)), "--format", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("**chaoskit: 2 runs: 1 PASSED, 1 FAILED**")


def test_a_run_without_a_verdict_has_a_line_and_exits_2(stored, tmp_path, capsys):
    dead = RunFolder.create(tmp_path / "runs", experiment("killed"), seed=8).path
    assert main(["report", str(dead), str(stored(result=Result.PASSED)), "--link", "https://ci/{run}"]) == 2
    out, errors = capsys.readouterr()
    assert "1 PASSED, 1 NO VERDICT" in out
    assert f"| **NO VERDICT** | {dead}/verdict.json" in out
    assert f"chaoskit heal {dead}" in errors


def test_no_run_at_all_is_not_silence(tmp_path, capsys):
    """A shell leaves `runs/*` as it is when there is none."""
    assert main(["report", str(tmp_path / "runs" / "*")]) == 2
    assert "1 NO VERDICT" in capsys.readouterr().out
