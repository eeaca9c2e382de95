"""The order of payments, and of payments and looks, that `order`, `snapshot` and the certificate share."""

import pytest

from chaoskit.checkers.money.books import open_books
from chaoskit.checkers.money.orders import of_all, of_payments
from chaoskit.checkers.money.serial import Contradiction, Order
from chaoskit.checkers.money.timeline import timeline

PAY = {"ada": -100, "ben": 100}


@pytest.fixture
def line(story, bank):
    """A function that gives the timeline of payments at these times, booked in the order of their numbers, and a look at the end."""

    def make(*times):
        for number, at in enumerate(times, start=1):
            story.operation(at, key=f"k{number}", legs=PAY)
            bank.book(f"k{number}", PAY)
        story.look(9, "ada", 1000 - 100 * len(times))
        return timeline(open_books(bank.close(story)))

    return make


def test_payments_have_the_order_that_they_have_with_looks(line):
    found = of_payments(made := line(1, 2))
    assert found.items == made.effects
    assert found.found == Order(items=[0, 1])
    assert of_all(made).found == Order(items=[0, 1, 2])


def test_an_order_is_looked_for_once_however_many_checks_ask(line):
    made = line(2, 1)
    assert isinstance(of_payments(made).found, Contradiction)
    assert of_payments(made) is of_payments(made)
    assert of_all(made) is of_all(made)
