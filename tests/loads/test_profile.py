import pytest

from chaoskit.loads.profile import PROFILES, steps_of
from chaoskit.model.errors import UsageError
from chaoskit.model.experiment import Step


def test_steady_is_the_normal_rate_throughout() -> None:
    assert steps_of("steady", 60.0) == (Step(at_s=0.0, times=1.0),)


def test_lebaran_is_fitted_to_the_length_of_the_load() -> None:
    assert steps_of("lebaran", 100.0) == (
        Step(at_s=0.0, times=1.0),
        Step(at_s=20.0, times=1.7),
        Step(at_s=40.0, times=3.0),
        Step(at_s=65.0, times=4.2),
        Step(at_s=75.0, times=0.75),
        Step(at_s=85.0, times=1.3),
    )


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_profile_begins_at_the_normal_rate_and_goes_forward(name) -> None:
    """The steady state is judged at the beginning."""
    steps = steps_of(name, 1.0)
    assert steps[0] == Step(at_s=0.0, times=1.0)
    starts = [step.at_s for step in steps]
    assert starts == sorted(set(starts))
    assert starts[-1] < 1.0


def test_an_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'lebarán' is not a profile \(lebaran, steady\)"):
        steps_of("lebarán", 60.0)
