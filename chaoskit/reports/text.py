"""The verdict as text that a person reads in ten seconds: what broke, who took over, is the money right, how to do it again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from chaoskit.model.verdict import Finding, Result, Verdict

WORDS = {
    Result.PASSED: "PASSED",
    Result.FAILED: "FAILED",
    Result.INCONCLUSIVE: "INCONCLUSIVE",
    Result.ABORTED: "ABORTED",
    Result.ERROR: "ERROR",
}
MARKS = {Result.PASSED: "ok  ", Result.FAILED: "FAIL", Result.INCONCLUSIVE: "?   "}
EVIDENCE_SHOWN = 3


def text_report(verdict: Verdict, *, folder: str) -> str:
    """The whole report, ending with how to run it again. Pure; lines are at most about 120 characters."""
    return "\n".join(_lines(verdict, folder)) + "\n"


def _lines(verdict: Verdict, folder: str) -> Iterator[str]:
    took = "" if verdict.took_s is None else f" (took {verdict.took_s:.0f} s)"
    yield f"{WORDS[verdict.result]}: {verdict.title}{took}"
    for problem in verdict.problems:
        yield f"  ! {problem}"
    if verdict.allowed:
        yield f"  Allowed by name:  {', '.join(verdict.allowed)}"
    yield from _broken(verdict)
    yield from _service(verdict)
    if verdict.operations:
        yield from _money(verdict)
        yield ""
        yield from _findings(verdict)
    if verdict.operations and verdict.not_shown:
        yield ""
        yield "Not shown by this run: " + "; ".join(verdict.not_shown) + "."
    yield ""
    yield f"Run folder:  {folder}"
    yield f"Run again:   {verdict.reproduce}"


def _broken(verdict: Verdict) -> Iterator[str]:
    for fault in verdict.faults:
        targets = ", ".join(str(t) for t in _list(fault["targets"])) or "nothing yet"
        begun, healed = fault["injected_at_s"], fault["healed_at_s"]
        if begun is None:
            yield f"  Not broken: {fault['kind']} (due at {fault['due_at_s']} s) was never injected"
            continue
        seen = "effect seen" if fault["effect_seen"] else "effect NOT seen"
        until = f"healed at {healed} s" if healed is not None else "NOT HEALED"
        yield f"  Broken:  {fault['kind']} of {targets} at {begun} s, {seen}; {until}"


def _service(verdict: Verdict) -> Iterator[str]:
    if verdict.outage_s:
        yield "  Without service:  " + ", ".join(f"{journey} {s:.1f} s" for journey, s in verdict.outage_s.items())
    takeover = next((f for f in verdict.findings if f.checker == "takeover"), None)
    if takeover and takeover.outcome is not Result.INCONCLUSIVE:
        yield f"  Took over:  {takeover.summary}"


def _money(verdict: Verdict) -> Iterator[str]:
    if verdict.rpo_operations is None:
        yield "  Money:  could not be judged"
    else:
        yield f"  Money lost:  {verdict.rpo_text} in {verdict.rpo_operations} acknowledged operations"
    counts = verdict.operations
    unknown = counts.get("info", 0)
    answered = verdict.settled.get("answered", 0)
    settled = ", ".join(f"{count} {_SETTLED.get(how, how)}" for how, count in verdict.settled.items() if how != "answered")
    ends = [f"sent again and answered: {answered}"] * bool(answered) + [f"in the books: {settled}"] * bool(settled)
    yield (
        f"  Operations:  {counts.get('ok', 0)} ok, {counts.get('fail', 0)} refused without effect, {unknown} without an answer"
        + (f" ({'; '.join(ends)})" if ends else "")
    )


_SETTLED = {"applied": "carried out", "refused": "refused", "tombstone": "never happened and can no longer happen"}


def _findings(verdict: Verdict) -> Iterator[str]:
    """One line a finding. Those that say the same for the same reason (no ledger was read) share a line."""
    for (outcome, summary), same in itertools.groupby(verdict.findings, key=lambda finding: (finding.outcome, finding.summary)):
        findings = list(same)
        yield f"  {MARKS.get(outcome, '?   ')}  {', '.join(finding.checker for finding in findings)}: {summary}"
        if outcome is not Result.PASSED:
            yield from _evidence(findings[0])


def _evidence(finding: Finding) -> Iterator[str]:
    lines = [line for line in finding.evidence if line != finding.summary]
    for line in lines[:EVIDENCE_SHOWN]:
        yield f"          {line}"
    if len(lines) > EVIDENCE_SHOWN:
        yield f"          and {len(lines) - EVIDENCE_SHOWN} more in verdict.json"


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
