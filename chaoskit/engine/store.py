"""The run folder: everything that a run leaves behind is in here, and nothing is anywhere else."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from chaoskit.model.errors import CannotRecord, UsageError
from chaoskit.model.experiment import Experiment
from chaoskit.model.history import History, HistoryReader, NoHistory, RunProblem
from chaoskit.model.secrets import Secrets
from chaoskit.model.verdict import Verdict

BY_HAND = "# Driven by hand"
"""How the document of a run begins that a test drove."""
MAY_TAKE_BYTES = 20 * 1024 * 1024
"""A run of a minute leaves about 2 MB; ten times that must be free, or it would end in the middle."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The paths of one run. `create` makes a new one; the constructor opens one that is there."""

    path: Path

    @classmethod
    def create(cls, runs: Path, experiment: Experiment, *, seed: int) -> RunFolder:
        """Make `<runs>/<time>-<slug>-<seed>/`. Raises `UsageError` when the folder cannot be written or the disk is nearly full."""
        slug = re.sub(r"[^a-z0-9]+", "-", (Path(experiment.source).name.split(".")[0] or experiment.title).lower())
        slug = slug.strip("-")[:40].strip("-")
        # No dash in it: its last number would be taken for the seed when the slug is read from the name.
        slug += f"-{experiment.entry.replace('-', '_')}" if experiment.entry else ""
        name = f"{time.strftime('%Y%m%dT%H%M%S')}-{slug}-{seed}"
        try:
            for attempt in range(1, 100):
                folder = cls(runs / (name if attempt == 1 else f"{name}-{attempt}"))
                try:
                    folder.logs.mkdir(parents=True)
                except FileExistsError:
                    continue
                folder._write("experiment.yaml", experiment.document)
                room = os.statvfs(folder.path)
                break
        except OSError as error:
            raise UsageError(
                f"--runs {str(runs)!r}: the run folder cannot be written ({error.strerror}); name a folder that you may write to"
            ) from error
        if room.f_bavail * room.f_frsize < MAY_TAKE_BYTES:
            raise UsageError(
                f"--runs {str(runs)!r}: {room.f_bavail * room.f_frsize // 1024} KiB are free on that disk and a run may take "
                f"{MAY_TAKE_BYTES // 1024} KiB; free some space or name another folder"
            )
        return folder

    @property
    def history(self) -> Path:
        return self.path / "history.jsonl"

    @property
    def undo(self) -> Path:
        return self.path / "undo.jsonl"

    @property
    def stop(self) -> Path:
        """The file by which another process asks the run to stop; it holds the reason."""
        return self.path / "stop"

    @property
    def verdict(self) -> Path:
        return self.path / "verdict.json"

    @property
    def junit(self) -> Path:
        return self.path / "junit.xml"

    @property
    def experiment(self) -> Path:
        return self.path / "experiment.yaml"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def slug(self) -> str:
        """What the run was called, without its time and its seed: the same for every run of the same experiment."""
        named = re.fullmatch(r"\d{8}T\d{6}-(?P<slug>.+?)-\d+(-\d+)?", self.path.name)
        return named["slug"] if named else self.path.name

    def is_by_hand(self) -> bool:
        """Whether a test drove the run, so that there is no document of it."""
        try:
            return self.experiment.read_text(encoding="utf-8").startswith(BY_HAND)
        except OSError as error:
            raise UsageError(f"{self.experiment}: cannot be read ({error.strerror}); name a run folder") from error

    def read_history(self) -> History:
        """The stored history, as far as it could be read; with a problem in it if it was changed after it was sealed.

        Raises `NoHistory`.
        """
        reader, digest = HistoryReader(), hashlib.sha256()
        is_sealed, fits = False, True
        for line in self._lines():
            if line.startswith(_SEAL):
                is_sealed = True
                fits = fits and line == _seal(digest.hexdigest())
            elif is_sealed:
                fits = fits and line.startswith(_AFTER_A_SEAL)
            digest.update(line)
            reader.feed_line(line)
        history = reader.history()
        if fits:
            return history
        problem = RunProblem(
            result="error", text=f"{self.history.name} was changed after it was sealed: it is no evidence any more"
        )
        return replace(history, problems=(*history.problems, problem))

    def seal(self) -> None:
        """End the history with a SHA-256 over all of its lines, so that a later change shows. Raises `CannotRecord`.

        Call it when nobody writes to it any more. A run that is cleaned up later is sealed again.
        """
        try:
            with self.history.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            with self.history.open("ab") as file:
                file.write(_seal(digest))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise CannotRecord(f"{self.history}: could not be sealed ({error.strerror}); the verdict is written") from error

    def write_verdict(self, verdict: Verdict) -> None:
        """Write `verdict.json` at once or not at all. Raises `CannotRecord`."""
        self._write_whole(
            self.verdict, json.dumps(verdict_json(verdict), indent=2, ensure_ascii=False, allow_nan=False) + "\n", "the verdict"
        )

    def write_junit(self, text: str) -> None:
        """Write `junit.xml` at once or not at all. Raises `CannotRecord`."""
        self._write_whole(self.junit, text, "the report for CI")

    def write_evidence(self, name: str, evidence: Mapping[str, object]) -> None:
        """Write what a verdict rests on as a JSON file, at once or not at all. Raises `CannotRecord`."""
        self._write_whole(self.path / name, json.dumps(evidence, separators=(",", ":"), ensure_ascii=False) + "\n", "the evidence")

    def redact_logs(self, secrets: Secrets) -> None:
        """Replace what is secret in everything below `logs/`, when nobody writes there any more. Raises `CannotRecord`.

        Until then services write into these files by themselves, and what they print is there.
        """
        for path in sorted(self.logs.rglob("*")) if secrets else ():
            try:
                if path.is_file() and not path.is_symlink():
                    _redact_file(path, secrets)
            except OSError as error:
                raise CannotRecord(
                    f"{path}: secrets in it could not be replaced ({error.strerror}); do not pass it on, and remove it"
                ) from error

    def _write_whole(self, path: Path, text: str, what: str) -> None:
        part = path.with_name(path.name + ".part")
        try:
            self._write(part.name, text)
            part.replace(path)
        except OSError as error:
            raise CannotRecord(f"{path}: {what} could not be written ({error.strerror})") from error

    def _lines(self) -> Iterator[bytes]:
        try:
            with self.history.open("rb") as file:
                yield from file
        except OSError as error:
            raise NoHistory(
                f"{self.history}: cannot be read ({error.strerror}); name a run folder, such as one below runs/"
            ) from error

    def _write(self, name: str, text: str) -> None:
        with (self.path / name).open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())


