"""Durations, sizes, shares and secrets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.units import Age, Duration, Secret, Share, Size


@pytest.mark.parametrize(
    "text, ns",
    [
        ("250ms", 250_000_000),
        ("2s", 2_000_000_000),
        ("5m", 300_000_000_000),
        ("1.5s", 1_500_000_000),
        ("1h", 3_600_000_000_000),
        ("100us", 100_000),
        ("7ns", 7),
        (" 2 s ", 2_000_000_000),
        (0, 0),
        ("0s", 0),
    ],
)
def test_duration_is_read_in_nanoseconds(text: object, ns: int) -> None:
    assert Duration.parse(text) == ns


@pytest.mark.parametrize(
    "value", [5, 2.5, "5", "s", "-1s", "1 day", "1e3s", "8d", "169h", None, True, False, "", [1]]
)
def test_duration_without_a_sensible_unit_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="a time with its unit, such as 250ms"):
        Duration.parse(value)


@pytest.mark.parametrize(
    "text, size",
    [("8MiB", 8 << 20), ("64KiB", 1 << 16), ("1.5KiB", 1536), ("1MB", 10**6), (0, 0), (77, 77)],
)
def test_size_is_read_in_bytes(text: object, size: int) -> None:
    assert Size.parse(text) == size


@pytest.mark.parametrize("value", ["8M", "8", -1, 2**41, 1.5, True, None, "2048GiB"])
def test_size_that_is_unclear_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="a size, such as 64KiB"):
        Size.parse(value)


@pytest.mark.parametrize("text, share", [("20%", 0.2), (0.2, 0.2), (1, 1.0), ("0.5 %", 0.005)])
def test_share_is_read_as_a_fraction(text: object, share: float) -> None:
    assert Share.parse(text) == share


@pytest.mark.parametrize("value", [20, -0.1, "120%", "0.2", "x%", True, None, float("nan")])
def test_share_outside_of_a_whole_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"a share, such as 20% or 0\.2"):
        Share.parse(value)


@given(st.integers(0, 7 * 24 * 3600 * 10**9))
def test_printed_duration_reads_back(ns: int) -> None:
    assert Duration.parse(str(Duration(ns))) == ns


@given(st.integers(0, 2**40))
def test_printed_size_reads_back(size: int) -> None:
    assert Size.parse(str(Size(size))) == size


@given(st.floats(0, 1))
def test_printed_share_reads_back(share: float) -> None:
    text = str(Share(share))
    assert Share.parse(text if text.endswith("%") else float(text)) == share


def test_secret_is_shown_nowhere_but_on_demand() -> None:
    secret = Secret("sk-1")
    assert repr(secret) == "'***'"
    assert f"{secret} {[secret]}" == "*** ['***']"
    assert secret.reveal() == "sk-1"
    assert type(secret.reveal()) is str


@pytest.mark.parametrize("text, days", [("24h", 1), ("30d", 30), ("400d", 400), ("0", 0)])
def test_age_takes_days(text: str, days: int) -> None:
    found = Age.parse(text)
    assert found == days * 24 * 3600 * 10**9
    assert Age.parse(str(found)) == found


def test_age_is_bounded() -> None:
    with pytest.raises(ValueError, match="at most 400d"):
        Age.parse("401d")
