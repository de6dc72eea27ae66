"""Who is meant: each operator, audiences, shares."""

from collections.abc import Callable
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bucketing import bucket_of
from gateway.config.rollouts import Operator
from gateway.plan import PPM, AudiencePlan, ConditionPlan
from gateway.targeting import LONGEST_TEXT, OPERATORS, holds, is_in, matches


def condition(operator: str, *values: Any, field: str = "plan") -> ConditionPlan:
    return ConditionPlan(field=field, operator=operator, values=values)


def audience(
    *where: ConditionPlan, units: tuple[str, ...] = (), share: float = 1.0, name: str = "some"
) -> AudiencePlan:
    return AudiencePlan(
        name=name, where=where, units=frozenset(units), share_ppm=round(share * PPM)
    )


def looking(**found: Any) -> Callable[[str], object]:
    return found.get


def test_every_operator_of_the_schema_is_here() -> None:
    assert sorted(OPERATORS) == sorted(get_args(Operator))


@pytest.mark.parametrize(
    "operator, values, found, expected",
    [
        ("in", ("pro", "team"), "team", True),
        ("in", ("pro", "team"), "Team", False),
        ("in", (), "team", False),
        ("in", ("pro",), None, False),
        ("in", (3,), "3", True),
        ("in", (3,), "3.0", True),
        ("in", (3,), "three", False),
        ("in", ("3",), 3, True),
        ("in", (3,), 3.0, True),
        ("in", (True,), "true", True),
        ("in", ("true",), True, True),
        ("in", (True,), 1, False),
        ("in", (1,), True, False),
        ("in", (1,), "true", False),
        ("in", ("{}",), {}, False),
        ("in", ("a",), ["b", "a"], True),
        ("in", ("a",), [], False),
        ("not_in", ("pro",), "free", True),
        ("not_in", ("pro", "team"), "team", False),
        ("not_in", ("pro",), None, True),
        ("not_in", ("a",), ["b", "a"], False),
        ("not_in", ("a",), ["b", "c"], True),
        ("prefix", ("eu-", "us-"), "us-east", True),
        ("prefix", ("eu-",), "us-east", False),
        ("prefix", ("1",), 12, False),
        ("suffix", ("@example.com",), "ann@example.com", True),
        ("suffix", ("@example.com",), "ann@example.org", False),
        ("contains", ("beta",), "the beta group", True),
        ("contains", ("beta",), "alpha", False),
        ("contains", ("beta",), None, False),
        ("matches", (r"^v[23]\.", "never"), "v2.1", True),
        ("matches", (r"^v[23]\.",), "v4.1", False),
        ("matches", (r"b+",), "abbc", True),
        ("above", (10,), 11, True),
        ("above", (10,), "11", True),
        ("above", (10,), 10, False),
        ("above", (10, 20), 15, True),
        ("above", (10,), True, False),
        ("above", (10,), "eleven", False),
        ("above", (10,), "nan", False),
        ("below", (10,), 9.5, True),
        ("below", (10,), None, False),
        ("exists", (), "", True),
        ("exists", (), None, False),
        ("absent", (), None, True),
        ("absent", (), 0, False),
    ],
)
def test_operator_holds(
    operator: str, values: tuple[Any, ...], found: object, expected: bool
) -> None:
    assert holds(condition(operator, *values), looking(plan=found)) is expected


def test_patterns_see_the_beginning_of_a_long_text_only() -> None:
    text = "a" * LONGEST_TEXT + "b"
    assert not holds(condition("matches", "b"), looking(plan=text))
    assert holds(condition("matches", "^a"), looking(plan=text))


def test_half_a_surrogate_is_searched_and_not_an_error() -> None:
    assert holds(condition("matches", "^a.b$"), looking(plan="a\ud800b"))


def test_no_audience_and_no_condition_means_everybody() -> None:
    assert matches((), (), looking(), "")


def test_any_audience_and_all_conditions_are_needed() -> None:
    pro, eu = audience(condition("in", "pro")), audience(condition("in", "eu", field="region"))
    adult = condition("above", 17, field="age")
    assert matches((pro, eu), (adult,), looking(plan="free", region="eu", age=18), "u")
    assert not matches((pro, eu), (adult,), looking(plan="pro", region="eu", age=17), "u")
    assert not matches((pro, eu), (adult,), looking(plan="free", region="us", age=18), "u")


def test_audience_of_nothing_is_everybody() -> None:
    assert is_in(audience(), looking(), "")


def test_audience_is_as_described_or_as_listed() -> None:
    both = audience(condition("in", "pro"), units=("ann",))
    assert is_in(both, looking(plan="pro"), "bob")
    assert is_in(both, looking(plan="free"), "ann")
    assert not is_in(both, looking(plan="free"), "bob")


def test_audience_that_is_only_listed_is_nobody_else() -> None:
    listed = audience(units=("ann",))
    assert is_in(listed, looking(), "ann")
    assert not is_in(listed, looking(), "bob")
    assert not is_in(listed, looking(), "")


def test_share_of_an_audience_needs_a_unit() -> None:
    assert not is_in(audience(share=0.999), looking(), "")


def test_share_of_an_audience_is_drawn_by_its_unit() -> None:
    tenth = audience(share=0.1)
    members = [n for n in range(5000) if is_in(tenth, looking(), f"user-{n}")]
    assert 400 < len(members) < 600
    assert members == [n for n in range(5000) if is_in(tenth, looking(), f"user-{n}")]


def test_being_in_an_audience_says_nothing_of_the_bucket() -> None:
    """Half of the audience is in each half of a flag's buckets."""
    half = audience(share=0.5, name="some")
    members = [f"user-{n}" for n in range(5000) if is_in(half, looking(), f"user-{n}")]
    low = sum(bucket_of(unit.encode(), "some") < PPM // 2 for unit in members)
    assert abs(low / len(members) - 0.5) < 0.03


def test_two_audiences_are_drawn_independently() -> None:
    one, other = audience(share=0.5, name="one"), audience(share=0.5, name="other")
    units = [f"user-{n}" for n in range(2000)]
    both = sum(is_in(one, looking(), unit) and is_in(other, looking(), unit) for unit in units)
    assert 400 < both < 600


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(anything, st.sampled_from(OPERATORS), st.text(max_size=5) | st.floats() | st.booleans())
def test_nothing_that_a_client_sends_raises(
    found: object, operator: str, value: str | float | bool
) -> None:
    if operator == "matches":
        value = "^a+"
    assert holds(condition(operator, value), looking(plan=found)) in {True, False}
