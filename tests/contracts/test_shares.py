"""Null shares and missing shares over many rows."""

from __future__ import annotations

import random

from scipy.stats import binomtest

from gateway.contracts.shares import Counts, is_above, share_anomalies
from tests.contracts.contracts import contract_of

FIELDS = {"x": {"type": "number", "nulls": "5%"}, "y": "number"}


def names(**counted: Counts) -> list[tuple[str, str, str]]:
    side = contract_of(input={"fields": FIELDS}).input
    assert side is not None
    found = share_anomalies(side, counted, alpha=1e-4)
    return [(each.name, each.field, each.got) for each in found]


def test_share_is_judged_by_how_many_rows_there_are() -> None:
    assert names(x=Counts(rows=10, nulls=1)) == []
    assert names(x=Counts(rows=1000, nulls=100)) == [("FEATURE_TYPE_NO_VALUES", "x", "100 of 1000")]


def test_where_no_null_is_allowed_one_is_too_many() -> None:
    assert names(y=Counts(rows=1000, nulls=1)) == [("FEATURE_TYPE_NO_VALUES", "y", "1 of 1000")]


def test_field_that_is_gone_is_missing() -> None:
    assert names(y=Counts(rows=9, missing=9)) == [("SCHEMA_MISSING_COLUMN", "y", "9 of 9")]
    found = names(y=Counts(rows=9, missing=1), unlisted=Counts(rows=1, missing=1))
    assert found == [("FEATURE_TYPE_LOW_FRACTION_PRESENT", "y", "1 of 9")]


def test_judgement_is_the_exact_binomial_test() -> None:
    draw = random.Random(3)
    for _ in range(100):
        of = draw.randint(1, 500)
        count, share = draw.randint(0, of), draw.choice([0.01, 0.05, 0.5])
        expected = binomtest(count, of, share, alternative="greater").pvalue < 0.01
        assert is_above(count, of, share, 0.01) == expected
