from dataclasses import replace

import pytest

from chaoskit.checkers.money import Cash
from chaoskit.model.history import Dispensed
from chaoskit.model.topology import Evidence
from chaoskit.model.verdict import Result

DRAW = {"ada": -100, "vault": 100}
ZERO_NS = 50_000_000_000
"""When a story's load begins."""
BACK = {"ada": 100, "vault": -100}
SAYS = "100 from ada to vault (withdraw, key k1, answered 1.0 s into the load)"


@pytest.fixture
def machine(story, bank):
    return Machine(story, bank)


class Machine:
    """A cash machine in the making: what was asked of the bank, and what the journal says."""

    def __init__(self, story, bank):
        self.story = story
        self.bank = bank
        self.bank.opening["vault"] = 0
        self.journal = []

    def ask(self, *attempts, at=1.0, key="k1", pays=0, books=True, **how):
        self.story.operation(at, *attempts, journey="withdraw", key=key, intent=key, legs=DRAW, **how)
        if books:
            self.bank.book(key, DRAW)
        if pays:
            self.journal.append(Dispensed(operation=len(self.story.operations), key=key, amount=pays, at_ns=0))

    def reverse(self, *attempts, at=3.0, key="k1", books=True, **how):
        name = f"{key}-reversal"
        self.story.operation(at, *attempts, journey="withdraw", key=name, intent=name, legs=BACK, **how)
        self.story.operations[-1] = replace(self.story.operations[-1], reverses=key)
        if books:
            self.bank.book(name, BACK)

    def close(self, **changes):
        ledger = self.bank.ledger()
        accounts = [replace(one, kind="vault", lowest=None) if one.account == "vault" else one for one in ledger.accounts]
        history = self.bank.close(self.story, replace(ledger, accounts=tuple(accounts)), dispensed=tuple(self.journal))
        for key in (o.key for o in history.operations if o.key):
            self.bank.settled.setdefault(key, "applied" if any(p.key == key for p in ledger.postings) else "tombstone")
        phases = {"load": ZERO_NS, **changes.pop("phases", {})}
        return replace(history, phases=phases, **changes)

    def check(self, check=None, **changes):
        (finding,) = (check or Cash()).check(self.close(**changes))
        assert finding.safety
        return finding


def test_passes_when_every_withdrawal_was_debited_once_and_every_other_debit_given_back(machine):
    machine.ask("ok", pays=100)
    machine.ask("info", at=2.0, key="k2")
    machine.reverse("info", "ok", key="k2")
    machine.ask("info", at=4.0, key="k3", books=False)
    machine.reverse("fail", at=5.0, key="k3", books=False, status=422)
    finding = machine.check()
    assert finding.outcome is Result.PASSED
    assert finding.summary == "1 withdrawal paid out and debited once, 1 debit without cash given back"
    assert finding.measures["debits_given_back"] == 1


@pytest.mark.parametrize("attempts", [("ok",), ("info",)])
def test_fails_when_cash_was_paid_out_and_nobody_was_debited(machine, attempts):
    machine.ask(*attempts, pays=100, books=False)
    finding = machine.check()
    assert finding.outcome is Result.FAILED
    assert finding.evidence == (f"{SAYS} was paid out with 100, and no account was debited",)
    assert finding.summary == (
        "100 paid out or given back without a debit, 0 debited without cash, 0 debits given back later than 30 s"
    )
    assert finding.measures["cash_without_debit_amount"] == 100


def test_fails_when_cash_was_paid_out_and_the_debit_was_taken_back_all_the_same(machine):
    machine.ask("ok", pays=100)
    machine.reverse("ok")
    assert machine.check().evidence == (f"{SAYS} was paid out with 100, and the debit was taken back",)


def test_fails_when_a_debit_was_given_back_twice(machine):
    machine.ask("ok", at=0.0, key="k0", pays=100)
    machine.ask("info")
    machine.reverse("info", "ok")
    machine.bank.book("k1-reversal", BACK)
    finding = machine.check()
    assert finding.evidence == (f"{SAYS} gave no cash, and 100 more were given back for it than had been debited",)
    assert finding.measures["cash_without_debit_amount"] == 100


