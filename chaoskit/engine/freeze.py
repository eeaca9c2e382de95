"""A freeze forbids new runs on this machine until it is lifted. Runs that are under way go on.

It is a file: that of root holds for every user, that of an ordinary user for himself. One that cannot be read still forbids.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from chaoskit.engine.user import user_name
from chaoskit.model.errors import UsageError
from chaoskit.model.policy import moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """Who forbade runs, when, why, and until when; "" is without an end."""

    by: str
    since: str
    reason: str = ""
    until: str = ""

    def __str__(self) -> str:
        return (
            f"by {self.by} since {self.since}" + (f" until {self.until}" if self.until else "") + f": {self.reason or 'no reason'}"
        )

    def is_over(self, now: datetime) -> bool:
        return bool(self.until) and moment(self.until) <= now


def freeze(path: Path, *, reason: str, until: datetime | None, now: datetime) -> Freeze:
    """Forbid runs by the file *path*, in the place of what it said before. Raises `UsageError` when it cannot be written."""
    made = Freeze(
        by=user_name(),
        since=now.isoformat(timespec="seconds"),
        reason=reason,
        until=until.isoformat(timespec="seconds") if until else "",
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file, part = tempfile.mkstemp(prefix=".freeze-", dir=path.parent)
        with contextlib.ExitStack() as on_error:
            on_error.callback(os.unlink, part)
            with os.fdopen(file, "w", encoding="utf-8") as text:
                json.dump(asdict(made), text, indent=2)
                os.fchmod(file, 0o644)  # every user is told who has frozen the machine
                text.flush()
                os.fsync(file)
            Path(part).replace(path)
            on_error.pop_all()
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}), so nothing is frozen") from error
    return made


def unfreeze(path: Path) -> bool:
    """Lift the freeze of the file *path*. Whether there was one. Raises `UsageError` when it may not be removed."""
    try:
        path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise UsageError(f"{path}: cannot be removed ({error.strerror}), so the freeze holds") from error
    return True


def frozen(paths: Iterable[Path], *, now: datetime) -> tuple[tuple[Path, str], ...]:
    """Each file of *paths* that forbids runs now, and what it says, in words."""
    found = []
    for path in paths:
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            one = Freeze(**{key: str(told[key]) for key in ("by", "since", "reason", "until")})
            is_over = one.is_over(now)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError, KeyError, TypeError) as error:
            found.append((path, f"by a file that cannot be read ({error}), so it is not known by whom"))
            continue
        if not is_over:
            found.append((path, "".join(c if c.isprintable() else "?" for c in str(one))))
    return tuple(found)
