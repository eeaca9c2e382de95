"""Breaks the money checks in small ways and counts which breaks their tests notice: `make mutants [ONLY="order reads"]`.

    python tests/mutants/mutate.py --work .mutants [--only "order reads"] [--show]

mutmut makes the mutants and runs the tests on each, one at a time on one core. It may be stopped at any time: what was killed is not
tried again while the code is the same; what survived is, since that is what tests are written for. `--show` only prints the survivors.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
MONEY = Path("chaoskit/checkers/money")
TESTS = Path("tests/checkers/money")

SURVIVED, NO_TESTS, NOT_TRIED = 0, {5, 33}, None
"""Exit codes of pytest as mutmut stores them; every other one is a test that failed, or the time limit of an endless loop."""

MOST_EXAMPLES = 40
"""Of Hypothesis for each test, in place of hundreds: a mutant that survives runs them all, and what few of them kill, more do too."""

LEFT_OUT = (
    # It counts the lines of the verifier, and its mutants stand in the same file.
    f"{TESTS}/test_verify.py::test_is_small_and_shares_no_code_with_what_it_verifies",
    # Twenty thousand operations take seconds for every mutant, and show nothing of a check that short histories do not.
    f"{TESTS}/test_corruptions.py::test_a_long_history_is_judged_the_same_with_numpy_and_without",
    f"{TESTS}/test_corruptions.py::test_a_violation_in_a_long_history_is_told_the_same_with_numpy_and_without",
)

SETTINGS = """\
[project]
name = "mutants"
version = "0"

[tool.pytest.ini_options]
addopts = ["--import-mode=importlib", "-p", "no:cacheprovider"]
testpaths = ["tests"]
markers = ["whole: runs for long"]

[tool.mutmut]
source_paths = ["{money}"]
also_copy = ["chaoskit"]
# Of the time of a test that passes: an endless loop is the only reason to take longer.
timeout_multiplier = 1.5
timeout_constant = 5.0
pytest_add_cli_args = {arguments}
pytest_add_cli_args_test_selection = ["{tests}"]
"""

PROFILE = """\
from hypothesis import settings

# The same examples for each mutant, so that what is killed once is killed again.
settings.register_profile("mutants", derandomize=True, database=None, deadline=None)
settings.load_profile("mutants")
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="a folder to work in, with mutmut in its venv/")
    parser.add_argument("--only", default="", help="modules of chaoskit/checkers/money/, such as 'order fast.columns'; else all")
    parser.add_argument("--show", action="store_true", help="print what survived, and run nothing")
    given = parser.parse_args()
    work, code = given.work.resolve() / "work", 0
    if not given.show:
        prepare(work)
        again(work)
        patterns = [f"chaoskit.checkers.money.{name}.*" for name in given.only.split()] or ["chaoskit.checkers.money.*"]
        mutmut = given.work.resolve() / "venv/bin/mutmut"
        code = subprocess.run(["nice", mutmut, "run", "--max-children", "1", *patterns], cwd=work, check=False).returncode
    if given.show:
        for name in survivors(work, given.only.split()):
            print(name)
    print("\n".join(table(work)))
    return code


def prepare(work: Path) -> None:
    """A copy of the package and of the tests of its money checks, without what else the tests' own set-up needs."""
    work.mkdir(parents=True, exist_ok=True)
    for folder in (Path("chaoskit"), TESTS):
        shutil.rmtree(work / folder, ignore_errors=True)
        shutil.copytree(ROOT / folder, work / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "tests/checkers/conftest.py", work / "tests/checkers/conftest.py")
    for path in (work / TESTS).rglob("*.py"):
        path.write_text(re.sub(r"max_examples=[\d_]+", f"max_examples={MOST_EXAMPLES}", path.read_text()))
    (work / "conftest.py").write_text(PROFILE)
    arguments = ["-m", "not whole", *(word for test in LEFT_OUT for word in ("--deselect", test))]
    (work / "pyproject.toml").write_text(SETTINGS.format(money=MONEY, tests=TESTS, arguments=json.dumps(arguments)))


def again(work: Path) -> None:
    """Forget which mutants survived: there may be new tests."""
    for path, known in _results(work):
        known["exit_code_by_key"] = {
            name: NOT_TRIED if code == SURVIVED or code in NO_TESTS else code for name, code in known["exit_code_by_key"].items()
        }
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(known, indent=4))
        fresh.replace(path)


def _results(work: Path) -> Iterator[tuple[Path, dict]]:
    for path in sorted((work / "mutants" / MONEY).rglob("*.meta")):
        yield path, json.loads(path.read_text())


def survivors(work: Path, only: list[str]) -> Iterator[str]:
    for path, known in _results(work):
        if not only or _module(work, path) in only:
            yield from (name for name, code in known["exit_code_by_key"].items() if code == SURVIVED or code in NO_TESTS)


def _module(work: Path, path: Path) -> str:
    return ".".join(path.relative_to(work / "mutants" / MONEY).parts).removesuffix(".py.meta")


def table(work: Path) -> Iterator[str]:
    """One row a module: how many mutants were tried, and how many of them were killed."""
    yield "| module | mutants | tried | killed | score |"
    yield "|---|--:|--:|--:|--:|"
    total = Counter()
    for path, known in _results(work):
        codes = list(known["exit_code_by_key"].values())
        if codes:
            tried = [code for code in codes if code is not NOT_TRIED]
            killed = [code for code in tried if code != SURVIVED and code not in NO_TESTS]
            total += Counter(mutants=len(codes), tried=len(tried), killed=len(killed))
            yield _row(f"`{_module(work, path)}`", len(codes), len(tried), len(killed))
    yield _row("all", total["mutants"], total["tried"], total["killed"])


def _row(name: str, mutants: int, tried: int, killed: int) -> str:
    # Rounded down: 89.9 is not 90.
    return f"| {name} | {mutants:,} | {tried:,} | {killed:,} | {f'{killed * 100 // tried} %' if tried else 'not tried'} |"


if __name__ == "__main__":
    sys.exit(main())
