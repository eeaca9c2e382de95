"""The receiving side that books every delivery."""

import pytest

from chaoskit.bank.services.journal import Journal
from chaoskit.bank.services.parts import part


@pytest.mark.parametrize("defect", ["none", "double-relay"])
def test_a_second_delivery_is_booked_again(defect, tmp_path):
    journal = part(Journal, defect=defect)(tmp_path / "journal.sqlite")
    for _ in range(2):
        assert journal.write("k", "other-1", 5) == ("other-1", 5)
    once, twice = [("k", "other-1", 5, 2)], [("k", "other-1", 5, 1)] * 2
    assert journal.read() == {"none": once, "double-relay": twice}[defect]
    journal.close()
    # The book is still there for the next process.
    again = part(Journal, defect=defect)(tmp_path / "journal.sqlite")
    assert again.read() == {"none": once, "double-relay": twice}[defect]
    again.close()
