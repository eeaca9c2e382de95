"""The report as it is read at three in the morning."""

from chaoskit.model.verdict import Finding, Result, Verdict
from chaoskit.reports.text import text_report

FAULT = {
    "fault": "faults[0] kill", "kind": "kill", "targets": ["ledger-db-1"], "due_at_s": 12.0, "injected_at_s": 12.001,
    "late_ms": 1.0, "effect_seen": True, "evidence": "no process is left", "healed_at_s": 40.2,
}  # fmt: skip


def verdict(**changes):
    values = {
        "result": Result.FAILED,
        "title": "the standby takes over",
        "findings": (
            Finding(checker="takeover", outcome=Result.PASSED, summary="ledger-db-2 took over after 6.2 s"),
            Finding(checker="ack-durable", outcome=Result.FAILED, summary="2 are gone", evidence=("a", "b", "c", "d")),
        ),
        "faults": (FAULT,),
        "outage_s": {"transfer": 6.2},
        "rpo_operations": 2,
        "rpo_amount": 370000,
        "rpo_text": "Rp 370,000",
        "operations": {"ok": 90, "fail": 3, "info": 7},
        "settled": {"applied": 4, "tombstone": 3},
        "reproduce": "chaoskit run x.chaos.yaml --seed 7",
    }
    return text_report(Verdict(**{**values, **changes}), folder="runs/x")


def test_the_first_line_is_the_verdict_and_the_last_is_how_to_do_it_again():
    lines = verdict().splitlines()
    assert lines[0] == "FAILED: the standby takes over"
    assert lines[-1] == "Run again:   chaoskit run x.chaos.yaml --seed 7"


def test_says_what_broke_who_took_over_and_what_was_lost():
    text = verdict()
    assert "kill of ledger-db-1 at 12.001 s, effect seen; healed at 40.2 s" in text
    assert "Took over:  ledger-db-2 took over after 6.2 s" in text
    assert "Money lost:  Rp 370,000 in 2 acknowledged operations" in text
    assert "7 without an answer (in the books: 4 carried out, 3 never happened and can no longer happen)" in text
    assert "and 1 more in verdict.json" in text


def test_what_was_answered_only_when_it_was_sent_again_is_told_apart_from_what_the_books_say():
    assert "7 without an answer (sent again and answered: 5; in the books: 2 carried out)" in verdict(
        settled={"answered": 5, "applied": 2}
    )
    assert "7 without an answer (sent again and answered: 7)" in verdict(settled={"answered": 7})
    assert "7 without an answer\n" in verdict(settled={})


def test_never_hides_what_is_not_healed_not_injected_or_not_known():
    assert "NOT HEALED" in verdict(faults=({**FAULT, "healed_at_s": None},))
    assert "effect NOT seen" in verdict(faults=({**FAULT, "effect_seen": False},))
    assert "was never injected" in verdict(faults=({**FAULT, "injected_at_s": None, "targets": []},))
    assert "Money:  could not be judged" in verdict(rpo_operations=None)


def test_a_run_that_never_began_says_why_and_no_more():
    unread = (Finding(checker="ack-durable", outcome=Result.INCONCLUSIVE, summary="not read"),)
    text = verdict(
        result=Result.ERROR, problems=("MissingPart: no Toxiproxy",), operations={}, faults=(), outage_s={}, findings=unread
    )
    assert text.splitlines()[1] == "  ! MissingPart: no Toxiproxy"
    assert "ack-durable" not in text


def test_checks_that_say_the_same_share_a_line():
    same = [Finding(checker=name, outcome=Result.INCONCLUSIVE, summary="not read", evidence=("not read",)) for name in ("a", "b")]
    text = verdict(findings=tuple(same))
    assert "  ?     a, b: not read\n" in text
    assert text.count("not read") == 1
