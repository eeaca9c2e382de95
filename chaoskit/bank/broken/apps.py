"""An app of the bank that is a broken client."""

from __future__ import annotations

from chaoskit.bank.journeys import App
from chaoskit.model.journey import Habit, Visit


class NewKeyPerRetry(App):
    """Asks again under a new key each time, for every customer."""

    def habit_of(self, visit: Visit) -> Habit | None:
        del visit
        return Habit.NEW_KEY
