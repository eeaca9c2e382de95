"""The page of defects: nothing is missing, nothing is written by hand, and the usual checks beside ours are what they are said to be."""

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from chaoskit import documents
from chaoskit.bank.defects import DEFECTS
from chaoskit.model.history import Attempt, FinalReads, History, Operation, Outcome
from chaoskit.model.topology import AccountState, LedgerState
from chaoskit.registry import Registry

HERE = Path(__file__).parent
TITLES = {defect.name: defect.title for defect in DEFECTS.values()}


@pytest.fixture(autouse=True)
def _beside(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))


@pytest.fixture
def results(_beside):
    yield importlib.import_module("results")
    sys.modules.pop("results")


@pytest.fixture
def usual(_beside):
    yield importlib.import_module("usual")
    sys.modules.pop("usual")


def row(results, defect="async-replication", *, failed=("ack-durable",), verdict="failed", at="2026-11-25 12:00 UTC"):
    runs = tuple(
        results.Seen(seed=n, verdict=verdict, failed=failed, first="Rp 1 is gone", final_total="passed", balance_reads="passed")
        for n in (1, 2)
    )
    named = DEFECTS[defect].convicted_by if defect in DEFECTS else ""
    return results.Row(
        defect=defect, experiment="database_failover", convicted_by=named, on="process", version="0.1.0", at=at, seen=runs
    )


def test_every_defect_is_in_the_page_and_in_the_readme(results):
    page, readme = results.PAGE.read_text(), results.README.read_text()
    missing = [name for name in DEFECTS if f"### {name}\n" not in page or f"| `{name}` |" not in readme]
    assert missing == [], f'make matrix DEFECTS="{" ".join(missing)}"'


def test_the_page_and_the_readme_show_the_recorded_results(results):
    rows = results.read()
    assert results.PAGE.read_text() == results.page(rows, TITLES), "make matrix"
    assert results.with_table(results.README.read_text(), results.short(rows)) == results.README.read_text(), "make matrix"


def test_every_recorded_run_ended_as_it_must(results):
    rows = results.read()
    assert [row.name for row in rows if not row.is_as_expected()] == []
    assert all(len(row.seen) >= 2 for row in rows)
    assert all(DEFECTS[row.defect].experiment == row.experiment for row in rows if row.defect in DEFECTS)
    sound = {row.experiment: {run.seed for run in row.seen} for row in rows if row.defect == results.SOUND}
    unlike = {
        row.name for row in rows if not {run.seed for run in row.seen} <= sound.get(row.experiment, {run.seed for run in row.seen})
    }
    assert unlike == set(), "the sound bank did not run with the same seeds"
    assert {defect.experiment for defect in DEFECTS.values()} <= set(sound)
    assert any(row.defect == results.HITS_NOTHING for row in rows)


def test_a_defect_that_one_seed_does_not_convict_is_not_convicted(results):
    whole = row(results)
    assert whole.is_as_expected()
    escaped = replace(whole, seen=(whole.seen[0], replace(whole.seen[1], verdict="passed", failed=())))
    by_another = replace(whole, seen=(whole.seen[0], replace(whole.seen[1], failed=("takeover",))))
    assert not escaped.is_as_expected()
    assert not by_another.is_as_expected()
    assert "**nothing**" in results.short((escaped,))
    assert "0 of 1 defects are convicted" in results.page((escaped,), TITLES)
    assert "**○**" in results.page((escaped,), TITLES)


def test_the_sound_bank_may_only_pass_and_a_fault_that_hits_nothing_may_not(results):
    accused, unsure = (row(results, results.SOUND, verdict=verdict) for verdict in ("failed", "inconclusive"))
    assert not accused.is_as_expected()
    assert not unsure.is_as_expected()
    assert row(results, results.SOUND, verdict="passed", failed=()).is_as_expected()
    assert not row(results, results.HITS_NOTHING, verdict="passed", failed=()).is_as_expected()
    assert row(results, results.HITS_NOTHING, verdict="inconclusive", failed=()).is_as_expected()


def test_a_new_row_takes_the_place_of_the_old_one_and_a_defect_that_is_gone_has_none(results):
    old = [row(results, "no-takeover"), row(results, at="2026-11-24 12:00 UTC"), replace(row(results), defect="long-gone")]
    old.append(replace(row(results), experiment="where_it_was_before"))
    order = {name: defect.experiment for name, defect in reversed(DEFECTS.items())}
    rows = results.merged(old, [row(results)], order=order)[::-1]
    assert [(r.defect, r.at) for r in rows] == [
        ("async-replication", "2026-11-25 12:00 UTC"),
        ("no-takeover", "2026-11-25 12:00 UTC"),
    ]


def test_what_is_written_is_read_again(results, tmp_path):
    rows = (row(results),)
    results.write(rows, tmp_path / "results.json")
    assert results.read(tmp_path / "results.json") == rows
    assert json.loads((tmp_path / "results.json").read_text())[0]["defect"] == "async-replication"


def test_the_experiment_that_hits_nothing_is_a_valid_document():
    documents.read(HERE / "hits_nothing.chaos.yaml", registry=Registry())


def books(**balances):
    kinds = [
        AccountState(account=name, kind="customer", balance=balance, version=0, lowest=0) for name, balance in balances.items()
    ]
    return LedgerState(read_from="db-1", accounts=tuple(kinds), postings=())


def look(account, balance):
    answered = Attempt(number=1, start_ns=1, end_ns=2, outcome=Outcome.OK, result={"account": account, "balance": balance})
    return Operation(number=1, journey="balance", due_ns=1, attempts=(answered,))


def history(first, second=None, *looks):
    return History(opening={"ada": 100, "ben": 100}, operations=looks, final=FinalReads(first=first, second=second or first))


@pytest.mark.parametrize(
    "told,total,reads",
    [
        (history(books(ada=30, ben=170)), "passed", "passed"),
        (history(books(ada=30, ben=100)), "FAILED", "FAILED"),
        (history(books(ada=30, ben=170), books(ada=30, ben=171)), "passed", "FAILED"),
        (history(books(ada=30, ben=170), None, look("ada", -1)), "passed", "FAILED"),
        (history(books(ada=30, ben=170), None, look("ada", 99_999)), "passed", "passed"),
        (history(books(ada=-1, ben=201)), "passed", "FAILED"),
        (history(books(ada=30, eve=170)), "passed", "FAILED"),
        (History(), "no evidence", "no evidence"),
    ],
)
def test_the_usual_checks_look_at_totals_and_signs_and_nothing_else(usual, told, total, reads):
    assert (usual.final_total(told), usual.balance_reads(told)) == (total, reads)
