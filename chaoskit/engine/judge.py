"""Turns a history into a verdict. Pure: a stored run can be judged again, also by newer checkers."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from chaoskit.engine import early
from chaoskit.model import measures
from chaoskit.model.errors import NotExercised
from chaoskit.model.experiment import Experiment
from chaoskit.model.history import History, Outcome
from chaoskit.model.protocols import Checker
from chaoskit.model.verdict import Finding, Result, Verdict, merge


def judge(experiment: Experiment, history: History, *, seed: int, reproduce: str) -> Verdict:
    """The verdict on *history*: every expectation judged, the run's own problems merged in."""
    expected: Iterable[Finding] = (finding for check in experiment.expect for finding in findings_of(check, history))
    if experiment.faults and history.first_injected_ns is None:
        expected = (_without_fault(finding) for finding in expected)
    was_hit = history.first_injected_ns is not None
    expected = _without_need(expected, wrong_early=early_findings(experiment, history), was_hit=was_hit)
    judged = [*_steady(experiment, history), *_by_cause(expected)]
    findings = tuple(finding for finding in judged if not finding.is_absent)
    problems = [(Result(problem.result), problem.text) for problem in history.problems]
    if not history.complete and not problems:
        problems.append((Result.ERROR, "the history has no end: the run was cut off before it could be judged"))
    problems += [(Result.INCONCLUSIVE, text) for text in _not_exercised(history)]
    result = merge((*(finding.outcome for finding in findings), *(result for result, _ in problems)))
    lost = next((f for f in findings if "lost_operations" in f.measures), None)
    amount = _whole(lost, "lost_amount")
    journeys = sorted({operation.journey for operation in history.operations})
    outage_s = {journey: round(measures.outage_s(history, journey), 3) for journey in journeys} if was_hit else {}
    verdict = Verdict(
        result=result,
        findings=findings,
        title=experiment.title,
        problems=tuple(text for _, text in problems),
        rto_s=max(outage_s.values(), default=None),
        outage_s=outage_s,
        availability=_availability(history, journeys),
        rpo_operations=_whole(lost, "lost_operations"),
        rpo_amount=amount,
        rpo_text="" if amount is None else history.currency.shown(amount),
        faults=tuple(_fault_rows(history)),
        operations=dict(sorted(Counter(one.as_its_customer_saw.outcome.value for one in history.operations).items())),
        settled=_settled(history),
        took_s=_took_s(history),
        seed=seed,
        reproduce=reproduce,
        allowed=_allowed(history),
        not_shown=(*_absent(judged), *_not_shown(experiment, history)),
    )
    return experiment.secrets.redacted(verdict)  # a checker may quote its own parameters


def _settled(history: History) -> dict[str, int]:
    """How many of the operations without a clear answer ended how; `answered` are those that were answered when sent again."""
    ends = Counter(history.final.settled.values()) if history.final else Counter()
    answered = sum(o.outcome is Outcome.OK and o.as_its_customer_saw.outcome is not Outcome.OK for o in history.operations)
    return dict(sorted((ends + Counter(answered=answered)).items()))


def early_findings(experiment: Experiment, history: History) -> tuple[Finding, ...]:
    """What was wrong with the money before anything was injected, by the early reading of the ledger; () without one."""
    known = early.known_early(history)
    if known is None:
        return ()
    found = (finding for check in early.checks(experiment) for finding in findings_of(check, known))
    return tuple(finding for finding in found if finding.outcome is Result.FAILED)


def _without_need(expected: Iterable[Finding], *, wrong_early: tuple[Finding, ...], was_hit: bool) -> Iterator[Finding]:
    """The findings about money say where no fault was needed; what was wrong early and is not any more is a finding, too."""
    findings = list(expected)
    wrong = {finding.checker for finding in findings if finding.safety and finding.outcome is Result.FAILED}
    for finding in wrong_early:
        if finding.checker not in wrong:
            yield replace(finding, summary=f"{finding.summary} before anything was injected (no fault was needed)")
    needless = wrong & {finding.checker for finding in wrong_early} if was_hit else wrong
    for finding in findings:
        if finding.checker in needless:
            yield replace(finding, summary=f"{finding.summary} (no fault was needed)")
        else:
            yield finding


