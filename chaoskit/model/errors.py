"""One family of errors, one class per thing a caller can do differently.

Every message has four parts in this order: where, what was given, what was expected, what to do.
"""

from __future__ import annotations

from dataclasses import dataclass


class ChaoskitError(Exception):
    """Something chaoskit could not do. Catch this to catch them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake in a document: its place and what to do about it.

    `line` and `column` count from 1; None where the mistake has no place (a missing file).
    `where` is the path inside the document (`faults[1].between`), "" for the document itself.
    """

    message: str
    file: str = ""
    line: int | None = None
    column: int | None = None
    where: str = ""

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part not in ("", None))
        return ": ".join(part for part in (place, self.where, self.message) if part)


class InvalidDocument(ChaoskitError):
    """A document has mistakes; `problems` lists all of them. Nothing was started: mend the file and run again."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        assert problems, "an invalid document names at least one problem"
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class UsageError(ChaoskitError):
    """The command or call cannot be carried out as given. Nothing was started: change the call."""


class MissingPart(ChaoskitError):
    """A program or package that this environment needs is not here. Install what the message names."""


class MissingEngine(MissingPart):
    """There is no container engine here, or nothing to talk to it with. Start one, or leave out what needs it."""


class Unsupported(ChaoskitError):
    """The environment cannot do what the experiment asks. Choose another environment or another fault."""


class NotReady(ChaoskitError):
    """A service did not answer within its limit. Read its log, whose path the message gives."""


class UnreadableLedger(ChaoskitError):
    """What a ledger gave cannot be judged: a row or an answer is not of the declared shape. Mend the query that is named."""


class CannotInject(ChaoskitError):
    """The fault may not have been applied. The run is void: the verdict is ERROR."""


class CannotHeal(ChaoskitError):
    """What was injected may still be there. Look before running again: the message says what is left and how to undo it."""


class CannotRecord(ChaoskitError):
    """The run folder took no more records (disk full, folder gone). The verdict is ERROR: free the disk and run again."""


class LoadFailed(ChaoskitError):
    """The load process ended early or did not answer. What it had recorded is kept; the verdict is ERROR."""


class NotExercised(ChaoskitError):
    """A measure has nothing to measure in this history. The checker that asked is INCONCLUSIVE."""


class NotAsked(NotExercised):
    """The load asked for nothing of the kind that is measured. `money` then leaves it at that."""


class Stopped(ChaoskitError):
    """The run was asked to stop. Raised out of waits so that healing starts at once."""
