"""Actions for Chaos Toolkit, which calls any function of a module on the path. They touch only the process whose id they are given."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def freeze(pid: int) -> bool:
    os.kill(int(pid), signal.SIGSTOP)
    return True


def thaw(pid: int) -> bool:
    os.kill(int(pid), signal.SIGCONT)
    return True


def hang(tells: str, seconds: float) -> bool:
    Path(tells).touch()
    time.sleep(float(seconds))
    return True


def wait(seconds: float) -> bool:
    time.sleep(float(seconds))
    return True


def nothing() -> bool:
    return True


def fail(text: str = "refused") -> bool:
    raise RuntimeError(text)


def fail_with_secret(secrets: dict[str, str] | None = None) -> bool:
    raise RuntimeError(f"could not call with {secrets['token']}")
