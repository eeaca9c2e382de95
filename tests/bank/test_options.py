import pytest

from chaoskit.bank.defects import DEFECTS
from chaoskit.bank.options import BankOptions, bank_options
from chaoskit.model.errors import UsageError
from chaoskit.registry import experiments


def test_without_options_the_bank_is_correct():
    options = bank_options({})
    assert options == BankOptions()
    assert options.defect == "none"
    assert bank_options({"defect": "none"}) == options


def test_all_mistakes_are_said_at_once_with_the_nearest_name():
    with pytest.raises(UsageError) as error:
        bank_options({"defect": "no-idempotence", "customers": "fewer", "slots": "six", "service_time_ms": "1001"})
    lines = str(error.value).splitlines()
    assert len(lines) == 4
    assert "Did you mean 'no-idempotency'?" in lines[0]
    assert all(name in lines[0] for name in DEFECTS)
    assert "customers: 'fewer' is not a kind of customers (many, few). Did you mean 'few'?" in lines[1]
    assert "slots: 'six'" in lines[2]
    assert "service_time_ms: '1001'" in lines[3]


def test_options_of_other_parts_are_left_alone():
    assert bank_options({"profile": "production"}) == BankOptions()


@pytest.mark.parametrize("defect", DEFECTS.values(), ids=str)
def test_every_defect_is_explained(defect):
    assert DEFECTS[defect.name] is defect
    for text in (defect.title, defect.breaks, defect.incident, defect.convicted_by):
        assert text
    assert defect.experiment in experiments()
