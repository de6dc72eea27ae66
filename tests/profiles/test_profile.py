"""What is counted is what numpy counts, and adds up to the same bits in any order."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.profiles.fields import (
    Field,
    boolean_field,
    category_field,
    embedding_field,
    numeric_field,
)
from gateway.profiles.profile import KEPT, Profile, merged
from tests.profiles.samples import Floats, normal


def profile_of(field: Field, values: object) -> Profile:
    profile = Profile(field)
    profile.update(values)  # type: ignore[arg-type]
    return profile


def test_bins_hold_what_numpy_counts_between_their_edges() -> None:
    reference, values = normal(10_000), normal(5_000, 2, shift=0.3)
    field = numeric_field("x", reference)
    counted = profile_of(field, values).counts[: field.bins]
    edges = [-np.inf, *field.edges, np.inf]
    assert np.array_equal(counted, np.histogram(values, edges)[0])


def test_mean_and_deviation_are_numpys_within_half_a_unit() -> None:
    values = np.random.default_rng(3).lognormal(3, 1.5, 20_000)
    field = numeric_field("x", values)
    profile = profile_of(field, values)
    assert abs(profile.mean - values.mean()) <= field.unit / 2
    assert profile.deviation == pytest.approx(values.std(ddof=1), rel=1e-6)
    assert (profile.low, profile.high) == (values.min(), values.max())


def test_what_is_no_finite_number_has_a_cell_of_its_own() -> None:
    field = numeric_field("x", normal(1000))
    given_ = [None, math.nan, math.inf, -math.inf, "7", True, 0.0, -0.0, 0.5]
    profile = profile_of(field, given_)
    assert profile.specials == {
        "missing": 0,
        "null": 1,
        "nan": 1,
        "above": 1,
        "below": 1,
        "unseen": 0,
        "violation": 2,
    }
    assert (profile.zeros, profile.values, profile.rows) == (2, 3, 9)


@pytest.mark.parametrize("shift", [0.0, 100.0, -100.0])
def test_zero_has_a_bin_of_its_own_wherever_the_reference_lies(shift: float) -> None:
    field = numeric_field("x", normal(1000, shift=shift))
    profile = profile_of(field, [0.0, -1e-300, 1e-300, 1e-9])
    assert profile.zeros == 1
    assert profile.values == 4


def test_a_constant_reference_tells_other_values_apart() -> None:
    field = numeric_field("x", np.full(100, 7.0))
    profile = profile_of(field, [7.0, 7.0, 0.0, -1.0])
    assert profile.values == 4
    assert profile.zeros == 1
    assert abs(profile.mean - 3.25) <= field.unit


def test_few_values_have_a_bin_each() -> None:
    field = numeric_field("x", np.repeat([1.0, 2.0, 5.0], 10))
    counts = profile_of(field, [1, 1, 2, 5, 5, 5]).counts[: field.bins]
    assert sorted(counts[counts > 0].tolist()) == [1, 2, 3]


def test_a_value_beyond_all_units_counts_as_far_as_they_go() -> None:
    field = numeric_field("x", normal(1000))
    profile = profile_of(field, [1e300])
    assert profile.mean == pytest.approx(field.center + field.unit * 2**43)
    assert profile.high == 1e300


def test_categories_are_counted_by_name_and_the_unseen_kept() -> None:
    field = category_field("city", ["oslo", "rome"], [5, 9])
    profile = profile_of(field, ["rome", "rome", "oslo", "bonn", None, "bonn"])
    assert field.categories == ("rome", "oslo")
    assert profile.counts[:2].tolist() == [2, 1]
    assert profile.strangers == {"bonn": 2}
    assert profile.specials["unseen"] == 2
    assert profile.specials["null"] == 1
    assert profile.distinct == 3


def test_numbers_and_truths_are_categories_as_json_writes_them() -> None:
    field = category_field("code", ["7", "true"], [1, 1])
    profile = profile_of(field, [7, True, 8])
    assert profile.counts[: field.bins].tolist() == [1, 1]
    assert profile.strangers == {"8": 1}


def test_of_many_unseen_categories_those_kept_have_whole_counts() -> None:
    field = category_field("id", [], [])
    names = [f"user-{at % 5000}" for at in range(20_000)]
    profile = merged(field, [profile_of(field, names[at::7]) for at in range(7)])
    assert len(profile.unseen) == KEPT
    assert set(profile.strangers.values()) == {4}
    assert profile.distinct == pytest.approx(5000, rel=0.35)


def test_booleans_are_no_numbers_and_no_strings() -> None:
    profile = profile_of(boolean_field("is_new"), [True, False, True, None, "true", 1])
    assert profile.counts[:2].tolist() == [1, 2]
    assert profile.specials["violation"] == 2


def test_embeddings_sum_the_features_of_their_kernel() -> None:
    vectors = np.random.default_rng(4).normal(size=(300, 8))
    field = embedding_field("e", vectors, waves=16)
    profile = profile_of(field, vectors)
    phases = vectors @ field.frequencies.T
    wanted = np.concatenate([np.cos(phases), np.sin(phases)], axis=1).mean(axis=0) / 4
    assert np.allclose(profile.wave_means, wanted, atol=2**-21)
    assert profile.values == 300


def test_a_vector_of_another_length_is_a_violation() -> None:
    vectors = normal(80).reshape(10, 8)
    profile = Profile(embedding_field("e", vectors))
    profile.update(vectors[:, :7])
    profile.update(np.vstack([vectors[:1], np.full((1, 8), np.nan)]))
    assert profile.values == 1
    assert profile.specials["violation"] == 10
    assert profile.specials["nan"] == 1


def awkward(seed: int) -> Floats:
    """Numbers that floating sums would add up differently."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=200) * 10.0 ** rng.integers(-12, 12, 200)
    values[rng.integers(0, 200, 5)] = [np.nan, np.inf, -np.inf, 0.0, -0.0]
    return values