def test_fails_when_more_was_paid_out_than_debited(machine):
    machine.ask("ok", pays=100)
    machine.journal *= 2
    assert machine.check().evidence == (f"{SAYS} was paid out with 200, and only 100 are booked for it",)


@pytest.mark.parametrize("outcome", ["ok", "info"])
def test_fails_when_the_customer_was_debited_and_got_neither_cash_nor_the_money_back(machine, outcome):
    machine.ask("ok", at=0.0, key="k0", pays=100)
    machine.ask(outcome)
    finding = machine.check()
    assert finding.outcome is Result.FAILED
    assert finding.evidence == (f"{SAYS} gave no cash, and 100 more are debited for it and were not given back",)
    assert (finding.measures["debits_without_cash"], finding.measures["debits_without_cash_amount"]) == (1, 100)


def test_fails_when_one_withdrawal_was_debited_twice(machine):
    machine.ask("ok", pays=100)
    machine.bank.book("k1", DRAW)
    assert machine.check().evidence == (f"{SAYS} was paid out with 100, and 100 more are debited for it and were not given back",)


def test_fails_when_the_reversal_came_surely_too_late(machine):
    machine.ask("ok", at=0.0, key="k0", pays=100)
    machine.ask("info")
    machine.reverse("fail", "fail", "ok", at=11.5, took=10.0)
    finding = machine.check()
    assert finding.outcome is Result.FAILED
    (says,) = finding.evidence
    assert says.endswith("gave no cash, and the debit was taken back only 30.5 s after it was asked for")
    assert machine.check(Cash(within_s=30.6)).outcome is Result.PASSED


def test_a_reversal_without_an_answer_may_have_come_in_time(machine):
    machine.ask("ok", at=0.0, key="k0", pays=100)
    machine.ask("info")
    machine.reverse("info", "fail", "ok", at=11.0, took=20.0)
    assert machine.check().outcome is Result.PASSED


def test_a_debit_that_the_machine_was_still_having_reversed_when_the_load_ended_is_not_decided(machine):
    machine.ask("ok", at=0.0, key="k0", pays=100)
    machine.ask("info")
    machine.reverse("info", took=None, books=False)
    finding = machine.check()
    assert finding.outcome is Result.INCONCLUSIVE
    assert not finding.is_absent
    assert finding.summary == f"1 debit without cash that the machine was still having reversed when the load ended: {SAYS}"
    late = {"settle": machine.close().operations[0].start_ns + 60_000_000_000}
    assert machine.check(phases=late).outcome is Result.FAILED, "its time was over"


@pytest.mark.parametrize("changes", [{"complete": False}, {"load": None}, {"torn_lines": 1}])
def test_a_journal_with_holes_convicts_only_of_what_is_in_it(machine, changes):
    machine.ask("ok")
    machine.ask("ok", at=2.0, key="k2", pays=100)
    finding = machine.check(**changes)
    assert finding.outcome is Result.INCONCLUSIVE
    assert "may be missing from" in finding.summary
    machine.ask("ok", at=3.0, key="k3", pays=100, books=False)
    assert machine.check(**changes).measures["cash_without_debit"] == 1


def test_proves_nothing_when_nobody_drew_cash_or_no_machine_kept_a_journal(machine, story, bank):
    story.operation(1, key="k9", legs={"ada": -5, "ben": 5})
    bank.book("k9", {"ada": -5, "ben": 5})
    for says in ("nobody drew cash", "no cash machine wrote down what it paid out"):
        finding = machine.check()
        assert (finding.outcome, finding.summary, finding.is_absent) == (Result.INCONCLUSIVE, says, False)
        assert machine.check(Cash(if_any=True)).is_absent
        machine.ask("ok")