_SEAL = b'{"event":"sealed",'
_AFTER_A_SEAL = tuple(b'{"event":"%s",' % event for event in (b"healed", b"problem", b"finished"))
"""What is added when a run is cleaned up later, until it is sealed again: none of it makes a verdict better."""


def _seal(digest: str) -> bytes:
    return _SEAL + b'"sha256":"%s"}\n' % digest.encode()


def _redact_file(path: Path, secrets: Secrets) -> None:
    """Rewrite one file if there is a secret in it. Some megabytes of lines are held at a time, whatever its size."""
    part = path.with_name(path.name + ".part")
    is_changed = False
    try:
        with path.open("rb") as old, part.open("wb") as new:
            while lines := b"".join(old.readlines(1 << 20)):
                shown = secrets.redact_bytes(lines)
                is_changed = is_changed or shown != lines
                new.write(shown)
            new.flush()
            os.fsync(new.fileno())
        if is_changed:
            part.chmod(path.stat().st_mode & 0o777)
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def verdict_json(verdict: Verdict) -> dict[str, object]:
    """The verdict in its published form (`docs/reference/verdict.md`)."""
    return {
        "chaoskit": 1,
        "verdict": verdict.result.value,
        "exit_code": verdict.result.exit_code,
        "title": verdict.title,
        "problems": list(verdict.problems),
        "findings": [
            {
                "checker": finding.checker,
                "outcome": finding.outcome.value,
                "summary": finding.summary,
                "evidence": list(finding.evidence),
                "measures": {name: _number(value) for name, value in finding.measures.items()},
                "safety": finding.safety,
            }
            for finding in verdict.findings
        ],
        "rto_s": verdict.rto_s,
        "outage_s": dict(verdict.outage_s),
        "rpo": {"operations": verdict.rpo_operations, "amount": verdict.rpo_amount},
        "availability": dict(verdict.availability),
        "faults": [dict(fault) for fault in verdict.faults],
        "operations": dict(verdict.operations),
        "settled": dict(verdict.settled),
        "took_s": verdict.took_s,
        "seed": verdict.seed,
        "reproduce": verdict.reproduce,
        "allowed": list(verdict.allowed),
        "not_shown": list(verdict.not_shown),
    }


def _number(value: float | str | None) -> float | str | None:
    """A measure as JSON has it: what is not a number, or has no end, is none."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
