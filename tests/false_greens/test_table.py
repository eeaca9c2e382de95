"""`docs/explanation/false-greens.md` has every kind of false green, and the tests that it names are there and are collected."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "explanation" / "false-greens.md"
ROWS = [1, 2, 3, 5, 6, 7, 8, 9, 10, 12, 13, 15, 16, 17, 18, 19, 20, 21, 22, 24, 25, 26, 27, 29, 30, 32, 34, 36, 37, 38, 40]
"""The kinds that were collected from public reports; the numbers between them are of other matters."""
TEST = re.compile(r"`(tests/[\w/]+\.py::\w+)`")
COMPARED = re.compile(r'rows="([\d, ]*)"')


def rows(text):
    return {int(found[1]): TEST.findall(found[2]) for found in re.finditer(r"^\| (\d+) \|(.*)\|$", text, re.MULTILINE)}


def collected(*tests):
    """Which of the tests pytest does not find; an error of any of their files is one of all."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *tests],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = {line.partition("[")[0] for line in done.stdout.splitlines() if "::" in line}
    return sorted({*tests} - found), done.stdout + done.stderr


def test_every_kind_is_there_and_has_a_test():
    found = rows(PAGE.read_text())
    assert list(found) == ROWS
    assert all(found.values()), [number for number, tests in found.items() if not tests]


def test_every_test_that_is_named_is_collected():
    tests = sorted(set(TEST.findall(PAGE.read_text())))
    missing, said = collected(*tests)
    assert not missing, said[-3000:]


def test_a_test_that_is_not_there_would_be_seen():
    missing, _ = collected("tests/false_greens/test_table.py::test_that_nobody_wrote")
    assert missing == ["tests/false_greens/test_table.py::test_that_nobody_wrote"]


def test_what_is_compared_are_rows_of_the_table():
    text = (ROOT / "tests" / "comparison" / "situations.py").read_text()
    numbers = {int(number) for found in COMPARED.findall(text) for number in found.split(",") if number.strip()}
    assert numbers
    assert numbers <= set(ROWS)
