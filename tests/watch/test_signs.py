"""Each kind of trouble is told by its own signs, and not by another's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gateway.profiles.profile import Profile
from gateway.profiles.reference import from_arrays
from gateway.watch.scales import factor_of
from gateway.watch.sign import Sign, percent
from gateway.watch.signs import signs_of
from gateway.watch.violations import ANOMALIES

RNG = np.random.default_rng(3)
AMOUNTS = RNG.lognormal(3.0, 0.8, 8_000)
AGES = RNG.normal(45, 12, 8_000)
KINDS = RNG.choice(["card", "cash", "wire"], 8_000, p=(0.7, 0.2, 0.1)).tolist()


def pair(name: str, before: Any, after: Any, kind: str = "") -> tuple[Profile, Profile]:
    kinds: dict[str, Any] = {name: kind} if kind else {}
    then = from_arrays({name: before}, kinds=kinds).profiles[name]
    now = Profile(then.field)
    objects = np.empty(len(after), object)
    objects[:] = list(after)
    now.update(objects)
    return then, now


def first(name: str, before: Any, after: Any, *broken: str, kind: str = "") -> Sign:
    return signs_of(*pair(name, before, after, kind), broken)[0]


def mixed(values: Any, value: Any, share: float) -> list[Any]:
    rng = np.random.default_rng(4)
    return [value if rng.random() < share else one for one in list(values)]


@pytest.mark.parametrize("factor", [100.0, 0.01, 1000.0, 0.001, 60.0, 1 / 3600, 2.2046226])
@pytest.mark.parametrize("values", [AMOUNTS, AGES], ids=["lognormal", "normal"])
def test_factor_between_units_is_found(values: Any, factor: float) -> None:
    fresh = np.random.default_rng(9).permutation(values)[:2_000] * factor
    assert factor_of(*pair("x", values, fresh)) == pytest.approx(factor)


def test_few_values_in_another_unit_are_enough() -> None:
    assert factor_of(*pair("x", AGES, AGES[:40] * 100)) == 100.0


@pytest.mark.parametrize(
    "after",
    [
        AMOUNTS * 1.3,
        AMOUNTS + 200,
        mixed(AMOUNTS, 5_000.0, 0.5),
        mixed(AMOUNTS, 0.0, 0.9),
        [*AMOUNTS[:4_000], *(AMOUNTS[4_000:] * 100)],
        np.full(2_000, float(AMOUNTS.mean() * 100)),
        -AMOUNTS,
    ],
    ids=["more", "shifted", "spike", "zeros", "half", "constant", "negative"],
)
def test_other_changes_are_no_change_of_unit(after: Any) -> None:
    assert factor_of(*pair("x", AMOUNTS, after)) == 0.0


@pytest.mark.parametrize(
    "value, kind, broken",
    [
        (-1.0, "sentinel", ("under",)),
        (0.0, "sentinel", ("zero",)),
        (99_999.0, "sentinel", ("over",)),
        (None, "data_missing", ("null",)),
        (..., "data_missing", ("missing",)),
        ("7", "type_changed", ("violation",)),
        (float("inf"), "out_of_range", ("above",)),
    ],
)
def test_value_that_a_fifth_of_rows_have_is_named(
    value: Any, kind: str, broken: tuple[str, ...]
) -> None:
    sign = first("x", AMOUNTS, mixed(AMOUNTS, value, 0.2), *broken)
    assert sign.kind == kind
    assert sign.facts["share"] == pytest.approx(0.2, abs=0.02)
    if kind == "sentinel":
        assert sign.facts["value"] == value


@pytest.mark.parametrize("seed", range(8))
def test_value_is_named_where_rows_are_few(seed: int) -> None:
    rng = np.random.default_rng(seed)
    few = [-1.0 if rng.random() < 0.2 else one for one in rng.choice(AMOUNTS, 120)]
    sign = first("x", AMOUNTS, few, "under")
    assert (sign.kind, sign.facts["value"]) == ("sentinel", -1.0)


def test_code_inside_the_range_is_named() -> None:
    wide = np.random.default_rng(5).uniform(-2_000, 2_000, 8_000)
    sign = first("x", wide, mixed(wide, -999, 0.2))
    assert (sign.kind, sign.facts["value"]) == ("sentinel", -999.0)


def test_many_values_outside_of_the_range_are_no_sentinel() -> None:
    rng = np.random.default_rng(6)
    after = [-rng.uniform(1, 500) if rng.random() < 0.2 else one for one in AMOUNTS]
    sign = first("x", AMOUNTS, after, "under")
    assert sign.kind == "out_of_range"
    assert "is below" in sign.sentence


def test_frequent_value_that_becomes_more_frequent_is_no_sentinel() -> None:
    before = RNG.integers(0, 2, 4_000).astype(float)
    assert first("x", before, mixed(before, 1.0, 0.3)).kind == "feature_drift"


@pytest.mark.parametrize(
    "value, kind", [("XX", "new_category"), ("unknown", "sentinel"), ("N/A", "sentinel")]
)
def test_category_that_the_reference_never_had(value: str, kind: str) -> None:
    sign = first("x", KINDS, mixed(KINDS, value, 0.1), "unseen")
    assert (sign.kind, sign.facts["value"]) == (kind, value)


def test_word_for_nothing_that_was_rare_is_a_sentinel() -> None:
    before = mixed(KINDS, "unknown", 0.002)
    sign = first("x", before, mixed(KINDS, "unknown", 0.2), "rare")
    assert (sign.kind, sign.facts["value"]) == ("sentinel", "unknown")


def test_category_of_a_few_rows_is_not_told_by_name() -> None:
    after = [f"person {at}" if at % 10 == 0 else "card" for at in range(400)]
    sign = first("x", KINDS, after, "unseen")
    assert "person" not in sign.sentence
    assert sign.facts["new"] == 40
    assert sign.facts["value"] == ""


@pytest.mark.parametrize(
    "before, after, kind",
    [
        (RNG.beta(2, 2, 4_000), RNG.normal(0.5, 0.01, 1_000), "score"),
        (KINDS, ["card"] * 1_000, "category"),
        (KINDS, mixed(KINDS[:1_000], "card", 0.8), "category"),
    ],
)
def test_predictions_that_crowd_together_collapse(before: Any, after: Any, kind: str) -> None:
    assert first("prediction.x", before, after, kind=kind).kind == "prediction_collapse"


def test_predictions_that_move_drift() -> None:
    before = RNG.beta(2, 2, 4_000)
    assert first("prediction.x", before, before[:1_000] ** 0.5).kind == "prediction_drift"
    assert first("/usage/output_tokens", AMOUNTS, AMOUNTS * 100).kind == "llm_signals"


def test_shares_that_no_test_found_changed_are_no_sign() -> None:
    assert first("x", AMOUNTS, mixed(AMOUNTS, None, 0.2)).kind == "feature_drift"


def test_fewer_nulls_than_before_are_no_missing_data() -> None:
    assert first("x", mixed(AMOUNTS, None, 0.3), AMOUNTS, "null").kind == "feature_drift"


def test_profiles_without_values_have_a_sign_too() -> None:
    then, _now = pair("x", AMOUNTS, AMOUNTS)
    assert signs_of(then, Profile(then.field), ())[0].kind == "feature_drift"
    assert signs_of(Profile(then.field), then, ("over",))[0].kind == "feature_drift"


@pytest.mark.parametrize(
    "anomaly, kind",
    [
        ("input:FLOAT_TYPE_SMALL_FLOAT:/instances/3/amount", "out_of_range"),
        ("input:SCHEMA_MISSING_COLUMN:/instances/3/amount", "data_missing"),
        ("output:RULE_VIOLATED:/instances/3/amount", "feature_drift"),
    ],
)
def test_violations_of_the_contract_are_of_the_kind_they_are(anomaly: str, kind: str) -> None:
    after = [anomaly if at % 5 == 0 else ... for at in range(1_000)]
    sign = first(ANOMALIES, [...] * 1_000, after, "unseen", kind="category")
    assert sign.kind == kind
    assert sign.facts["place"] == "instances/amount"
    assert "20.0%" in sign.sentence


@pytest.mark.parametrize(
    "share, text",
    [(0.0, "0.0%"), (1e-5, "<0.1%"), (0.5, "50.0%"), (0.9999, ">99.9%"), (1, "100.0%")],
)
def test_shares_are_never_rounded_to_none_or_all(share: float, text: str) -> None:
    assert percent(share) == text