FIELDS = [numeric_field("x", normal(2000)), category_field("c", ["a", "b"], [2, 1])]


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(range(6)), cut=st.integers(1, 5), which=st.sampled_from([0, 1]))
def test_state_is_the_same_bytes_in_whatever_order_profiles_are_merged(
    order: list[int], cut: int, which: int
) -> None:
    field = FIELDS[which]
    values: list[object] = [
        awkward(seed) if which == 0 else [f"n{at * seed % 97}" for at in range(300)]
        for seed in range(6)
    ]
    parts = [profile_of(field, one) for one in values]
    left = merged(field, [parts[at] for at in order[:cut]])
    right = merged(field, [parts[at] for at in order[cut:]])
    whole = Profile(field)
    for one in values:
        whole.update(one)  # type: ignore[arg-type]
    assert right.merge(left).encode() == whole.encode()


@pytest.mark.parametrize(
    "field, values",
    [
        (FIELDS[0], awkward(9)),
        (FIELDS[1], ["a", "x", "y", None]),
        (embedding_field("e", normal(80).reshape(10, 8)), normal(80).reshape(10, 8)),
    ],
)
def test_a_state_that_was_sent_is_the_same_state(field: Field, values: object) -> None:
    profile = profile_of(field, values)
    again = Profile.decode(field, profile.encode())
    assert again.encode() == profile.encode()
    assert again.merge(profile).rows == 2 * profile.rows


def test_a_state_takes_few_bytes() -> None:
    field = numeric_field("x", normal(10_000))
    assert len(profile_of(field, normal(10_000)).encode()) < 250


def test_counts_of_another_reference_do_not_add_up() -> None:
    one, other = numeric_field("x", normal(100)), numeric_field("x", normal(100, 2))
    with pytest.raises(ValueError, match="frozen on other references"):
        Profile(one).merge(Profile(other))
    with pytest.raises(ValueError, match="another reference"):
        Profile.decode(one, Profile(other).encode())
