"""Reads many generated documents within limits of the kernel: `python fuzzed.py SEED COUNT`. Each case may use one second of
processor time and 200 MiB beyond what the reader itself takes; the first that needs more, or raises what it must not, ends it.

In a process of its own: limits of memory cannot be lifted again, and processor time does not depend on who else uses the machine.
"""

from __future__ import annotations

import json
import random
import resource
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from chaoskit.documents import read
from chaoskit.model.errors import InvalidDocument
from chaoskit.model.experiment import Experiment
from chaoskit.registry import Registry, experiments

CPU_S = 1.0
MEMORY_BYTES = 200 << 20
LARGEST_BYTES = 1 << 20
"""Of a file that is read at all."""

VALID = [path.read_text() for path in experiments().values()]
SIGNS = "aé:- \n\t[]{}&*!|>'\"%@`#,?~$0159.es\\\x85\u2028"
WORDS = sorted({word.strip("{},[]:'\"") for text in VALID for word in text.split()} - {""})
NUMBERS = [
    "9" * 4000,
    "-1",
    "0",
    "1e999",
    "-1e999",
    ".inf",
    ".nan",
    "0x" + "f" * 4000,
    "1_000",
    "12345678901%",
    "0.1s",
    "99999999h",
    "1" + "0" * 400 + "ms",
]


def tree(rng: random.Random, depth: int = 0) -> object:
    """A value of JSON with our words in it."""
    kind = rng.randrange(8 if depth < 5 else 6)
    if kind == 6:
        return [tree(rng, depth + 1) for _ in range(rng.randrange(5))]
    if kind == 7:
        return {rng.choice(WORDS): tree(rng, depth + 1) for _ in range(rng.randrange(5))}
    return (
        None,
        rng.random() < 0.5,
        rng.randrange(-(10**9), 10**9),
        rng.random() * 10 ** rng.randrange(-300, 300),
        rng.choice(WORDS),
        text(rng, 8),
    )[kind]


def text(rng: random.Random, longest: int) -> str:
    return "".join(rng.choices(SIGNS, k=rng.randrange(longest)))


def mutated(rng: random.Random) -> str:
    """A valid document of which up to four parts were replaced, repeated, or left out."""
    found = rng.choice(VALID)
    for _ in range(rng.randrange(1, 5)):
        start = rng.randrange(len(found))
        end = min(len(found), start + rng.choice((0, 1, 5, 40)))
        new = (text(rng, 6), rng.choice(WORDS), rng.choice(NUMBERS), json.dumps(tree(rng)), found[start:end] * 2, "")[
            rng.randrange(6)
        ]
        found = found[:start] + new + found[end:]
    return found


def retyped(rng: random.Random) -> str:
    """A valid document of which one value has become another: the form stays right."""
    lines = rng.choice(VALID).splitlines(keepends=True)
    at = rng.randrange(len(lines))
    key, colon, _ = lines[at].partition(": ")
    new = rng.choice((json.dumps(tree(rng)), rng.choice(NUMBERS), rng.choice(WORDS)))
    lines[at] = f"{key}{colon}{new}\n" if colon else f"{new}\n"
    return "".join(lines)


def extreme(rng: random.Random) -> str:
    """A document that is meant to cost: bombs, depth, width and length, up to the largest file that is read."""
    n = rng.choice((50, 1_400, 30_000))  # the second is just below the limits that there are
    made: list[Callable[[], str]] = [
        lambda: "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, min(n, 2_000))),
        lambda: "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i}\n  <<: *a{i - 1}\n" for i in range(1, min(n, 2_000))),
        lambda: "[" * n,
        lambda: "{a: " * n + "}" * n,
        lambda: "".join(" " * i + "a:\n" for i in range(min(n, 1_400))),
        lambda: "- " * n + "x",
        lambda: "? " * n,
        lambda: f"chaoskit: {'9' * n}\n",
        lambda: f"title: {'é' * n}\n",
        lambda: "".join(f"key{i}: {i}\n" for i in range(n)),
        lambda: "faults: [" + "{fault: kill, service: core, at: 1s}, " * min(n, 20_000) + "]",
        lambda: "faults:\n" + "- {fault: kill, servcie: core, at: 1}\n" * min(n, 20_000),
        lambda: "title: " + "${A:-" * n + "}" * n,
        lambda: "title: '" + "${A}" * n + "'",
        lambda: "title: |\n" + "  line\n" * n,
        lambda: '"' + "\\x41" * n + '": 1',
        lambda: rng.choice(VALID).replace("\n", "\n" * min(n, 1_000)),
        lambda: rng.choice(VALID) * min(n, 100),
        lambda: "#" * n + "\n" + rng.choice(VALID),
        lambda: "!" * n + " x",
        lambda: "&" + "a" * n + " x",
        lambda: "%TAG ! " + "x" * n + "\n---\na: 1\n",
    ]
    return rng.choice(made)()


def cases(rng: random.Random) -> Iterator[tuple[str, bytes]]:
    kinds: tuple[tuple[str, Callable[[], bytes | str]], ...] = (
        ("random bytes", lambda: rng.randbytes(rng.choice((20, 200, 5_000)))),
        ("random text", lambda: text(rng, 200)),
        ("a random tree", lambda: json.dumps(tree(rng), ensure_ascii=False)),
        ("a mutated document", lambda: mutated(rng)),
        ("a retyped document", lambda: retyped(rng)),
        ("an extreme document", lambda: extreme(rng)),
    )
    while True:
        # An extreme one costs as much as hundreds of others.
        ((kind, make),) = rng.choices(kinds, weights=(20, 20, 20, 25, 25, 3))
        made = make()
        yield kind, (made if isinstance(made, bytes) else made.encode(errors="replace"))[:LARGEST_BYTES]


def wrong(found: Experiment | InvalidDocument, path: Path) -> str:
    """What is wrong with an answer; nothing when it is one."""
    if isinstance(found, Experiment):
        return ""
    for problem in found.problems:
        if not problem.message or str(path) not in str(problem):
            return f"a problem without a place: {problem!r}"
    return ""


def main(seed: int, count: int, *, reads: Callable[..., Experiment] = read) -> None:
    registry, rng = Registry(), random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="fuzzed-") as folder:
        path = Path(folder) / "fuzzed.chaos.yaml"
        path.write_text(VALID[0])
        assert isinstance(read(path, registry=registry), Experiment)  # everything that is loaded once is loaded
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        signal.signal(signal.SIGPROF, _too_slow)
        valid = 0
        for number, (kind, content) in zip(range(count), cases(rng), strict=False):
            path.write_bytes(content)
            signal.setitimer(signal.ITIMER_PROF, CPU_S)
            try:
                found: Experiment | InvalidDocument = reads(path, registry=registry)
            except InvalidDocument as invalid:
                found = invalid
            except BaseException as error:
                signal.setitimer(signal.ITIMER_PROF, 0)
                sys.exit(f"case {number} of seed {seed}, {kind}: {type(error).__name__}: {error}\n{content[:300]!r}")
            signal.setitimer(signal.ITIMER_PROF, 0)
            if problem := wrong(found, path):
                sys.exit(f"case {number} of seed {seed}, {kind}: {problem}\n{content[:300]!r}")
            valid += isinstance(found, Experiment)
    sys.stdout.write(f"{count} cases, {valid} of them valid\n")


class TooSlow(BaseException):
    """No reader may mistake it for an error of the document: one that catches every `Exception` did."""


def _too_slow(_number: int, _frame: object) -> None:
    raise TooSlow(f"more than {CPU_S:g} s of processor time")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