@pytest.mark.parametrize("within_s", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_that_nothing_can_miss_is_refused(within_s):
    with pytest.raises(ValueError, match=r"^within is .*; expected"):
        Cash(within_s=within_s)


def test_how_much_was_paid_out_without_a_debit_is_said_of_each(machine):
    machine.ask("ok", at=0.0, key="k0", pays=100)
    machine.reverse("ok", at=1.0, key="k0")
    machine.reverse("ok", at=2.0, key="k0")
    machine.journal[0] = replace(machine.journal[0], amount=60)
    assert machine.check().evidence[0].split(") ")[1].startswith("was paid out with 60, ")


@pytest.mark.parametrize(
    "phases, outcome",
    [
        ({"settle": 30_000_000_000}, Result.INCONCLUSIVE),
        ({"settle": 30_000_000_001}, Result.FAILED),
        ({"end": 30_000_000_000}, Result.INCONCLUSIVE),
        ({"end": 30_000_000_001}, Result.FAILED),
        ({"settle": 30_000_000_000, "end": 90_000_000_000}, Result.INCONCLUSIVE),
    ],
)
def test_a_machine_has_its_time_to_the_end_of_the_load(machine, phases, outcome):
    machine.ask("ok", at=0.0, key="k0", pays=100)
    machine.ask("info")
    machine.reverse("info", took=None, books=False)
    begun_ns = machine.close().operations[1].start_ns
    assert machine.check(phases={name: begun_ns + at_ns for name, at_ns in phases.items()}).outcome is outcome


def test_a_debit_that_was_given_back_is_late_only_after_the_time_it_has(machine):
    machine.ask("ok", at=0.0, key="k0", pays=100)
    machine.ask("info")
    machine.reverse("ok", at=31.0)
    assert machine.check(Cash(within_s=30.0)).outcome is Result.PASSED
    assert machine.check(Cash(within_s=29.999_999_99)).outcome is Result.FAILED


def test_a_debit_that_is_back_without_anybody_having_asked_is_not_late(machine):
    machine.ask("ok", at=0.0, key="k0", pays=100)
    machine.ask("info")
    machine.reverse("fail", at=3.0)
    assert machine.check(Cash(within_s=0.5)).measures["late_reversals"] == 0
    assert machine.check(Cash(within_s=2.5)).measures["debits_given_back"] == 1


def test_fails_when_debits_stay_and_no_machine_ever_paid_anybody(machine):
    """Reversals are asked for by machines, which keep a journal: an empty one says that nothing was paid out."""
    machine.ask("info")
    machine.reverse("info", books=False)
    finding = machine.check(Cash(if_any=True), phases={"settle": ZERO_NS + 100_000_000_000})
    assert finding.outcome is Result.FAILED
    assert finding.measures["debits_without_cash_amount"] == 100


def test_one_that_is_still_under_way_does_not_excuse_another_one_that_is_not(machine):
    machine.ask("ok", at=0.0, key="k0", pays=100)
    machine.ask("info", at=0.5, key="kept")
    machine.ask("info")
    machine.reverse("info", took=None, books=False)
    finding = machine.check()
    assert finding.outcome is Result.FAILED
    assert [said.split("key ")[1].split(",")[0] for said in finding.evidence] == ["kept"]


def test_names_first_what_is_furthest_apart(machine):
    for number, pays in enumerate((110, 150, 130, 90, 50, 70)):
        machine.ask("ok", at=number, key=f"k{number}", pays=pays)
    keys = [said.split("key ")[1].split(",")[0] for said in machine.check().evidence]
    assert keys == ["k1", "k2", "k0", "k4", "k5", "k3"]


def test_what_leaves_the_vault_as_it_is_is_no_withdrawal(machine, story, bank):
    story.operation(1, key="k1", legs={"ada": -5, "ben": 5, "vault": 0})
    bank.book("k1", {"ada": -5, "ben": 5})
    assert machine.check().summary == "nobody drew cash"


def test_the_smallest_note_is_cash(machine, story, bank):
    one = {"ada": -1, "vault": 1}
    story.operation(1, journey="withdraw", key="k1", legs=one)
    bank.book("k1", one)
    machine.journal.append(Dispensed(operation=1, key="k1", amount=1, at_ns=0))
    assert machine.check().summary == "1 withdrawal paid out and debited once, 0 debits without cash given back"
    machine.journal[:] = [Dispensed(operation=9, key="k9", amount=1, at_ns=0)]
    assert machine.check().measures["debits_without_cash_amount"] == 1


def test_needs_no_versions_of_the_ledger(machine):
    machine.ask("ok", pays=100)
    history = machine.close()
    ledger = replace(history.final.first, lacks=frozenset({Evidence.VERSIONS}))
    (finding,) = Cash().check(replace(history, final=replace(history.final, first=ledger, second=ledger)))
    assert finding.outcome is Result.PASSED
