"""Whether anything that was refused moved money all the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from chaoskit.checkers.money.books import TOLD, Books, effect, judged, ruling
from chaoskit.checkers.wording import counted
from chaoskit.model.history import History, Operation, Outcome
from chaoskit.model.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class NoRefusedEffect:
    """What a customer was told did not happen, did not happen.

    Proves: no key whose every attempt surely failed, and no key that the bank refused or barred when it was settled at the end,
    has a posting in the final ledger; and where several payments were sent under one key, no transaction did what only a refused
    one of them asked for.
    Sound because a refusal after an attempt without an answer does not count as one: the first attempt may be why the second was
    refused. Such a key is unknown until it is settled.
    Cannot see: refusals that never came up; where nothing was refused it passes and says so.
    Catches a refusal after the commit, two requests of one key racing, a tombstone that does not hold.
    """

    name: ClassVar[str] = "no-refused-effect"
    is_sound_early: ClassVar[bool] = True

    def check(self, history: History) -> tuple[Finding, ...]:
        return judged(self.name, history, self._judge, needs=TOLD)

    def _judge(self, books: Books) -> Finding:
        settled = books.history.final.settled if books.history.final else {}
        posted = books.ledger.applied_keys
        refused = 0
        wrong = []
        for key, operations in books.asked.items():
            outcomes = {operation.outcome for operation in operations}
            is_barred = Outcome.OK not in outcomes and settled.get(key) in ("refused", "tombstone")
            if outcomes != {Outcome.FAIL} and not is_barred:
                # Of several payments under one key some may be refused: what became of them is looked at below.
                refused += sum(one.outcome is Outcome.FAIL for one in operations) if len(operations) > 1 else 0
                continue
            refused += 1
            if key in posted:
                how = f"settled as {settled[key]}" if is_barred else f"refused ({operations[0].why or 'no reason given'})"
                wrong.append(f"{books.says(operations[0])} was {how} and is in the ledger")
        for transaction in books.transactions:
            rivals = books.asked.get(transaction.key, ())
            alike = [operation for operation in rivals if effect(operation) == transaction.done] if len(rivals) > 1 else []
            if alike and {o.outcome for o in alike} == {Outcome.FAIL} and {o.outcome for o in rivals} != {Outcome.FAIL}:
                wrong.append(
                    f"{books.says(alike[0])} was refused, and is in the ledger under the key of {books.says(_other(rivals))}"
                )
        passed = f"{counted(refused, 'refused operation')}, none of them moved money" if refused else "no operation was refused"
        return ruling(
            self.name,
            wrong=wrong,
            failed=f"{len(wrong):,} of {counted(refused, 'refused operation')} moved money",
            passed=passed,
            measured={"refused_operations": refused, "refused_with_effect": len(wrong)},
        )


def _other(rivals: Sequence[Operation]) -> Operation:
    return next(operation for operation in rivals if operation.outcome is not Outcome.FAIL)
