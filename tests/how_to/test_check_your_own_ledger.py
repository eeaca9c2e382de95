"""The page's wallets: its queries held to the contract, and its test run as its reader runs it, on the service as it is and forgetful."""

import importlib.util
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from chaoskit.model.topology import Evidence
from chaoskit.testing import LedgerContract

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "check-your-own-ledger.md"
WALLETS = PAGE.parent / "wallets"
WITHIN_S = 300
"""Both of its tests take 25 s on a busy machine."""


@pytest.fixture(scope="module")
def example():
    """The page's test and its service, as modules."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(WALLETS)
        spec = importlib.util.spec_from_file_location("page_of_wallets", WALLETS / "test_wallets.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
        sys.modules.pop("wallets", None)


class TestQueries(LedgerContract):
    @pytest.fixture
    def path(self, example, tmp_path):
        example.wallets.open_books(str(tmp_path / "wallets.db"))
        return tmp_path / "wallets.db"

    @pytest.fixture
    def ledger(self, example, path):
        return example.books_of(path)

    @pytest.fixture
    def pay(self, example, path):
        def take(request):
            with closing(sqlite3.connect(path, isolation_level=None)) as books:
                example.wallets.transfer(books, request, "owner-1", "owner-2", Decimal("12.50"))

        return take

    def test_it_shows_all_but_versions(self, ledger):
        missing = {Evidence.VERSIONS, Evidence.ACCOUNT_VERSIONS, Evidence.BALANCES_AFTER}
        assert ledger.read(timeout_s=5).lacks == missing

    def test_amounts_are_in_pence(self, ledger, pay):
        pay("one")
        state = ledger.read(timeout_s=5)
        assert {one.account: one.amount for one in state.postings} == {"owner-1": -1250, "owner-2": 1250}
        assert {one.balance for one in state.accounts} == {100_000 - 1250, 100_000, 100_000 + 1250}


@pytest.mark.whole
@pytest.mark.parametrize("forgets, passed", [("", 2), ("1", 1)])
def test_the_test_of_the_page_says_what_the_page_shows(tmp_path, forgets, passed):
    suite = shutil.copytree(WALLETS, tmp_path / "wallets", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={tmp_path / 'own'}", suite]
    variables = {**os.environ, "FORGETS": forgets}
    done = subprocess.run(command, env=variables, cwd=suite, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert f"{passed} passed" in done.stdout, done.stdout + done.stderr
    if forgets:
        shown = re.search(r"```text\n(FAILED: .*?)```", PAGE.read_text(), re.DOTALL)[1]
        # Where pytest finds that it runs in CI, its last lines repeat the whole of each failure.
        told, _, _ = done.stdout.partition("short test summary info")
        assert verdicts(told) == verdicts(shown)
        assert "FAIL at-most-once" in verdicts(shown)


def verdicts(text):
    """What each check said, without the numbers, which change from run to run."""
    return [f"{word} {check}" for word, check in re.findall(r"^(?:E *)? *(ok|FAIL|\?) +([a-z-]+)(?:,|:)", text, re.MULTILINE)]