def _by_cause(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Money checks stand in order of cause, so what the first one found may be why later ones failed: each of those says so."""
    cause = ""
    for finding in findings:
        if not (finding.safety and finding.outcome is Result.FAILED):
            yield finding
        elif cause:
            yield replace(finding, summary=f"{finding.summary} (may follow from {cause}: look there first)")
        else:
            cause = finding.checker
            yield finding


def _absent(findings: Iterable[Finding]) -> Iterator[str]:
    """What was to be judged if there was any, and was not there: each reason once, with the checks that it is about."""
    by_reason: dict[str, list[str]] = {}
    for finding in findings:
        if finding.is_absent:
            by_reason.setdefault(finding.summary, []).append(finding.checker)
    return (f"{', '.join(checkers)}: {reason}" for reason, checkers in by_reason.items())


def _not_exercised(history: History) -> Iterator[str]:
    """Why no expectation may pass, whatever the checks say: nobody came, or a fault did not bite."""
    if not history.operations:
        yield "nobody was let in, so nothing was shown"
    for fault in history.faults:
        if fault.injecting_ns is None:
            yield f"{fault.fault} was never injected"
        elif not fault.effect_seen:
            yield f"{fault.fault} was injected but its effect was not seen: {fault.evidence or 'there was no sign of it'}"


def _steady(experiment: Experiment, history: History) -> tuple[Finding, ...]:
    """The steady state before the first injection. Not steady means nothing was shown, not that the bank failed."""
    injected_ns = history.first_injected_ns
    before = history if injected_ns is None else history.until(injected_ns - measures.UNDER_WAY_NS)
    return tuple(
        replace(
            finding,
            checker=f"steady-state {finding.checker}",
            outcome=Result.INCONCLUSIVE if finding.outcome is Result.FAILED else finding.outcome,
        )
        for check in experiment.steady_state
        for finding in findings_of(check, before)
    )


def findings_of(check: Checker, history: History) -> tuple[Finding, ...]:
    """What *check* says. A checker that breaks, says nothing, or says what is no finding has proven nothing."""
    try:
        findings = tuple(check.check(history))
        strange = [finding for finding in findings if not _is_finding(finding)]
    except Exception as error:
        return (_proves_nothing(check, f"the checker itself broke: {type(error).__name__}: {error}"),)
    if strange:
        return (_proves_nothing(check, f"the checker gave {strange[0]!r:.200}, which is no finding"),)
    return findings or (_proves_nothing(check, "the checker said nothing"),)


def _without_fault(finding: Finding) -> Finding:
    """What a failed expectation means when nothing was injected: nothing, unless it is about money, which must always be right."""
    if finding.outcome is not Result.FAILED or finding.safety:
        return finding
    return replace(finding, outcome=Result.INCONCLUSIVE, summary=f"{finding.summary} (but nothing had been injected)")


def _is_finding(said: object) -> bool:
    return isinstance(said, Finding) and said.outcome in {Result.PASSED, Result.INCONCLUSIVE, Result.FAILED}


def _proves_nothing(check: Checker, summary: str) -> Finding:
    return Finding(checker=check.name, outcome=Result.INCONCLUSIVE, summary=summary)


def _availability(history: History, journeys: list[str]) -> dict[str, float]:
    """Share served by journey; without those of which no operation has ended, which happens when a load is cut off at once."""
    shares = {}
    for journey in journeys:
        with contextlib.suppress(NotExercised):
            shares[journey] = round(measures.availability(history, journey), 5)
    return shares


def _allowed(history: History) -> tuple[str, ...]:
    allowed = history.run.get("allowed")
    return tuple(str(one) for one in allowed) if isinstance(allowed, list) else ()


def _took_s(history: History) -> float | None:
    began, ended = history.run.get("at_ns"), history.phases.get("end")
    return round((ended - began) / 1e9, 1) if isinstance(began, int) and ended is not None else None


def _fault_rows(history: History) -> list[dict[str, object]]:
    def at(time_ns: int | None) -> float | None:
        return None if time_ns is None else round(history.seconds(time_ns), 3)

    return [
        {
            "fault": fault.fault,
            "kind": fault.kind,
            "targets": list(fault.targets),
            "due_at_s": at(fault.due_ns),
            "injected_at_s": at(fault.injecting_ns),
            "late_ms": None if fault.injecting_ns is None else round((fault.injecting_ns - fault.due_ns) / 1e6, 1),
            "effect_seen": fault.effect_seen,
            "evidence": fault.evidence,
            "healed_at_s": at(fault.healed_ns),
            "heal_evidence": fault.heal_evidence,
            "error": fault.error,
        }
        for fault in history.faults
    ]


def _whole(finding: Finding | None, name: str) -> int | None:
    value = finding.measures.get(name) if finding else None
    return value if isinstance(value, int) else None


def _not_shown(experiment: Experiment, history: History) -> list[str]:
    lines = []
    if experiment.faults:
        kinds = ", ".join(dict.fromkeys(injection.fault.kind for injection in experiment.faults))
        lines.append(f"anything beyond this one schedule of {kinds} under {experiment.load.arrivals_per_s:g} customers a second")
    else:
        lines.append("how the system behaves when something breaks: no fault was asked for")
    if any(injection.fault.kind in {"kill", "pause"} for injection in experiment.faults):
        lines.append("a power cut: processes were stopped, what the kernel held was kept")
    if history.final is None:
        lines.append("whether the money is right: the ledger was not read")
    elif history.final.first is not None and history.final.first.lacks:
        lines.append(f"what needs {', '.join(sorted(history.final.first.lacks))}: the ledger does not show it")
    elif len(history.final.digests) == 1:
        lines.append(f"that the copies agree: only {', '.join(history.final.digests)} answered at the end")
    if history.early is not None and history.early.error:
        lines.append(f"whether the money was right before the first fault: {history.early.error}")
    lines.append("that any rule or law is met: this is evidence of one run, not a certificate")
    return lines
