from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaoskit.documents.quantities import WrongQuantity, parse
from chaoskit.model.units import Unit


@pytest.mark.parametrize(
    "text, seconds",
    [("250ms", 0.25), ("5s", 5), ("1m30s", 90), ("2h", 7200), ("1.5s", 1.5), ("1h1m1s1ms1us", 3661.001001), ("0s", 0), ("90s", 90)],
)
def test_reads_durations(text, seconds):
    assert parse(text, Unit.DURATION) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        "5",
        "5 s",
        "5S",
        "-5s",
        "+5s",
        "5s1m",
        "5s5s",
        "1d",
        "5sec",
        "1e3s",
        ".5s",
        "5.s",
        "1_0s",
        "٥s",
        "5s\n",
        None,
        True,
        [],
        5,
        5.0,
    ],
)
def test_refuses_what_is_no_duration(text):
    with pytest.raises(WrongQuantity, match="expected a duration such as 250ms, 5s or 1m30s"):
        parse(text, Unit.DURATION)


@pytest.mark.parametrize("text, share", [("99.5%", 0.995), ("0%", 0), ("100%", 1)])
def test_reads_shares(text, share):
    assert parse(text, Unit.SHARE) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "99", "0.99", "-1%", "101%", "100.1%", "99 %", "%", 99, 0.99, True, None])
def test_refuses_what_is_no_share(text):
    with pytest.raises(WrongQuantity, match="expected a share"):
        parse(text, Unit.SHARE)


@pytest.mark.parametrize(
    "text, size", [("64KiB", 65536), ("10MB", 10_000_000), ("512B", 512), ("1.5KiB", 1536), ("1kB", 1000), ("2GiB", 2 << 30)]
)
def test_reads_sizes(text, size):
    assert parse(text, Unit.SIZE) == size


@pytest.mark.parametrize("text", ["", "64", "64K", "64kib", "64 KiB", "-1B", 64, None, True])
def test_refuses_what_is_no_size(text):
    with pytest.raises(WrongQuantity, match="expected a size such as 64KiB"):
        parse(text, Unit.SIZE)


@pytest.mark.parametrize("unit", [Unit.RATE, Unit.COUNT, Unit.FACTOR])
@pytest.mark.parametrize("number", ["5", -1, float("nan"), float("inf"), float("-inf"), 10**400, True, None, "5/s"])
def test_refuses_what_is_no_plain_number(unit, number):
    with pytest.raises(WrongQuantity):
        parse(number, unit)


def test_a_count_is_whole():
    assert parse(4.0, Unit.COUNT) == 4
    assert isinstance(parse(4.0, Unit.COUNT), int)
    with pytest.raises(WrongQuantity, match="whole number"):
        parse(1.5, Unit.COUNT)


@given(st.integers(0, 10**8), st.sampled_from(["us", "ms", "s"]))
def test_a_duration_is_its_number_times_its_unit(number, unit):
    factor = {"us": 1e-6, "ms": 1e-3, "s": 1.0}[unit]
    if number * factor <= 30 * 24 * 3600:
        assert parse(f"{number}{unit}", Unit.DURATION) == pytest.approx(number * factor)
