"""Figures as words."""

import pytest

from gateway.cli.columns import age, columns, latency, rate, seconds, share, usd


def test_table_is_aligned() -> None:
    text = columns(("NAME", "N"), [("a", "1"), ("long-name", "200")], "N")
    assert text.splitlines() == ["NAME         N", "a            1", "long-name  200"]


def test_table_of_nothing_is_its_head() -> None:
    assert columns(("NAME", "N"), []) == "NAME  N"


@pytest.mark.parametrize("value,text", [(0, "0.0"), (0.04, "0.0"), (9.94, "9.9"), (250.4, "250")])
def test_rate(value: float, text: str) -> None:
    assert rate(value) == text


@pytest.mark.parametrize("value,text", [(None, "-"), (1, "100.0%"), (0.994, "99.4%")])
def test_share(value: float | None, text: str) -> None:
    assert share(value) == text


@pytest.mark.parametrize(
    "value,text", [(None, "-"), (0.00002, "20us"), (0.0123, "12ms"), (1.234, "1.23s")]
)
def test_seconds(value: float | None, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize(
    "value,text", [(None, "-"), (0, "$0.00"), (0.0012, "$0.0012"), (7.2, "$7.20")]
)
def test_usd(value: float | None, text: str) -> None:
    assert usd(value) == text


@pytest.mark.parametrize("value,text", [(5, "5s"), (150, "2m"), (9000, "2h30m"), (200_000, "2d")])
def test_age(value: float, text: str) -> None:
    assert age(value) == text


def test_latency_is_a_pair() -> None:
    assert latency({"p50_s": 0.3, "p95_s": 1.5, "p99_s": 2}) == "300ms/1.50s"
    assert latency({"p50_s": None, "p95_s": None, "p99_s": None}) == "-"
